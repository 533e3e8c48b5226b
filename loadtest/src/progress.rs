//! Shows progress on standard error: one line that is overwritten on a terminal, a line every few seconds elsewhere. Does not
//! know what is measured.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::generator::sample::SharedSample;

const PAUSE: Duration = Duration::from_millis(250);
/// The same where lines stay: in a file or a pipe.
const PAUSE_IN_FILE: Duration = Duration::from_secs(5);

/// What the run is doing. Clones share it.
#[derive(Clone)]
pub(crate) struct Progress(Arc<Mutex<Doing>>);

struct Doing {
    what: String,
    sample: Option<(SharedSample, Instant)>,
    since: Instant,
    is_terminal: bool,
    begun: Instant,
}

impl Progress {
    /// Progress of a run that has just begun.
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let is_terminal = std::io::stderr().is_terminal();
        Self(Arc::new(Mutex::new(Doing {
            what: "starting".to_owned(),
            sample: None,
            since: now,
            is_terminal,
            begun: now,
        })))
    }

    /// Begins another phase, which records into `sample`.
    pub(crate) fn set_phase(&self, what: impl Into<String>, sample: Option<&SharedSample>) {
        let mut doing = self.0.lock();
        let now = Instant::now();
        doing.what = what.into();
        doing.sample = sample.map(|sample| (Arc::clone(sample), now));
        doing.since = now;
    }

    /// Shows progress until the handle is aborted.
    pub(crate) fn say(&self) -> JoinHandle<()> {
        let this = self.clone();
        let pause = if this.0.lock().is_terminal { PAUSE } else { PAUSE_IN_FILE };
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(pause).await;
                this.0.lock().write();
            }
        })
    }

    /// Clears the line on a terminal.
    pub(crate) fn clear(&self) {
        if self.0.lock().is_terminal {
            eprint!("\r\x1b[K");
        }
    }
}

impl Doing {
    fn write(&self) {
        let mut line = format!("[{:4.0} s] {}", self.begun.elapsed().as_secs_f64(), self.what);
        if let Some((sample, since)) = &self.sample {
            let sample = sample.lock();
            let (done, all) = (sample.done(), &sample.latency_ns);
            let per_s = done as f64 / since.elapsed().as_secs_f64();
            let ms = |quantile| all.value_at_quantile(quantile) as f64 / 1e6;
            line += &format!(": {done} done, {per_s:.0}/s, p50 {:.2} ms, p99 {:.2} ms", ms(0.5), ms(0.99));
        } else {
            line += &format!(" ({:.0} s)", self.since.elapsed().as_secs_f64());
        }
        let mut out = std::io::stderr().lock();
        // Standard error may be closed.
        let _ = match self.is_terminal {
            true => write!(out, "\r\x1b[K{line}").and_then(|()| out.flush()),
            false => writeln!(out, "{line}"),
        };
    }
}
