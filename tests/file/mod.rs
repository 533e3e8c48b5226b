//! Sessions that outlive the process that serves them: real processes that are killed, stopped and kept from writing,
//! and what is there when the next one has the directory.

mod fixtures;
mod backup;
mod forgotten;
mod kills;
mod pages;
mod restarts;
mod trouble;
