//! The time by the server's clock, in a file beside the database, so that the next process knows how its own clock compares
//! to what is stored. Written often and never flushed: it has to outlive the process, not the machine. Does not know sessions.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::clock::{CHECK_INTERVAL, Clock};
use crate::engine::{Millis, Timestamp};

/// The file's name in the directory.
const NAME: &str = "synckairos.clock";
/// Two numbers of twenty places, a space and a line's end.
const LEN: usize = 42;
/// Clocks that differ by less count as the same.
const TOLERANCE: Millis = Millis::new(50);

/// The file.
pub(in crate::store) struct Timeline {
    file: File,
    last: Option<ClockStand>,
}

/// Where the last process's clock stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClockStand {
    now: Timestamp,
    /// How far the operating system's clock was ahead of it.
    lag_ms: i64,
}

impl Timeline {
    /// Opens the file in a directory, which is made when there is none.
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(directory.join(NAME))?;
        let mut text = [0; LEN];
        let last = file.read_exact_at(&mut text, 0).ok().and_then(|()| stand(&text));
        Ok(Self { file, last })
    }

    /// Writes down the time by `clock`.
    pub(in crate::store) fn write(&self, clock: &Clock) -> io::Result<()> {
        let (now, lag_ms) = (clock.now().as_ms(), clock.lag_us() / 1_000);
        self.file.write_all_at(format!("{now:020} {lag_ms:020}\n").as_bytes(), 0)
    }

    /// What the last process's clock would show now at least, when that is not what the present clock shows. `newest` is
    /// the newest instant that is kept.
    pub(in crate::store) fn lost_at(&self, now: Timestamp, newest: Timestamp) -> Option<Timestamp> {
        let ClockStand { now: seen, lag_ms } = self.last.unwrap_or(ClockStand { now: newest, lag_ms: 0 });
        let lag = Millis::new(lag_ms.unsigned_abs());
        let goes_on = if lag_ms < 0 { now + lag } else { now.before(lag) };
        // Where it stood when it ended is known to one interval.
        let end = if goes_on < seen { seen + Millis::new(CHECK_INTERVAL.as_millis() as u64) } else { goes_on };
        let at = end.max(newest);
        (at.since(now).max(now.since(at)) > TOLERANCE).then_some(at)
    }
}

fn stand(text: &[u8]) -> Option<ClockStand> {
    let (now, lag_ms) = std::str::from_utf8(text).ok()?.trim_end().split_once(' ')?;
    Some(ClockStand { now: Timestamp::from_ms(now.parse().ok()?), lag_ms: lag_ms.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::{ClockStand, Timeline, stand};
    use crate::engine::Timestamp;

    fn lost_at(seen: u64, lag_ms: i64, now: u64, newest: u64) -> Option<u64> {
        let file = std::fs::File::open("/dev/null").expect("it is there");
        let timeline = Timeline { file, last: Some(ClockStand { now: Timestamp::from_ms(seen), lag_ms }) };
        timeline.lost_at(Timestamp::from_ms(now), Timestamp::from_ms(newest)).map(Timestamp::as_ms)
    }

    #[test]
    fn a_clock_that_goes_on_is_the_same() {
        assert_eq!(lost_at(100_000, 0, 100_001, 90_000), None);
        assert_eq!(lost_at(100_000, 0, 4_100_000, 90_000), None);
        assert_eq!(lost_at(100_000, -40, 200_000, 90_000), None);
    }

    #[test]
    fn a_clock_that_was_set_back_stood_where_it_was_seen() {
        assert_eq!(lost_at(3_700_000, 0, 101_000, 3_600_000), Some(3_700_250));
        assert_eq!(lost_at(3_700_000, 0, 101_000, 3_800_000), Some(3_800_000));
    }

    #[test]
    fn what_the_clock_had_not_caught_up_with_is_known() {
        assert_eq!(lost_at(100_000, 15_000, 120_000, 90_000), Some(105_000));
        assert_eq!(lost_at(100_000, -15_000, 90_000, 90_000), Some(105_000));
    }

    #[test]
    fn a_stand_is_read_as_it_is_written() {
        let text = format!("{:020} {:020}\n", 1_800_000_000_000_u64, -3_599_999_i64);
        assert_eq!(text.len(), super::LEN);
        let expected = ClockStand { now: Timestamp::from_ms(1_800_000_000_000), lag_ms: -3_599_999 };
        assert_eq!(stand(text.as_bytes()), Some(expected));
        assert_eq!(stand(b"somebody's letter"), None);
    }
}
