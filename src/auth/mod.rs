//! Who asks, and what they may do: keys and tokens, whom they make out, what those are allowed. Does not know sessions, nor how a
//! credential comes in or a refusal goes out.

mod api_key;
mod authenticator;
mod grant;
mod identity;
mod keeper;
mod key_material;
mod key_set;
mod key_sources;
mod mint;
mod permission;
mod permit;
mod provider;
mod refusal;
mod remote_sets;
mod revocation_set;
mod throttle;
mod token;
mod token_cache;

pub use api_key::{Digest, new_key};
pub use authenticator::Authenticator;
pub use grant::SessionPattern;
pub use identity::{Identity, IdentityName};
pub use keeper::{KeyKeeper, log_unknown};
pub use key_set::{KeySet, check_entries};
pub use key_sources::{AUDIENCE, KeySources};
pub use mint::{NewToken, mint};
pub use permission::{Permission, Permissions};
pub use permit::{Action, Denied, permit, permit_any};
pub use refusal::AuthError;
pub use remote_sets::RemoteSets;
