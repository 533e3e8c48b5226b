//! Draws plots as inline SVG: lines over a linear or logarithmic axis, without anything to load. Does not know what is plotted.

use std::fmt::Write;

/// Width and height, and what is kept free for the axes.
const SIZE: (f64, f64) = (760.0, 320.0);
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 40.0;
/// How many colors there are; more lines differ by their dashes.
const COLORS: usize = 8;

/// Lines over two axes.
pub(crate) struct Plot<'p> {
    pub(crate) title: &'p str,
    pub(crate) x: Axis<'p>,
    pub(crate) y: Axis<'p>,
    pub(crate) lines: Vec<Line>,
}

/// An axis: where its values lie, in units of its own, and which are written beside it.
pub(crate) struct Axis<'p> {
    pub(crate) name: &'p str,
    pub(crate) from: f64,
    pub(crate) to: f64,
    pub(crate) marks: Vec<(f64, String)>,
}

/// One line; places are in units of the axes.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Places that tell their value when pointed at.
    pub(crate) dots: Vec<(f64, f64, String)>,
}

impl Plot<'_> {
    /// A figure with its legend.
    pub(crate) fn svg(&self) -> String {
        let mut svg = format!(
            "<figure><figcaption>{}</figcaption><svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
            escape(self.title),
            SIZE.0,
            SIZE.1,
            escape(self.title)
        );
        let bottom = SIZE.1 - BOTTOM;
        for (at, label) in &self.y.marks {
            let y = self.y(*at);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                SIZE.0 - RIGHT
            );
            let _ = write!(
                svg,
                "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                LEFT - 8.0,
                y + 4.0,
                escape(label)
            );
        }
        for (at, label) in &self.x.marks {
            let x = self.x(*at);
            let _ = write!(
                svg,
                "<line class=\"tick\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{bottom}\" y2=\"{}\"/>",
                bottom + 4.0
            );
            let _ = write!(
                svg,
                "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                bottom + 18.0,
                escape(label)
            );
        }
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{bottom}\" y2=\"{bottom}\"/>",
            SIZE.0 - RIGHT
        );
        let middle = LEFT + (SIZE.0 - RIGHT - LEFT) / 2.0;
        let _ = write!(
            svg,
            "<text x=\"{middle}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            SIZE.1 - 4.0,
            escape(self.x.name)
        );
        let _ = write!(
            svg,
            "<text transform=\"translate(12 {}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            TOP + (bottom - TOP) / 2.0,
            escape(self.y.name)
        );
        for (index, line) in self.lines.iter().enumerate() {
            let points: Vec<_> =
                line.points.iter().map(|(x, y)| format!("{:.1},{:.1}", self.x(*x), self.y(*y))).collect();
            let class = class(index);
            let _ = write!(svg, "<polyline class=\"line {class}\" points=\"{}\"/>", points.join(" "));
            for (x, y, text) in &line.dots {
                let _ = write!(
                    svg,
                    "<circle class=\"dot {class}\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\"><title>{}: {}</title></circle>",
                    self.x(*x),
                    self.y(*y),
                    escape(&line.name),
                    escape(text)
                );
            }
        }
        svg += "</svg><ul class=\"legend\">";
        for (index, line) in self.lines.iter().enumerate() {
            let _ = write!(
                svg,
                "<li><svg viewBox=\"0 0 24 8\"><line class=\"line {}\" x1=\"0\" x2=\"24\" y1=\"4\" y2=\"4\"/></svg>{}</li>",
                class(index),
                escape(&line.name)
            );
        }
        svg + "</ul></figure>"
    }

    fn x(&self, at: f64) -> f64 {
        LEFT + self.x.share(at) * (SIZE.0 - RIGHT - LEFT)
    }

    fn y(&self, at: f64) -> f64 {
        let bottom = SIZE.1 - BOTTOM;
        bottom - self.y.share(at) * (bottom - TOP)
    }
}

impl<'p> Axis<'p> {
    /// From 0 to `most` or a little more, with some round values.
    pub(crate) fn linear(name: &'p str, most: f64) -> Self {
        let most = if most > 0.0 { most } else { 1.0 };
        let rough = most / 5.0;
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough);
        let step = step.unwrap_or(rough);
        let count = (most / step).ceil() as usize;
        let marks = (0..=count).map(|number| (number as f64 * step, short(number as f64 * step))).collect();
        Self { name, from: 0.0, to: count as f64 * step, marks }
    }

    /// Powers of ten around what there is; places on it are logarithms.
    pub(crate) fn logarithmic(name: &'p str, least: f64, most: f64) -> Self {
        let (from, to) = (least.max(1e-6).log10().floor(), most.max(1e-5).log10().ceil());
        let to = if to > from { to } else { from + 1.0 };
        let marks = (from as i32..=to as i32).map(|power| (f64::from(power), short(10_f64.powi(power)))).collect();
        Self { name, from, to, marks }
    }

    fn share(&self, at: f64) -> f64 {
        ((at - self.from) / (self.to - self.from)).clamp(0.0, 1.0)
    }
}

/// What distinguishes a line from the others.
fn class(index: usize) -> String {
    let dashes = if index >= COLORS { " dashed" } else { "" };
    format!("c{}{dashes}", index % COLORS)
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{}M", round(value / 1e6)),
        value if value >= 1e3 => format!("{}k", round(value / 1e3)),
        value => round(value),
    }
}

/// Without digits that say nothing.
fn round(value: f64) -> String {
    let text = format!("{value:.5}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Text for HTML and SVG.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
