//! The embedded backends under the contract of `synckairos::store`; the cases are `test_support::conformance`'s.

mod file;
mod memory;
