//! The parameters that a scenario can take, each with the default that the scenario gives it. Does not know which scenarios
//! there are.

use clap::{Arg, value_parser};

/// A parameter of a scenario, with its default.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Parameter {
    /// Numbers of connections, each measured by itself.
    Connections(&'static str),
    /// Requests a second; an empty text is a closed loop.
    Rate(&'static str),
    /// How long each figure is measured, in seconds.
    DurationS(&'static str),
    /// The length of a slice, in ms.
    SliceMs(&'static str),
    Sessions(&'static str),
    /// Clients of each session.
    Clients(&'static str),
    Changes(&'static str),
}

impl Parameter {
    /// The argument of the command line.
    pub(crate) fn arg(self) -> Arg {
        let number = |arg: Arg| arg.value_parser(value_parser!(u64).range(1..)).value_name("N");
        match self {
            Parameter::Connections(default) => Arg::new("connections")
                .long("connections")
                .value_name("N,N")
                .value_delimiter(',')
                .value_parser(value_parser!(u64).range(1..=20_000))
                .default_value(default)
                .help("Connections, each with one request under way; several numbers are measured one by one"),
            Parameter::Rate(default) => {
                let arg = Arg::new("rate").long("rate").value_name("N").value_parser(rate);
                let arg = arg.help("Requests a second, over all connections: open loop");
                if default.is_empty() { arg } else { arg.default_value(default) }
            }
            Parameter::DurationS(default) => number(Arg::new("duration").long("duration"))
                .value_name("S")
                .default_value(default)
                .help("How long each figure is measured in all, in seconds"),
            Parameter::SliceMs(default) => number(Arg::new("slice-ms").long("slice-ms"))
                .value_name("MS")
                .default_value(default)
                .help("How long a turn is: what is compared is measured in turns"),
            Parameter::Sessions(default) => {
                number(Arg::new("sessions").long("sessions")).default_value(default).help("Sessions")
            }
            Parameter::Clients(default) => number(Arg::new("clients").long("clients"))
                .default_value(default)
                .help("WebSocket clients of each session"),
            Parameter::Changes(default) => {
                number(Arg::new("changes").long("changes")).default_value(default).help("Changes that wait")
            }
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate = text.parse::<f64>().map_err(|error| error.to_string())?;
    if rate > 0.0 && rate <= 1_000_000.0 { Ok(rate) } else { Err("not from 0 to 1000000".to_owned()) }
}
