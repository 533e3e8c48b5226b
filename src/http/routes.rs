//! The route table: a row for each route. Whatever depends on a route reads it here: the matcher, the Allow header, the
//! label of metrics, what counts against a rate limit, what the reserve of connections answers, the test of the OpenAPI
//! description. Does not know how a path is matched, nor what an endpoint does.

use hyper::Method;

use crate::auth::Permission;

use Endpoint as To;
use RateLimitClass::{Exempt, PerClient, Probe};
use RouteMethod::{Delete, Get, Patch, Post, Upgrade};
use Scope::{Identified, Operator, Public, Server, Session};

/// Every route; those of one path stand together, in the order in which an Allow header lists their methods.
pub(super) static ROUTES: [Route; 19] = [
    Route::new(Post, "/v1/sessions", To::Create, PerClient, Server(Permission::Create)),
    Route::new(Get, "/v1/sessions/{id}", To::Read, PerClient, Session(Permission::Read)),
    Route::new(Patch, "/v1/sessions/{id}", To::Patch, PerClient, Session(Permission::Patch)),
    Route::new(Delete, "/v1/sessions/{id}", To::Delete, PerClient, Session(Permission::Delete)),
    Route::new(Post, "/v1/sessions/{id}/start", To::Start, PerClient, Session(Permission::Start)),
    Route::new(Post, "/v1/sessions/{id}/pause", To::Pause, PerClient, Session(Permission::Pause)),
    Route::new(Post, "/v1/sessions/{id}/resume", To::Resume, PerClient, Session(Permission::Resume)),
    Route::new(Post, "/v1/sessions/{id}/switch", To::Switch, PerClient, Session(Permission::Switch)),
    Route::new(Post, "/v1/sessions/{id}/complete", To::Complete, PerClient, Session(Permission::Complete)),
    Route::new(Post, "/v1/sessions/{id}/cancel", To::Cancel, PerClient, Session(Permission::Cancel)),
    Route::new(Get, "/v1/sessions/{id}/events", To::Events, PerClient, Session(Permission::Events)),
    Route::new(Post, "/v1/revocations", To::Revoke, PerClient, Operator(Permission::Admin)),
    Route::new(Get, "/v1/time", To::Time, PerClient, Identified),
    Route::new(Upgrade, "/ws", To::WebSocket, PerClient, Public),
    Route::new(Get, "/health", To::Health, Probe, Public),
    Route::new(Get, "/ready", To::Ready, Probe, Public),
    Route::new(Get, "/metrics", To::Metrics, Exempt, Server(Permission::Metrics)),
    Route::new(Get, "/api-docs.json", To::ApiDocsJson, Exempt, Public),
    Route::new(Get, "/api-docs", To::ApiDocs, Exempt, Public),
];

/// What can be asked for; each is the number of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Endpoint {
    Create,
    Read,
    Patch,
    Delete,
    Start,
    Pause,
    Resume,
    Switch,
    Complete,
    Cancel,
    Events,
    Revoke,
    Time,
    WebSocket,
    Health,
    Ready,
    Metrics,
    ApiDocsJson,
    ApiDocs,
}

const _: () = {
    let mut row = 0;
    while row < ROUTES.len() {
        assert!(ROUTES[row].endpoint as usize == row, "the rows are in the order of the endpoints");
        row += 1;
    }
};

/// A row of the table: what one method does at one path.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    method: RouteMethod,
    /// The path, with `{id}` for a session's id.
    template: &'static str,
    pub(super) endpoint: Endpoint,
    pub(super) limit: RateLimitClass,
    pub(super) scope: Scope,
}

/// The method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RouteMethod {
    /// GET, and HEAD with it.
    Get,
    /// GET alone: the connection goes on in another protocol.
    Upgrade,
    Post,
    Patch,
    Delete,
}

/// What requests for a route are counted against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateLimitClass {
    /// The general limit of the client.
    PerClient,
    /// Nothing.
    Exempt,
    /// Nothing; and it is answered on the reserve of connections, where nothing else is.
    Probe,
}

/// What somebody must be allowed who asks for a route, where it is asked who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// Nothing; a WebSocket judges by itself.
    Public,
    /// To be somebody.
    Identified,
    /// This, in the session that the path names.
    Session(Permission),
    /// This, anywhere.
    Server(Permission),
    /// The same, and to be somebody: where nobody is asked, nobody may.
    Operator(Permission),
}

/// A path that is served: the rows that share it, named by the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Resource(Endpoint);

/// Every path that is served.
pub fn resources() -> impl Iterator<Item = Resource> {
    let is_first = |row: &usize| *row == 0 || ROUTES[row - 1].template != ROUTES[*row].template;
    (0..ROUTES.len()).filter(is_first).map(|row| Resource(ROUTES[row].endpoint))
}

impl Resource {
    /// The path whose first row leads to `endpoint`.
    pub(super) const fn of(endpoint: Endpoint) -> Self {
        Self(endpoint)
    }

    fn first(self) -> &'static Route {
        &ROUTES[self.0 as usize]
    }

    /// The path, with `{id}` for a session's id.
    pub fn template(self) -> &'static str {
        self.first().template
    }

    /// The methods, as an Allow header lists them.
    pub fn allow(self) -> String {
        let methods: Vec<_> = self.rows().map(|route| route.method.allow()).collect();
        methods.join(", ")
    }

    /// What somebody must be allowed who asks for it by its first method.
    pub(super) fn scope(self) -> Scope {
        self.first().scope
    }

    /// What requests for it are counted against, whatever their method.
    pub(super) fn limit(self) -> RateLimitClass {
        self.first().limit
    }

    /// What a method does here.
    pub(super) fn route(self, method: &Method) -> Option<&'static Route> {
        let first = self.first();
        if first.method.takes(method) {
            return Some(first);
        }
        // The method is compared first: it costs less than the path.
        let is_it = |route: &&Route| route.method.takes(method) && route.template == first.template;
        ROUTES[self.0 as usize + 1..].iter().find(is_it)
    }

    fn rows(self) -> impl Iterator<Item = &'static Route> {
        ROUTES[self.0 as usize..].iter().take_while(move |route| route.template == self.template())
    }
}

impl Route {
    const fn new(
        method: RouteMethod,
        template: &'static str,
        endpoint: Endpoint,
        limit: RateLimitClass,
        scope: Scope,
    ) -> Self {
        Self { method, template, endpoint, limit, scope }
    }
}

impl RouteMethod {
    fn takes(self, method: &Method) -> bool {
        match self {
            Get => method == Method::GET || method == Method::HEAD,
            Upgrade => method == Method::GET,
            Post => method == Method::POST,
            Patch => method == Method::PATCH,
            Delete => method == Method::DELETE,
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Get => "GET, HEAD",
            Upgrade => "GET",
            Post => "POST",
            Patch => "PATCH",
            Delete => "DELETE",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{RateLimitClass, resources};

    #[test]
    fn what_says_how_the_server_is_does_not_count_against_limits() {
        let free = resources().filter(|resource| resource.limit() != RateLimitClass::PerClient);
        let free: Vec<_> = free.map(|resource| resource.template()).collect();
        assert_eq!(free, ["/health", "/ready", "/metrics", "/api-docs.json", "/api-docs"]);
        let probes = resources().filter(|resource| resource.limit() == RateLimitClass::Probe);
        assert_eq!(probes.map(|resource| resource.template()).collect::<Vec<_>>(), ["/health", "/ready"]);
    }

    #[test]
    fn the_routes_of_a_path_stand_together_and_count_against_one_limit() {
        let mut templates: Vec<_> = resources().map(|resource| resource.template()).collect();
        assert!(resources().all(|resource| resource.rows().all(|route| route.limit == resource.limit())));
        templates.sort_unstable();
        assert!(templates.is_sorted_by(|before, after| before < after), "{templates:?}");
    }
}
