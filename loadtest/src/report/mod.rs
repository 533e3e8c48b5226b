//! The report of a run: rows of latencies and rates measured in slices of time, single figures, and series over time. Does not
//! know how they are shown, nor how they were measured.

pub(crate) mod json;
pub(crate) mod machine;
pub(crate) mod page;
pub(crate) mod plot;
pub(crate) mod table;

use std::time::Duration;

use hdrhistogram::Histogram;

use crate::generator::sample::Sample;
use crate::servers::target::Usage;
use machine::Machine;

/// The result of a run.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) scenario: &'static str,
    pub(crate) about: &'static str,
    pub(crate) command_line: String,
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) series: Vec<Series>,
    pub(crate) notes: Vec<String>,
}

/// One kind of work on one server under one load.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) heading: Heading,
    /// The server's name; empty for the baseline.
    pub(crate) target: String,
    pub(crate) slices: Vec<Slice>,
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heading {
    pub(crate) work: String,
    /// Such as `64 connections`.
    pub(crate) load: String,
    pub(crate) merit: Merit,
    /// Whether the processor time of a request is shown.
    pub(crate) has_cost: bool,
}

/// The figure by which two rows are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Merit {
    /// Requests a second: more is better.
    Rate,
    /// The median latency: less is better.
    Latency,
}

/// The measurements of one slice of time.
#[derive(Debug)]
pub(crate) struct Slice {
    pub(crate) sample: Sample,
    /// Processor time; `None` when the target did something else too.
    pub(crate) usage: Option<Usage>,
    /// How long the audit took afterwards to write everything; `None` when there was nothing to write.
    pub(crate) drained: Option<Duration>,
}

/// A single figure.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: &'static str,
}

/// A number over time.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    /// Seconds and values.
    pub(crate) points: Vec<(f64, f64)>,
}

/// The median and the range of a figure over several slices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Report {
    /// Whether nothing was measured.
    pub(crate) fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.figures.is_empty()
    }

    /// Adds a figure.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.figures.push(Figure { name: name.into(), value, unit });
    }

    /// Adds a note.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.notes.push(text.into());
    }

    /// The baseline under the same load, if there is one.
    pub(crate) fn baseline(&self, row: &Row) -> Option<&Row> {
        self.rows.iter().find(|other| other.is_baseline() && other.heading.load == row.heading.load)
    }

    /// The same work under the same load on the first server, if this is another one.
    pub(crate) fn first(&self, row: &Row) -> Option<&Row> {
        let first = self.rows.iter().find(|other| other.heading == row.heading)?;
        (first.target != row.target).then_some(first)
    }
}

impl Row {
    pub(crate) fn is_baseline(&self) -> bool {
        self.target.is_empty()
    }

    /// All latencies, in ns.
    pub(crate) fn latency_ns(&self) -> Histogram<u64> {
        merged(self.slices.iter().map(|slice| &slice.sample.latency_ns))
    }

    /// All latencies from when a request was really sent, in ns; `None` in a closed loop, where it is the same.
    pub(crate) fn service_ns(&self) -> Option<Histogram<u64>> {
        let all = merged(self.slices.iter().map(|slice| &slice.sample.service_ns));
        (!all.is_empty()).then_some(all)
    }

    /// Requests a second.
    pub(crate) fn rate(&self) -> Spread {
        Spread::of(self.slices.iter().map(|slice| slice.sample.rate()))
    }

    /// Requests a second, the time included that the audit took to write everything.
    pub(crate) fn audited_rate(&self) -> Option<f64> {
        self.median(|slice| {
            let took = slice.sample.took + slice.drained?;
            Some(slice.sample.done() as f64 / took.as_secs_f64())
        })
    }

    /// Processor time of the server for 1,000 requests, in seconds.
    pub(crate) fn server_s(&self) -> Option<f64> {
        self.median(|slice| Some(per_1000(slice.usage.as_ref()?.server_s?, slice)))
    }

    /// Processor time of a helper for 1,000 requests, in seconds.
    pub(crate) fn helper_s(&self, name: &str) -> Option<f64> {
        self.median(|slice| {
            let (_, used_s) = slice.usage.as_ref()?.helpers_s.iter().find(|(helper, _)| *helper == name)?;
            Some(per_1000(*used_s, slice))
        })
    }

    /// How much of a core the generator used.
    pub(crate) fn generator_share(&self) -> Option<f64> {
        self.median(|slice| Some(slice.usage.as_ref()?.own_s / slice.sample.took.as_secs_f64()))
    }

    /// The median of something that all slices have.
    fn median(&self, value: impl Fn(&Slice) -> Option<f64>) -> Option<f64> {
        let values: Option<Vec<_>> = self.slices.iter().map(value).collect();
        values.filter(|values| !values.is_empty()).map(|values| Spread::of(values.into_iter()).median)
    }

    /// Requests that were never sent.
    pub(crate) fn unsent(&self) -> u64 {
        self.slices.iter().map(|slice| slice.sample.unsent).sum()
    }

    /// Its merit as a ratio to another row's, slice by slice: slices that ran next to each other are compared.
    pub(crate) fn ratio_to(&self, other: &Row) -> Spread {
        let merit = |slice: &Slice| match self.heading.merit {
            Merit::Rate => slice.sample.rate(),
            Merit::Latency => slice.sample.latency_ns.value_at_quantile(0.5) as f64,
        };
        Spread::of(self.slices.iter().zip(&other.slices).map(|(own, other)| merit(own) / merit(other)))
    }
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let last = values.len().saturating_sub(1);
        Self { median: (at(last / 2) + at(last.div_ceil(2))) / 2.0, least: at(0), most: at(last) }
    }
}

fn per_1000(used_s: f64, slice: &Slice) -> f64 {
    used_s * 1_000.0 / slice.sample.done() as f64
}

fn merged<'h>(all: impl Iterator<Item = &'h Histogram<u64>>) -> Histogram<u64> {
    let mut sum = Sample::new().latency_ns;
    for histogram in all {
        sum += histogram;
    }
    sum
}
