//! From method and path to what is asked for: pure functions over one table. Does not know what an
//! endpoint does.

use hyper::Method;

use super::admission::Scope;

/// A path that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// The collection of sessions.
    Sessions,
    /// One session.
    Session,
    /// A transition of one session.
    Start,
    /// A transition of one session.
    Pause,
    /// A transition of one session.
    Resume,
    /// A transition of one session.
    Switch,
    /// A transition of one session.
    Complete,
    /// A transition of one session.
    Cancel,
    /// The history of one session.
    Events,
    /// The authority's time.
    Time,
    /// Live updates.
    WebSocket,
    /// Whether the process lives.
    Health,
    /// Whether it can serve.
    Ready,
    /// What it has counted.
    Metrics,
    /// What is served, for programs.
    ApiDocsJson,
    /// What is served, for people.
    ApiDocs,
}

/// Every path that is served.
pub const RESOURCES: [Resource; 16] = [
    Resource::Sessions,
    Resource::Session,
    Resource::Start,
    Resource::Pause,
    Resource::Resume,
    Resource::Switch,
    Resource::Complete,
    Resource::Cancel,
    Resource::Events,
    Resource::Time,
    Resource::WebSocket,
    Resource::Health,
    Resource::Ready,
    Resource::Metrics,
    Resource::ApiDocsJson,
    Resource::ApiDocs,
];

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Time,
    WebSocket,
    Health,
    Ready,
    Metrics,
    ApiDocsJson,
    ApiDocs,
}

/// Where a request leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route<'p> {
    /// To an endpoint, and to a session if the path names one.
    Found(Resource, Endpoint, &'p str),
    /// To a path that does not have the method.
    WrongMethod(Resource),
    /// Nowhere.
    Unknown,
}

impl Route<'_> {
    /// The path that matched.
    pub(super) fn resource(self) -> Option<Resource> {
        match self {
            Route::Found(resource, ..) | Route::WrongMethod(resource) => Some(resource),
            Route::Unknown => None,
        }
    }

    /// Whether a connection may ask for it that may ask for so much.
    pub(super) fn is_within(self, scope: Scope) -> bool {
        match scope {
            Scope::All => true,
            Scope::Probes => matches!(self, Route::Found(Resource::Health | Resource::Ready, ..)),
        }
    }
}

impl Resource {
    /// The resource at a path and the session's id in it; one trailing slash is tolerated.
    pub fn at(path: &str) -> Option<(Self, &str)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some(rest) = path.strip_prefix("/v1/sessions") {
            if rest.is_empty() {
                return Some((Resource::Sessions, ""));
            }
            let rest = rest.strip_prefix('/')?;
            let (id, action) = rest.split_once('/').map_or((rest, None), |(id, action)| (id, Some(action)));
            let resource = match action {
                None => Resource::Session,
                Some("start") => Resource::Start,
                Some("pause") => Resource::Pause,
                Some("resume") => Resource::Resume,
                Some("switch") => Resource::Switch,
                Some("complete") => Resource::Complete,
                Some("cancel") => Resource::Cancel,
                Some("events") => Resource::Events,
                Some(_) => return None,
            };
            return (!id.is_empty()).then_some((resource, id));
        }
        let resource = match path {
            "/v1/time" => Resource::Time,
            "/ws" => Resource::WebSocket,
            "/health" => Resource::Health,
            "/ready" => Resource::Ready,
            "/metrics" => Resource::Metrics,
            "/api-docs.json" => Resource::ApiDocsJson,
            "/api-docs" => Resource::ApiDocs,
            _ => return None,
        };
        Some((resource, ""))
    }

    /// The path, with `{id}` for a session's id.
    pub const fn template(self) -> &'static str {
        match self {
            Resource::Sessions => "/v1/sessions",
            Resource::Session => "/v1/sessions/{id}",
            Resource::Start => "/v1/sessions/{id}/start",
            Resource::Pause => "/v1/sessions/{id}/pause",
            Resource::Resume => "/v1/sessions/{id}/resume",
            Resource::Switch => "/v1/sessions/{id}/switch",
            Resource::Complete => "/v1/sessions/{id}/complete",
            Resource::Cancel => "/v1/sessions/{id}/cancel",
            Resource::Events => "/v1/sessions/{id}/events",
            Resource::Time => "/v1/time",
            Resource::WebSocket => "/ws",
            Resource::Health => "/health",
            Resource::Ready => "/ready",
            Resource::Metrics => "/metrics",
            Resource::ApiDocsJson => "/api-docs.json",
            Resource::ApiDocs => "/api-docs",
        }
    }

    /// The methods, as an Allow header lists them.
    pub const fn allow(self) -> &'static str {
        match self {
            Resource::Session => "GET, HEAD, PATCH, DELETE",
            Resource::Sessions
            | Resource::Start
            | Resource::Pause
            | Resource::Resume
            | Resource::Switch
            | Resource::Complete
            | Resource::Cancel => "POST",
            Resource::WebSocket => "GET",
            Resource::Events
            | Resource::Time
            | Resource::Health
            | Resource::Ready
            | Resource::Metrics
            | Resource::ApiDocsJson
            | Resource::ApiDocs => "GET, HEAD",
        }
    }

    /// Whether requests are counted against a client's limit.
    pub(super) const fn is_limited(self) -> bool {
        match self {
            Resource::Health | Resource::Ready | Resource::Metrics | Resource::ApiDocsJson | Resource::ApiDocs => false,
            Resource::Sessions
            | Resource::Session
            | Resource::Start
            | Resource::Pause
            | Resource::Resume
            | Resource::Switch
            | Resource::Complete
            | Resource::Cancel
            | Resource::Events
            | Resource::Time
            | Resource::WebSocket => true,
        }
    }

    fn endpoint(self, method: &Method) -> Option<Endpoint> {
        let reads = method == Method::GET || method == Method::HEAD && !matches!(self, Resource::WebSocket);
        let posts = method == Method::POST;
        match self {
            Resource::Sessions => posts.then_some(Endpoint::Create),
            Resource::Session if reads => Some(Endpoint::Read),
            Resource::Session if method == Method::PATCH => Some(Endpoint::Patch),
            Resource::Session if method == Method::DELETE => Some(Endpoint::Delete),
            Resource::Session => None,
            Resource::Start => posts.then_some(Endpoint::Start),
            Resource::Pause => posts.then_some(Endpoint::Pause),
            Resource::Resume => posts.then_some(Endpoint::Resume),
            Resource::Switch => posts.then_some(Endpoint::Switch),
            Resource::Complete => posts.then_some(Endpoint::Complete),
            Resource::Cancel => posts.then_some(Endpoint::Cancel),
            Resource::Events => reads.then_some(Endpoint::Events),
            Resource::Time => reads.then_some(Endpoint::Time),
            Resource::WebSocket => reads.then_some(Endpoint::WebSocket),
            Resource::Health => reads.then_some(Endpoint::Health),
            Resource::Ready => reads.then_some(Endpoint::Ready),
            Resource::Metrics => reads.then_some(Endpoint::Metrics),
            Resource::ApiDocsJson => reads.then_some(Endpoint::ApiDocsJson),
            Resource::ApiDocs => reads.then_some(Endpoint::ApiDocs),
        }
    }
}

/// Where a method and a path lead.
pub(super) fn route<'p>(method: &Method, path: &'p str) -> Route<'p> {
    let Some((resource, id)) = Resource::at(path) else { return Route::Unknown };
    match resource.endpoint(method) {
        Some(endpoint) => Route::Found(resource, endpoint, id),
        None => Route::WrongMethod(resource),
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, RESOURCES, Resource, Route, route};
    use hyper::Method;

    #[test]
    fn leads_each_path_where_it_belongs() {
        use Endpoint::*;
        for (method, path, expected) in [
            ("POST", "/v1/sessions", Some((Create, ""))),
            ("POST", "/v1/sessions/", Some((Create, ""))),
            ("GET", "/v1/sessions/a", Some((Read, "a"))),
            ("HEAD", "/v1/sessions/a/", Some((Read, "a"))),
            ("PATCH", "/v1/sessions/a", Some((Patch, "a"))),
            ("DELETE", "/v1/sessions/a", Some((Delete, "a"))),
            ("POST", "/v1/sessions/a/start", Some((Start, "a"))),
            ("POST", "/v1/sessions/a/switch/", Some((Switch, "a"))),
            ("HEAD", "/v1/time", Some((Time, ""))),
            ("GET", "/ws", Some((WebSocket, ""))),
            ("GET", "/health/", Some((Health, ""))),
            ("GET", "/api-docs.json", Some((ApiDocsJson, ""))),
            ("GET", "/", None),
            ("GET", "", None),
            ("POST", "/v1/sessions//", None),
            ("POST", "/v1/sessions//start", None),
            ("POST", "/v1/sessions/a/start//", None),
            ("POST", "/v1/sessions/a/start/b", None),
            ("POST", "/v1/sessions/a/begin", None),
            ("POST", "/v1/sessionss", None),
            ("GET", "/V1/time", None),
            ("GET", "/health//", None),
        ] {
            let method = method.parse().expect("a method");
            let found = match route(&method, path) {
                Route::Found(_, endpoint, id) => Some((endpoint, id)),
                Route::WrongMethod(_) | Route::Unknown => None,
            };
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn allows_exactly_the_methods_that_lead_somewhere() {
        let methods =
            [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE];
        for resource in RESOURCES {
            let path = resource.template().replace("{id}", "a");
            let found = methods.iter().filter(|method| matches!(route(method, &path), Route::Found(..)));
            let found: Vec<_> = found.map(Method::as_str).collect();
            assert_eq!(found.join(", "), resource.allow(), "{path}");
            assert_eq!(route(&Method::PUT, &path), Route::WrongMethod(resource), "{path}");
        }
    }

    #[test]
    fn what_says_how_the_server_is_does_not_count_against_limits() {
        let free: Vec<_> = RESOURCES.iter().filter(|resource| !resource.is_limited()).collect();
        assert_eq!(
            free,
            [Resource::Health, Resource::Ready, Resource::Metrics, Resource::ApiDocsJson, Resource::ApiDocs].each_ref()
        );
    }
}
