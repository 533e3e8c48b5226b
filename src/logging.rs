//! Where log lines go and how they look. Does not know what is logged.

use std::io::{IsTerminal, stderr};

use tracing::level_filters::LevelFilter;

use crate::config::LogFormat;

/// From now on lines up to `level` go to standard error.
pub fn start(level: LevelFilter, format: LogFormat) {
    // Whoever reads the log may go away; that is no reason to fail.
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(stderr).log_internal_errors(false);
    let as_text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => stderr().is_terminal(),
    };
    if as_text {
        lines.with_ansi(stderr().is_terminal()).with_target(false).init();
    } else {
        lines.json().flatten_event(true).init();
    }
}
