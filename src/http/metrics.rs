//! HttpMetrics of requests, under the names that dashboards use. Does not know what is asked.

use std::fmt;
use std::time::Duration;

use hyper::Method;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::routes::{Endpoint, Resource};

const REQUEST_BUCKETS_MS: [f64; 9] = [1.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0];
const SWITCH_BUCKETS_MS: [f64; 7] = [1.0, 2.0, 3.0, 5.0, 10.0, 25.0, 50.0];

/// Counters of requests.
#[derive(Clone, Debug)]
pub(super) struct HttpMetrics {
    requests: Family<RequestLabels, Counter>,
    durations: Family<DurationLabels, Histogram, fn() -> Histogram>,
    switches: Histogram,
    active: Gauge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    method: Verb,
    route: Template,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: Verb,
    route: Template,
    status_code: u16,
}

/// The series of one kind of request. A client most often asks for the same again, so that each connection keeps the last one
/// instead of looking it up.
#[derive(Debug)]
pub(super) struct Series {
    name: RequestLabels,
    requests: Counter,
    durations: Histogram,
}

/// The methods that are served; all others count as one, so that no client can make up series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
enum Verb {
    #[expect(clippy::upper_case_acronyms, reason = "that is its name")]
    GET,
    #[expect(clippy::upper_case_acronyms, reason = "that is its name")]
    HEAD,
    #[expect(clippy::upper_case_acronyms, reason = "that is its name")]
    POST,
    #[expect(clippy::upper_case_acronyms, reason = "that is its name")]
    PATCH,
    #[expect(clippy::upper_case_acronyms, reason = "that is its name")]
    DELETE,
    #[expect(clippy::upper_case_acronyms, reason = "that is its name")]
    OPTIONS,
    Other,
}

/// A path's template, or one word where none matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Template(Option<Resource>);

impl EncodeLabelValue for Template {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        let template = self.0.map_or("unmatched", Resource::template);
        fmt::Write::write_str(encoder, &template.replace("{id}", ":id"))
    }
}

impl HttpMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(REQUEST_BUCKETS_MS);
        let metrics = Self {
            requests: Family::default(),
            durations: Family::new_with_constructor(durations),
            switches: Histogram::new(SWITCH_BUCKETS_MS),
            active: Gauge::default(),
        };
        let help = "Sessions with a running clock, as far as this instance knows";
        registry.register("synckairos_active_sessions", help, metrics.active.clone());
        registry.register("synckairos_http_requests", "Requests answered", metrics.requests.clone());
        let help = "From the end of a request's head to its answer";
        registry.register("synckairos_http_request_duration_ms", help, metrics.durations.clone());
        let help = "From the end of a switch's head to its answer";
        registry.register("synckairos_switch_cycle_duration_ms", help, metrics.switches.clone());
        metrics
    }

    /// So many sessions have a running clock.
    pub(super) fn active_sessions(&self, count: usize) {
        self.active.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// A request was answered, on a connection that counted in `last` before.
    pub(super) fn answered(
        &self,
        last: &mut Option<Series>,
        method: &Method,
        resource: Option<Resource>,
        status_code: u16,
        took: Duration,
    ) {
        let (method, route) = (Verb::of(method), Template(resource));
        let name = RequestLabels { method, route, status_code };
        let series = match last.take().filter(|last| last.name == name) {
            Some(series) => series,
            None => Series {
                name,
                requests: self.requests.get_or_create_owned(&name),
                durations: self.durations.get_or_create_owned(&DurationLabels { method, route }),
            },
        };
        let took_ms = took.as_secs_f64() * 1_000.0;
        series.requests.inc();
        series.durations.observe(took_ms);
        *last = Some(series);
        if resource == Some(Resource::of(Endpoint::Switch)) {
            self.switches.observe(took_ms);
        }
    }
}

impl Verb {
    fn of(method: &Method) -> Self {
        match *method {
            Method::GET => Verb::GET,
            Method::HEAD => Verb::HEAD,
            Method::POST => Verb::POST,
            Method::PATCH => Verb::PATCH,
            Method::DELETE => Verb::DELETE,
            Method::OPTIONS => Verb::OPTIONS,
            _ => Verb::Other,
        }
    }
}
