//! Supervision: each panic harms one thing only, is counted and logged, and its task restarts. docs/change/testing.md says how a test
//! asks for a panic.

mod embedded;
mod filed;
