//! Random pauses, so that instances that met once do not meet again. Does not know why they wait.

use std::time::Duration;

use crate::random;

/// A length between the two, in microseconds.
pub(in crate::store::redis) fn between_us(least: u64, most: u64) -> Duration {
    Duration::from_micros(least + random::below(most - least + 1))
}
