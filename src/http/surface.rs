//! What a listener serves: everything where it is the only one, and where there are two, clients the one and operators the other. Does
//! not know how a listener is reached, nor what is answered.

use crate::auth::Permission;

use super::routes::{RateLimitClass, Resource, Route, Scope};

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surface {
    /// Everything: there is no other.
    Whole,
    /// What clients use: what is counted stands on the other.
    Clients,
    /// What is for operators, who need not say who they are to see how the server is: whoever reaches it is one.
    Operators,
}

impl Surface {
    /// Whether a path is served.
    pub(super) fn serves(self, resource: Resource) -> bool {
        match self {
            Surface::Whole => true,
            Surface::Clients => resource.scope() != Scope::Server(Permission::Metrics),
            Surface::Operators => {
                let is_of_admin = resource.scope() == Scope::Operator(Permission::Admin);
                resource.limit() != RateLimitClass::PerClient || is_of_admin
            }
        }
    }

    /// What somebody must be allowed who asks for a route.
    pub(super) fn scope(self, route: &Route) -> Scope {
        match self.is_of_operators() && route.scope == Scope::Server(Permission::Metrics) {
            true => Scope::Public,
            false => route.scope,
        }
    }

    /// Whether it is for operators alone.
    pub(super) fn is_of_operators(self) -> bool {
        match self {
            Surface::Operators => true,
            Surface::Whole | Surface::Clients => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::resources;
    use super::Surface;

    #[test]
    fn two_listeners_serve_together_what_one_does() {
        let served = |surface: Surface| {
            let served = resources().filter(move |resource| surface.serves(*resource));
            served.map(|resource| resource.template()).collect::<Vec<_>>()
        };
        let (whole, clients, operators) =
            (served(Surface::Whole), served(Surface::Clients), served(Surface::Operators));
        assert_eq!(whole.len(), resources().count());
        assert!(whole.iter().all(|path| clients.contains(path) || operators.contains(path)));
        assert_eq!(whole.iter().filter(|path| !clients.contains(path)).collect::<Vec<_>>(), [&"/metrics"]);
        assert_eq!(operators, ["/v1/revocations", "/health", "/ready", "/metrics", "/api-docs.json", "/api-docs"]);
    }
}
