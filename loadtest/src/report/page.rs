//! Writes a report as one self-contained HTML page: tables, latencies by percentile, rates over time. Does not know how lines
//! are drawn.

use hdrhistogram::Histogram;

use crate::generator::sample::TICK;

use super::plot::{Axis, Line, Plot, escape};
use super::table::{notes, table, value};
use super::{Report, Row, Series};

/// A line over time has at most about so many points.
const POINTS: usize = 240;
/// Percentiles with a dot and a mark, and what is written there.
const MARKED: [(f64, &str); 6] =
    [(0.0, "0"), (0.5, "50"), (0.9, "90"), (0.99, "99"), (0.999, "99.9"), (0.9999, "99.99")];
const STYLE: &str = include_str!("page.css");

/// The whole page.
pub(crate) fn page(report: &Report) -> String {
    let mut body = format!("<h1>{}</h1><p>{}</p>", escape(report.scenario), escape(report.about));
    body += &format!("<p><code>loadtest {}</code></p>", escape(&report.command_line));
    body += &format!("<p>{}, {}</p>", date(report.machine.began_s), escape(&report.machine.line()));
    let table = table(report);
    if !table.rows.is_empty() {
        let head: String = table.columns.iter().map(|name| format!("<th>{}</th>", escape(name))).collect();
        let row =
            |row: &Vec<String>| -> String { row.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect() };
        let rows: String = table.rows.iter().map(|cells| format!("<tr>{}</tr>", row(cells))).collect();
        body +=
            &format!("<div class=\"wide\"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>");
    }
    if !report.figures.is_empty() {
        let rows = report.figures.iter().map(|figure| {
            format!(
                "<tr><td>{}</td><td>{} {}</td></tr>",
                escape(&figure.name),
                value(figure.value),
                escape(figure.unit)
            )
        });
        body += &format!("<table><tbody>{}</tbody></table>", rows.collect::<String>());
    }
    body.extend(notes(report).iter().map(|note| format!("<p>{}</p>", escape(note))));
    for (load, rows) in by_load(report) {
        body += &latencies(load, &rows);
        body += &rates(load, &rows);
    }
    body.extend(report.series.iter().map(series));
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>SyncKairos {}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>{body}</body></html>\n",
        escape(report.scenario)
    )
}

/// Rows that can be compared with each other, in the order in which they came.
fn by_load(report: &Report) -> Vec<(&str, Vec<&Row>)> {
    let mut groups: Vec<(&str, Vec<&Row>)> = Vec::new();
    for row in &report.rows {
        match groups.iter_mut().find(|(load, _)| *load == row.heading.load) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((&row.heading.load, vec![row])),
        }
    }
    groups
}

fn latencies(load: &str, rows: &[&Row]) -> String {
    let histograms: Vec<_> = rows.iter().map(|row| row.latency_ns()).filter(|all| !all.is_empty()).collect();
    let least = histograms.iter().map(|all| ms(all, 0.0)).fold(f64::INFINITY, f64::min);
    let most = histograms.iter().map(|all| ms(all, 1.0)).fold(0.0, f64::max);
    let count = histograms.iter().map(Histogram::len).max().unwrap_or(1);
    // So far to the right that each latency counts.
    let far = (count as f64).log10().clamp(1.0, 5.0);
    let lines = rows.iter().zip(&histograms).map(|(row, all)| {
        let quantiles = (0..=100).map(|step| 1.0 - 10_f64.powf(-far * f64::from(step) / 100.0));
        let marked = MARKED.iter().filter(|(quantile, _)| nines(*quantile) <= far);
        Line {
            name: name(row),
            points: quantiles.map(|quantile| (nines(quantile), ms(all, quantile).log10())).collect(),
            dots: marked
                .map(|(quantile, text)| {
                    let ms = ms(all, *quantile);
                    (nines(*quantile), ms.log10(), format!("{ms:.3} ms at the {text}th percentile"))
                })
                .collect(),
        }
    });
    let marks = MARKED.iter().map(|(quantile, text)| (nines(*quantile), (*text).to_owned()));
    let plot = Plot {
        title: &format!("Latency by percentile, {load}"),
        x: Axis { name: "percentile", from: 0.0, to: far, marks: marks.filter(|(at, _)| *at <= far).collect() },
        y: Axis::logarithmic("ms", least, most),
        lines: lines.collect(),
    };
    plot.svg()
}

fn rates(load: &str, rows: &[&Row]) -> String {
    let ticks = |row: &Row| -> Vec<u64> {
        // The last tick of a slice is not a whole one.
        let whole = row.slices.iter().map(|slice| &slice.sample.ticks[..slice.sample.ticks.len().saturating_sub(1)]);
        whole.flatten().copied().collect()
    };
    let lines: Vec<_> = rows
        .iter()
        .map(|row| {
            let ticks = ticks(row);
            // At low rates a tick has a few requests or none.
            let few = (20.0 / (row.rate().median * TICK.as_secs_f64())).ceil().clamp(1.0, 20.0) as usize;
            let width = few.max(ticks.len().div_ceil(POINTS)).max(1);
            let seconds = TICK.as_secs_f64() * width as f64;
            let points = ticks
                .chunks_exact(width)
                .enumerate()
                .map(|(index, ticks)| ((index as f64 + 0.5) * seconds, ticks.iter().sum::<u64>() as f64 / seconds));
            Line { name: name(row), points: points.collect(), dots: Vec::new() }
        })
        .collect();
    over_time(&format!("Rate, {load}"), "s, slices one after the other", "per s", lines)
}

fn series(series: &Series) -> String {
    let line = Line { name: series.name.clone(), points: series.points.clone(), dots: Vec::new() };
    over_time(&series.name, "s", series.unit, vec![line])
}

fn over_time(title: &str, x: &str, y: &str, lines: Vec<Line>) -> String {
    let points = || lines.iter().flat_map(|line| &line.points);
    let most = points().fold((0.0_f64, 0.0_f64), |most, point| (most.0.max(point.0), most.1.max(point.1)));
    Plot { title, x: Axis::linear(x, most.0), y: Axis::linear(y, most.1), lines }.svg()
}

fn name(row: &Row) -> String {
    match row.is_baseline() {
        true => row.heading.work.clone(),
        false => format!("{}, {}", row.heading.work, row.target),
    }
}

fn ms(all: &Histogram<u64>, quantile: f64) -> f64 {
    (all.value_at_quantile(quantile) as f64 / 1e6).max(1e-6)
}

/// How far to the right a quantile is: 0.9 at 1, 0.99 at 2.
fn nines(quantile: f64) -> f64 {
    -(1.0 - quantile).log10()
}

/// A date and time in UTC.
fn date(seconds: u64) -> String {
    let mut days = seconds / 86_400;
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 0;
    while days >= lengths[month] {
        days -= lengths[month];
        month += 1;
    }
    let minutes = seconds % 86_400 / 60;
    format!("{year}-{:02}-{:02} {:02}:{:02} UTC", month + 1, days + 1, minutes / 60, minutes % 60)
}
