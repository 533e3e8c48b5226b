//! Writes a report as JSON, for machines. Does not know where it is written.

use serde_json::{Value, json};

use super::{Merit, Report, Row, Spread};

/// Quantiles of each row's latencies.
const QUANTILES: [f64; 9] = [0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 1.0];

/// All of it.
pub(crate) fn json(report: &Report) -> Value {
    let machine = &report.machine;
    json!({
        "scenario": report.scenario,
        "command_line": report.command_line,
        "version": env!("CARGO_PKG_VERSION"),
        "began_s": machine.began_s,
        "machine": {
            "cores": machine.cores, "processor": machine.processor, "system": machine.system, "load": machine.load,
        },
        "rows": report.rows.iter().map(|row| self::row(report, row)).collect::<Vec<_>>(),
        "figures": report.figures.iter()
            .map(|figure| json!({"name": figure.name, "value": figure.value, "unit": figure.unit}))
            .collect::<Vec<_>>(),
        "series": report.series.iter()
            .map(|series| json!({"name": series.name, "unit": series.unit, "points": series.points}))
            .collect::<Vec<_>>(),
        "notes": super::table::notes(report),
    })
}

fn row(report: &Report, row: &Row) -> Value {
    let latency_ns = row.latency_ns();
    let at = |quantile: f64| json!([quantile, latency_ns.value_at_quantile(quantile) as f64 / 1e6]);
    let baseline = report.baseline(row).filter(|_| !row.is_baseline());
    json!({
        "work": row.heading.work,
        "server": if row.is_baseline() { "bare hyper" } else { &row.target },
        "load": row.heading.load,
        "merit": match row.heading.merit { Merit::Rate => "rate", Merit::Latency => "latency" },
        "done": row.slices.iter().map(|slice| slice.sample.done()).sum::<u64>(),
        "unsent": row.unsent(),
        "per_s": spread(row.rate()),
        "per_s_audit_written": row.audited_rate(),
        "ratio_to_floor": baseline.map(|baseline| spread(row.ratio_to(baseline))),
        "ratio_to_first": report.first(row).map(|first| spread(row.ratio_to(first))),
        "latency_ms": QUANTILES.map(at),
        "latency_mean_ms": latency_ns.mean() / 1e6,
        "service_p50_ms": row.service_ns().map(|service| service.value_at_quantile(0.5) as f64 / 1e6),
        "server_cpu_s_per_1000": row.server_s(),
        "redis_cpu_s_per_1000": row.helper_s("Redis"),
        "postgresql_cpu_s_per_1000": row.helper_s("PostgreSQL"),
        "generator_of_a_core": row.generator_share(),
        "slices": row.slices.iter().map(|slice| json!({
            "took_s": slice.sample.took.as_secs_f64(),
            "done": slice.sample.done(),
            "p50_ms": slice.sample.latency_ns.value_at_quantile(0.5) as f64 / 1e6,
            "p99_ms": slice.sample.latency_ns.value_at_quantile(0.99) as f64 / 1e6,
            "drained_s": slice.drained.map(|drained| drained.as_secs_f64()),
            "done_per_100_ms": slice.sample.ticks,
        })).collect::<Vec<_>>(),
    })
}

fn spread(Spread { median, least, most }: Spread) -> Value {
    json!({"median": median, "least": least, "most": most})
}
