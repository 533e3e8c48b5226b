//! From method and path to a route: a match written by hand, which a test holds against the table of routes. Does not know
//! what an endpoint does.

use hyper::Method;

use super::routes::{Endpoint, RateLimitClass, Resource, Route};
use super::surface::Surface;

/// Where a request leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouteMatch<'p> {
    /// To a route, and to a session if the path names one.
    Found(Resource, &'static Route, &'p str),
    /// To a path that does not have the method.
    WrongMethod(Resource),
    /// Nowhere.
    Unknown,
}

/// Where a method and a path lead.
pub(super) fn find<'p>(method: &Method, path: &'p str) -> RouteMatch<'p> {
    let Some((resource, id)) = Resource::at(path) else { return RouteMatch::Unknown };
    match resource.route(method) {
        Some(route) => RouteMatch::Found(resource, route, id),
        None => RouteMatch::WrongMethod(resource),
    }
}

impl RouteMatch<'_> {
    /// The same, as a listener shows it: what it does not serve leads nowhere.
    pub(super) fn on(self, surface: Surface) -> Self {
        match self.resource() {
            Some(resource) if !surface.serves(resource) => RouteMatch::Unknown,
            Some(_) | None => self,
        }
    }

    /// The path that matched.
    pub(super) fn resource(self) -> Option<Resource> {
        match self {
            RouteMatch::Found(resource, ..) | RouteMatch::WrongMethod(resource) => Some(resource),
            RouteMatch::Unknown => None,
        }
    }

    /// Whether it counts against a client's limit; what leads nowhere does.
    pub(super) fn is_limited(self) -> bool {
        self.resource().is_none_or(|resource| resource.limit() == RateLimitClass::PerClient)
    }

    /// Whether the reserve of connections answers it.
    pub(super) fn is_probe(self) -> bool {
        match self {
            RouteMatch::Found(_, route, _) => route.limit == RateLimitClass::Probe,
            RouteMatch::WrongMethod(_) | RouteMatch::Unknown => false,
        }
    }
}

impl Resource {
    /// The resource at a path and the session's id in it; one trailing slash is tolerated.
    pub fn at(path: &str) -> Option<(Self, &str)> {
        let path = path.strip_suffix('/').unwrap_or(path);
        if let Some(rest) = path.strip_prefix("/v1/sessions") {
            if rest.is_empty() {
                return Some((Resource::of(Endpoint::Create), ""));
            }
            let rest = rest.strip_prefix('/')?;
            let (id, action) = rest.split_once('/').map_or((rest, None), |(id, action)| (id, Some(action)));
            let first = match action {
                None => Endpoint::Read,
                Some("start") => Endpoint::Start,
                Some("pause") => Endpoint::Pause,
                Some("resume") => Endpoint::Resume,
                Some("switch") => Endpoint::Switch,
                Some("complete") => Endpoint::Complete,
                Some("cancel") => Endpoint::Cancel,
                Some("events") => Endpoint::Events,
                Some(_) => return None,
            };
            return (!id.is_empty()).then_some((Resource::of(first), id));
        }
        let first = match path {
            "/v1/revocations" => Endpoint::Revoke,
            "/v1/time" => Endpoint::Time,
            "/ws" => Endpoint::WebSocket,
            "/health" => Endpoint::Health,
            "/ready" => Endpoint::Ready,
            "/metrics" => Endpoint::Metrics,
            "/api-docs.json" => Endpoint::ApiDocsJson,
            "/api-docs" => Endpoint::ApiDocs,
            _ => return None,
        };
        Some((Resource::of(first), ""))
    }
}

#[cfg(test)]
mod tests {
    use super::super::routes::{Endpoint, resources};
    use super::{RouteMatch, find};
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
            let found = match find(&method, path) {
                RouteMatch::Found(_, route, id) => Some((route.endpoint, id)),
                RouteMatch::WrongMethod(_) | RouteMatch::Unknown => None,
            };
            assert_eq!(found, expected, "{method} {path}");
        }
    }

    #[test]
    fn allows_exactly_the_methods_that_lead_somewhere() {
        let methods =
            [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE];
        for resource in resources() {
            let path = resource.template().replace("{id}", "a");
            let found = methods
                .iter()
                .filter(|method| matches!(find(method, &path), RouteMatch::Found(found, ..) if found == resource));
            let found: Vec<_> = found.map(Method::as_str).collect();
            assert_eq!(found.join(", "), resource.allow(), "{path}");
            assert_eq!(find(&Method::PUT, &path), RouteMatch::WrongMethod(resource), "{path}");
        }
    }
}
