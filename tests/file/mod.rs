//! Data directories: real processes that crash, stop and fail to write, and what the next one recovers.

mod fixtures;
mod backup;
mod forgotten;
mod kills;
mod pages;
mod restarts;
mod trouble;
