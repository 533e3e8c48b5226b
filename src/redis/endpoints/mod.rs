//! The servers of a deployment as the settings name them: URL, credentials, certificates, and how a connection to each
//! is made. Does not know which keys a server keeps.

pub(super) mod access;
pub(super) mod credentials;
pub(super) mod deployment;
pub(super) mod endpoint;
pub(super) mod node;
pub(super) mod url;
