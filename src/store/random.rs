//! What nobody can foresee. Does not know what it is for.

use std::hash::{BuildHasher, RandomState};

use crate::engine::Uuid;

/// Bits that nobody can foresee: the standard library's hash keys are random.
pub(super) fn bits() -> u64 {
    RandomState::new().hash_one(0_u8)
}

/// A name that nobody else gives (RFC 9562, section 5.4).
pub(super) fn uuid() -> Uuid {
    let random = u128::from(bits()) << 64 | u128::from(bits());
    Uuid::from_bits(random & !(0xf << 76) & !(0b11 << 62) | 4 << 76 | 0b10 << 62)
}
