//! Which server answers for which hash slot: asked of Sentinels or of the nodes of a Cluster, and believed by epoch.
//! Does not know what is asked of the server.

pub(super) mod cluster;
pub(super) mod route;
mod sentinel;
pub(super) mod slot_map;
pub(super) mod topology;
