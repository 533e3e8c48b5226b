//! What a server says of itself (`INFO`): its fields, and whether its mode is the one that REDIS_URL names. Does not
//! know what else is asked of it.

/// Why a server of a kind (`redis_mode`) is not the one that REDIS_URL speaks of.
pub(super) fn misplaced(kind: &str, is_said_to_be_of_cluster: bool) -> Option<&'static str> {
    match (kind, is_said_to_be_of_cluster) {
        ("sentinel", _) => Some("is a Sentinel: REDIS_URL must begin with redis+sentinel://"),
        ("cluster", false) => Some("is one of a Cluster: REDIS_URL must begin with redis+cluster://"),
        ("standalone", true) => Some("is not one of a Cluster, and REDIS_URL says redis+cluster://"),
        _ => None,
    }
}

/// A field of INFO.
pub(super) fn field<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}
