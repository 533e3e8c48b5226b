//! Random numbers from the operating system's generator (getrandom(2)), taken some at a time for each thread: they cannot be
//! foreseen. Does not know what they are for.

use std::cell::RefCell;
use std::time::Duration;

use crate::runtime;

/// How many numbers are taken at once.
const TAKEN: usize = 64;
const NUMBER_LEN: usize = size_of::<u64>();

/// What one thread has taken and not given out yet.
struct RandomPool {
    bytes: [u8; TAKEN * NUMBER_LEN],
    left: usize,
}

thread_local! {
    static POOL: RefCell<RandomPool> = const { RefCell::new(RandomPool { bytes: [0; TAKEN * NUMBER_LEN], left: 0 }) };
}

impl RandomPool {
    fn next(&mut self) -> u64 {
        if self.left == 0 {
            match runtime::simulation() {
                None => getrandom::fill(&mut self.bytes).expect("the operating system has random numbers"),
                Some(simulation) => simulation.fill_random(&mut self.bytes),
            }
            self.left = TAKEN;
        }
        self.left -= 1;
        let number = &mut self.bytes[self.left * NUMBER_LEN..][..NUMBER_LEN];
        let bits = u64::from_ne_bytes((&*number).try_into().expect("eight bytes"));
        // It cannot be read from the memory of this process later.
        number.fill(0);
        bits
    }
}

/// Forgets what this thread has taken: a simulation that begins has its own.
pub fn discard() {
    POOL.with_borrow_mut(|pool| pool.left = 0);
}

/// 64 random bits.
pub fn bits() -> u64 {
    POOL.with_borrow_mut(RandomPool::next)
}

/// A number below `bound`, which is not 0.
pub fn below(bound: u64) -> u64 {
    bits() % bound
}

/// A name that no other process has: 16 hexadecimal digits.
pub fn name() -> String {
    format!("{:016x}", bits())
}

/// A pause of up to `whole`: half of it is fixed and half is jitter, so that those who failed together do not retry together.
pub fn jitter(whole: Duration) -> Duration {
    whole / 2 + whole.mul_f64(below(1_000) as f64 / 2_000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::time::Duration;

    use super::{TAKEN, below, bits, jitter, name};

    #[test]
    fn numbers_differ_on_one_thread_and_on_several() {
        let draw = || (0..3 * TAKEN).map(|_| bits()).collect::<Vec<_>>();
        let others: Vec<_> = (0..3).map(|_| std::thread::spawn(draw)).collect();
        let others = others.into_iter().flat_map(|other| other.join().expect("nobody panics"));
        let all: HashSet<_> = others.chain(draw()).collect();
        assert_eq!(all.len(), 4 * 3 * TAKEN);
        let ones: u32 = all.iter().map(|bits| bits.count_ones()).sum();
        assert!(ones.abs_diff(32 * 4 * 3 * TAKEN as u32) < 1_000, "half of the bits are set: {ones}");
    }

    #[test]
    fn jitter_is_within_the_second_half() {
        let whole = Duration::from_secs(1);
        for _ in 0..1_000 {
            assert!((whole / 2..whole).contains(&jitter(whole)));
            assert!(below(3) < 3);
        }
        assert_eq!(name().len(), 16);
    }
}
