//! Log lines: a thread of its own writes them, behind a bounded queue, so that a log that is not read slows nothing down. Lines
//! that do not fit are dropped and counted. Does not know what is logged.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write, stderr};
use std::sync::LazyLock;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tracing::level_filters::LevelFilter;
use tracing::warn;

use crate::config::LogFormat;

/// Bytes that may wait to be written.
const QUEUE_BYTES_MAX: usize = 1_048_576;
/// How long the last lines may take to be written when the program ends.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

static QUEUE: LazyLock<LogQueue> = LazyLock::new(LogQueue::default);

thread_local! {
    /// Whether this is the thread that writes: what it has to say itself always fits.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// From now on lines up to `level` go to standard error.
pub fn start(level: LevelFilter, format: LogFormat) {
    let is_terminal = stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(|| LogLine).log_internal_errors(false);
    let as_text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => is_terminal,
    };
    if as_text {
        lines.with_ansi(is_terminal).with_target(false).init();
    } else {
        lines.json().flatten_event(true).init();
    }
    let writer = std::thread::Builder::new().name("log".to_owned()).spawn(|| QUEUE.write());
    // Without it lines are dropped and counted.
    if let Err(error) = writer {
        eprintln!("synckairos: nothing is logged: {error}");
    }
}

/// Counts among a server's metrics what is dropped.
pub fn register(registry: &mut Registry) {
    let help = "Log lines that were dropped, since whoever reads the log did not keep up";
    registry.register("synckairos_log_lines_dropped", help, QUEUE.dropped.clone());
}

/// Waits until everything is written that was logged, but not for long: nobody may read the log.
pub fn flush() {
    QUEUE.flush(FLUSH_TIMEOUT);
}

/// Lines that wait to be written.
#[derive(Default)]
struct LogQueue {
    lines: Mutex<Lines>,
    /// There is something to write.
    filled: Condvar,
    /// There is nothing any more.
    emptied: Condvar,
    dropped: Counter,
}

#[derive(Default)]
struct Lines {
    waiting: VecDeque<Box<[u8]>>,
    bytes: usize,
    /// Taken out, and not written yet.
    is_writing: bool,
    /// Dropped since the last line that says so.
    unreported: u64,
}

impl LogQueue {
    /// Takes a line in, or drops it when there is no room.
    fn push(&self, line: &[u8]) {
        let mut lines = self.lines.lock();
        if lines.bytes + line.len() > QUEUE_BYTES_MAX && !IS_WRITER.get() {
            lines.unreported += 1;
            drop(lines);
            self.dropped.inc();
            return;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line.into());
        drop(lines);
        self.filled.notify_one();
    }

    /// Writes lines as they come.
    fn write(&self) {
        IS_WRITER.set(true);
        loop {
            let mut lines = self.lines.lock();
            while lines.waiting.is_empty() {
                lines.is_writing = false;
                self.emptied.notify_all();
                self.filled.wait(&mut lines);
            }
            let taken = std::mem::take(&mut lines.waiting);
            lines.is_writing = true;
            drop(lines);
            for line in taken {
                // A reader of the log that goes away is no reason to fail.
                if stderr().write_all(&line).is_err() {
                    self.dropped.inc();
                }
                // Room is made when it was really read.
                self.lines.lock().bytes -= line.len();
            }
            let unreported = std::mem::take(&mut self.lines.lock().unreported);
            if unreported > 0 {
                warn!(lines = unreported, "log lines were dropped: whoever reads the log did not keep up");
            }
        }
    }

    fn flush(&self, timeout: Duration) {
        let mut lines = self.lines.lock();
        let is_left = |lines: &mut Lines| lines.is_writing || !lines.waiting.is_empty();
        self.emptied.wait_while_for(&mut lines, is_left, timeout);
    }
}

/// What a line is written into: it comes as a whole, in one call.
struct LogLine;

impl Write for LogLine {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        QUEUE.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
