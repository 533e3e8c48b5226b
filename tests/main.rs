//! All integration tests, in one binary: a file for each behaviour, `support` for what they share.

mod support;
