//! The checker itself: right histories of any shape pass, wrong ones of each kind are found.

mod generated;
mod right;
mod wrong;
