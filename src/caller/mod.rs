//! Who asks, over HTTP and WebSocket alike, and what they call their commands. Does not know what is asked.

mod authentication;
mod idempotency;

pub use authentication::{Authentication, Caller};
pub use idempotency::CommandName;
