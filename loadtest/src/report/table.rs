//! Writes a report as text for people: a table that is Markdown too, then figures and notes. Does not know the page.

use super::{Merit, Report, Row, Spread};

/// Names of columns and the cells below them.
pub(crate) struct Table {
    pub(crate) columns: Vec<&'static str>,
    pub(crate) rows: Vec<Vec<String>>,
}

/// All rows, without columns that are empty.
pub(crate) fn table(report: &Report) -> Table {
    type Cell = Box<dyn Fn(&Row) -> Option<String>>;
    let percentile = |quantile: f64| -> Cell {
        Box::new(move |row| Some(ms(row.latency_ns().value_at_quantile(quantile) as f64 / 1e6)))
    };
    let ratios = |pick: fn(&Report, &Row) -> Option<Spread>| {
        let cells: Vec<_> = report.rows.iter().map(|row| pick(report, row).map(spread)).collect();
        move |index: usize| cells[index].clone()
    };
    let to_baseline = ratios(|report, row| Some(row.ratio_to(report.baseline(row).filter(|_| !row.is_baseline())?)));
    let to_first = ratios(|report, row| Some(row.ratio_to(report.first(row)?)));
    let of_place = |cell: &dyn Fn(usize) -> Option<String>| (0..report.rows.len()).map(cell).collect::<Vec<_>>();
    let each = |cell: Cell| report.rows.iter().map(cell).collect::<Vec<_>>();
    let seconds = |value: Option<f64>| value.map(|value| format!("{value:.4}"));
    let columns = [
        ("work", each(Box::new(|row| Some(row.heading.work.clone())))),
        ("server", each(Box::new(|row| (!row.is_baseline()).then(|| row.target.clone())))),
        ("load", each(Box::new(|row| Some(row.heading.load.clone())))),
        ("per s", each(Box::new(|row| Some(rate(row.rate().median))))),
        ("ratio to the baseline", of_place(&to_baseline)),
        ("ratio to the first", of_place(&to_first)),
        ("p50 ms", each(percentile(0.5))),
        ("p90 ms", each(percentile(0.9))),
        ("p99 ms", each(percentile(0.99))),
        ("p99.9 ms", each(percentile(0.999))),
        ("max ms", each(Box::new(|row| Some(ms(row.latency_ns().max() as f64 / 1e6))))),
        ("p50 ms from sending", each(Box::new(|row| Some(ms(row.service_ns()?.value_at_quantile(0.5) as f64 / 1e6))))),
        ("per s, audit written", each(Box::new(|row| Some(rate(row.audited_rate()?))))),
        ("server CPU s per 1,000", each(Box::new(move |row| seconds(row.server_s())))),
        ("Redis", each(Box::new(move |row| seconds(row.helper_s("Redis"))))),
        ("PostgreSQL", each(Box::new(move |row| seconds(row.helper_s("PostgreSQL"))))),
        ("generator, of a core", each(Box::new(|row| Some(format!("{:.2}", row.generator_share()?))))),
    ];
    let (columns, cells): (Vec<_>, Vec<_>) =
        columns.into_iter().filter(|(_, cells)| cells.iter().any(Option::is_some)).unzip();
    let rows = (0..report.rows.len())
        .map(|index| cells.iter().map(|column| column[index].clone().unwrap_or_default()).collect())
        .collect();
    Table { columns, rows }
}

/// Everything, for a terminal or a README.
pub(crate) fn text(report: &Report) -> String {
    let mut text = format!("\n{}: {}\n{}\n", report.scenario, report.about, report.machine.line());
    let table = table(report);
    if !table.rows.is_empty() {
        let lines = std::iter::once(table.columns.iter().map(|&name| name.to_owned()).collect()).chain(table.rows);
        let lines: Vec<Vec<String>> = lines.collect();
        let widths: Vec<_> = (0..table.columns.len())
            .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default())
            .collect();
        text.push('\n');
        for (index, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            text += &format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "));
            if index == 0 {
                let dashes = widths.iter().map(|&width| "-".repeat(width));
                text += &format!("| {} |\n", dashes.collect::<Vec<_>>().join(" | "));
            }
        }
    }
    for (index, figure) in report.figures.iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        text += &format!("{gap}- {}: {} {}\n", figure.name, value(figure.value), figure.unit);
    }
    for (index, note) in notes(report).iter().enumerate() {
        let gap = if index == 0 { "\n" } else { "" };
        text += &format!("{gap}{note}\n");
    }
    text
}

/// The notes that explain the figures.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let mut notes = report.notes.clone();
    let has = |is: &dyn Fn(&Row) -> bool| report.rows.iter().any(is);
    if has(&|row| row.slices.len() > 1) {
        let slices = report.rows.iter().map(|row| row.slices.len()).max().unwrap_or_default();
        notes.push(format!("Figures are medians of {slices} turns; ratios are the median (least to most) of those of turns that followed each other."));
    }
    if has(&|row| {
        row.heading.merit == Merit::Latency && report.baseline(row).is_some_and(|baseline| !std::ptr::eq(baseline, row))
    }) || has(&|row| row.heading.merit == Merit::Latency && report.first(row).is_some())
    {
        notes.push("In an open loop ratios are of the median latency: less is better.".to_owned());
    }
    for row in report.rows.iter().filter(|row| row.unsent() > 0) {
        let Row { heading, .. } = row;
        notes.push(format!(
            "OVERLOADED: {} at {}: {} requests were never sent, since the server was more than 10 s behind.",
            heading.work,
            heading.load,
            row.unsent()
        ));
    }
    notes
}

pub(crate) fn spread(Spread { median, least, most }: Spread) -> String {
    if least == most { format!("{median:.2}") } else { format!("{median:.2} ({least:.2} to {most:.2})") }
}

/// A number with as many digits as its size needs.
pub(crate) fn value(value: f64) -> String {
    match value.abs() {
        size if size >= 1_000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

fn rate(per_s: f64) -> String {
    if per_s >= 1_000.0 { format!("{per_s:.0}") } else { format!("{per_s:.1}") }
}

fn ms(ms: f64) -> String {
    format!("{ms:.3}")
}
