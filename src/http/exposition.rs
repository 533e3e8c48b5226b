//! The exposition of metrics in the form that a scraper accepts: OpenMetrics, or Prometheus' older text. Does not know what is
//! counted.

use std::fmt::Write;

use bytes::Bytes;
use hyper::header::{ACCEPT, HeaderMap};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::accept::weight;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Everything in a registry, and of which kind the text is.
pub(super) fn exposition(registry: &Registry, headers: &HeaderMap) -> (&'static str, Bytes) {
    let mut open_metrics = String::with_capacity(32 * 1_024);
    encode(&mut open_metrics, registry).expect("writing to memory does not fail");
    if is_open_metrics_wanted(headers) {
        return (OPEN_METRICS, open_metrics.into());
    }
    (TEXT, text(&open_metrics).into())
}

/// Whether a client wants OpenMetrics more than text.
fn is_open_metrics_wanted(headers: &HeaderMap) -> bool {
    let wanted = |name: &'static str, range: &'static str, versions: &'static [&'static str]| {
        weight(headers, &ACCEPT, move |entry| {
            let mut parts = entry.split(';').map(str::trim);
            let kind = parts.next()?;
            let mut versions_asked = parts.filter_map(|part| part.strip_prefix("version="));
            let is_known = versions_asked.all(|version| versions.contains(&version.trim_matches('"')));
            match kind {
                _ if kind.eq_ignore_ascii_case(name) => is_known.then_some(2),
                _ if kind.eq_ignore_ascii_case(range) => Some(1),
                "*/*" => Some(0),
                _ => None,
            }
        })
        .unwrap_or_default()
    };
    let open_metrics = wanted("application/openmetrics-text", "application/*", &["1.0.0", "0.0.1"]);
    open_metrics > wanted("text/plain", "text/*", &["0.0.4"])
}

/// Prometheus' text format, version 0.0.4, of what is written as OpenMetrics: a counter has the name of its samples, a bound
/// is written as Go writes numbers, and nothing says where the end is.
fn text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    // Of a metric's name and what it means, which come before its type.
    let mut help: Option<(&str, &str)> = None;
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" | "stateset" => ("", "untyped"),
                other => ("", other),
            };
            if let Some((_, what)) = help.take().filter(|(described, _)| *described == name) {
                let _ = writeln!(text, "# HELP {name}{suffix} {what}");
            }
            let _ = writeln!(text, "# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with('#') {
            sample(&mut text, line);
        }
    }
    text
}

/// A sample; `le="50.0"` becomes `le="50"`.
fn sample(text: &mut String, line: &str) {
    const BOUND: &str = "le=\"";
    let start = line.find("_bucket{").and_then(|bucket| line[bucket..].find(BOUND).map(|at| bucket + at + BOUND.len()));
    let bound = start.and_then(|start| line[start..].split_once('"'));
    match start.zip(bound) {
        Some((start, (bound, rest))) => {
            text.push_str(&line[..start]);
            text.push_str(bound.strip_suffix(".0").unwrap_or(bound));
            let _ = writeln!(text, "\"{rest}");
        }
        None => {
            let _ = writeln!(text, "{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_open_metrics_wanted, text};
    use hyper::header::{ACCEPT, HeaderMap, HeaderValue};

    #[test]
    fn open_metrics_are_for_whoever_wants_them_more() {
        for (value, is_wanted) in [
            ("application/openmetrics-text", true),
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                true,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,text/plain;version=0.0.4;q=0.5",
                true,
            ),
            ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", false),
            ("application/openmetrics-text;version=2.0.0", false),
            ("application/openmetrics-text;q=0", false),
            ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;q=0.7,text/plain;q=0.3", false),
            ("text/html,*/*;q=0.8", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]);
            assert_eq!(is_open_metrics_wanted(&headers), is_wanted, "{value}");
        }
        assert!(!is_open_metrics_wanted(&HeaderMap::new()));
    }

    #[test]
    fn the_older_text_is_as_it_must_be() {
        let open_metrics = "# HELP a_b What.\n# TYPE a_b counter\na_b_total{x=\"le=\\\"1.0\\\"\"} 1\n\
            # HELP h Long.\n# TYPE h histogram\n# UNIT h seconds\nh_sum 1.5\nh_count 2\nh_bucket{x=\"y\",le=\"0.005\"} 1\n\
            h_bucket{x=\"y\",le=\"50.0\"} 1\nh_bucket{x=\"y\",le=\"+Inf\"} 2\n# HELP g It.\n# TYPE g gauge\ng 1.0\n# EOF\n";
        let expected = "# HELP a_b_total What.\n# TYPE a_b_total counter\na_b_total{x=\"le=\\\"1.0\\\"\"} 1\n\
            # HELP h Long.\n# TYPE h histogram\nh_sum 1.5\nh_count 2\nh_bucket{x=\"y\",le=\"0.005\"} 1\n\
            h_bucket{x=\"y\",le=\"50\"} 1\nh_bucket{x=\"y\",le=\"+Inf\"} 2\n# HELP g It.\n# TYPE g gauge\ng 1.0\n";
        assert_eq!(text(open_metrics), expected);
    }
}
