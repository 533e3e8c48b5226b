//! Where log lines go and how they look: a thread of their own writes them, behind a queue that is bounded, so that nobody
//! waits for whoever reads the log. What does not fit is dropped and counted. Does not know what is logged.

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

static QUEUE: LazyLock<Queue> = LazyLock::new(Queue::default);

thread_local! {
    /// Whether this is the thread that writes: what it has to say itself always fits.
    static IS_WRITER: Cell<bool> = const { Cell::new(false) };
}

/// From now on lines up to `level` go to standard error.
pub fn start(level: LevelFilter, format: LogFormat) {
    let is_terminal = stderr().is_terminal();
    let lines = tracing_subscriber::fmt().with_max_level(level).with_writer(|| Line).log_internal_errors(false);
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
    // Without it lines are dropped and counted, which is told as the first one.
    if let Err(error) = writer {
        eprintln!("synckairos: nothing is logged: {error}");
    }
}

/// Counts among a server's metrics what is dropped.
pub fn register(registry: &mut Registry) {
    let help = "Log lines that were dropped, since whoever reads the log did not keep up";
    registry.register("synckairos_log_lines_dropped", help, QUEUE.dropped.clone());
}

/// Waits until everything is written that was logged, but not for long: whoever reads the log may not.
pub fn flush() {
    QUEUE.flush(FLUSH_TIMEOUT);
}

/// Lines that wait to be written.
#[derive(Default)]
struct Queue {
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
    /// Dropped since that was said last.
    unsaid: u64,
}

impl Queue {
    /// Takes a line in, or drops it when there is no room.
    fn push(&self, line: &[u8]) {
        let mut lines = self.lines.lock();
        if lines.bytes + line.len() > QUEUE_BYTES_MAX && !IS_WRITER.get() {
            lines.unsaid += 1;
            drop(lines);
            self.dropped.inc();
            return;
        }
        lines.bytes += line.len();
        lines.waiting.push_back(line.into());
        drop(lines);
        self.filled.notify_one();
    }

    /// Writes for ever what comes.
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
                // Whoever reads the log may go away; that is no reason to fail.
                if stderr().write_all(&line).is_err() {
                    self.dropped.inc();
                }
                // Room is made when it was really read.
                self.lines.lock().bytes -= line.len();
            }
            let unsaid = std::mem::take(&mut self.lines.lock().unsaid);
            if unsaid > 0 {
                warn!(lines = unsaid, "log lines were dropped: whoever reads the log did not keep up");
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
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        QUEUE.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
