//! Who may do what: keys, tokens, grants, and what becomes of those who may not.

mod keys_file;
mod tokens;
