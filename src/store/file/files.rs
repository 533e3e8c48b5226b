//! The files of a data directory, and errors that name them. Does not know what is in them.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// The database's name in the directory.
pub(super) const DATABASE: &str = "synckairos.redb";
/// Locked by the process that has the directory. The database is locked as well, but is closed and opened again after a
/// failed write.
pub(super) const LOCK: &str = "synckairos.lock";

/// An error that names a path.
pub(super) fn at_path(path: &Path, why: &dyn Display) -> io::Error {
    io::Error::other(format!("{}: {why}", path.display()))
}
