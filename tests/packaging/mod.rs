//! The files that install and watch the program, held against the program.
