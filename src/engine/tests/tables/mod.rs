//! The rules as tables, one file for each subject; `script` says how to read them.

mod advance;
mod creation;
mod ends;
mod flags;
mod judgement;
mod late;
mod maximum;
mod modes;
mod notify;
mod rotation;
mod settings;
mod turns;
mod warnings;
