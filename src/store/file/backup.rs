//! A copy of a data directory while a server uses it: a client of a socket in the directory receives all rows as of one
//! instant, and makes a database of them. Does not know what rows say.
//!
//! Sent is a line with the format's name, then for each row the table's number, the lengths of key and value (4 bytes each,
//! big-endian) and those; a zero ends it.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixListener;
use tracing::{info, warn};

use crate::supervision::Supervisor;

use super::files::{DATABASE, at_path};
use super::tables::{CopiedRow, DatabaseCopy, Fault, Tables};

/// The socket's name in the directory.
const SOCKET: &str = "synckairos.sock";

const FORMAT: &[u8] = b"synckairos backup 1\n";

/// How long a client may take to read a part of the copy.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// No row is longer.
const LEN_MAX: usize = 64 << 20;

/// Sends a copy to each client of the socket in a directory, one after the other.
pub(super) async fn serve(directory: &Path, tables: &Arc<Tables>, supervisor: &Supervisor) -> io::Result<()> {
    let path = directory.join(SOCKET);
    // The directory is locked: the file is left over from another process.
    if path.exists() {
        fs::remove_file(&path)?;
    }
    let listener = UnixListener::bind(&path)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (stream, tables) = (stream.into_std()?, Arc::clone(tables));
        let sent = supervisor.block("backup", move || send(&stream, &tables)).await;
        match sent.map_err(|error| error.to_string()).flatten() {
            Ok(()) => info!("a copy of the data directory was made"),
            Err(why) => warn!(%why, "a copy of the data directory was not made"),
        }
    }
}

fn send(stream: &UnixStream, tables: &Tables) -> Result<(), Fault> {
    let failed = |error: io::Error| error.to_string();
    let mut out = outgoing(stream, WRITE_TIMEOUT).map_err(failed)?;
    out.write_all(FORMAT).map_err(failed)?;
    tables.rows(|CopiedRow { table, key, value }| {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).map_err(|_| "a row is too long".to_owned());
        out.write_all(&[table]).map_err(failed)?;
        out.write_all(&len(key)?.to_be_bytes()).map_err(failed)?;
        out.write_all(&len(value)?.to_be_bytes()).map_err(failed)?;
        out.write_all(key).map_err(failed)?;
        out.write_all(value).map_err(failed)
    })?;
    out.write_all(&[0]).and_then(|()| out.flush()).map_err(failed)
}

/// A buffered writer to a client that must read each part within `patience`.
fn outgoing(stream: &UnixStream, patience: Duration) -> io::Result<BufWriter<&UnixStream>> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(patience))?;
    Ok(BufWriter::with_capacity(1 << 20, stream))
}

/// Copies a directory that a server has; `None` when none has it.
pub(super) fn receive(directory: &Path, to: &Path) -> io::Result<Option<u64>> {
    let Ok(stream) = UnixStream::connect(directory.join(SOCKET)) else { return Ok(None) };
    let mut stream = BufReader::with_capacity(1 << 20, stream);
    let mut format = [0; FORMAT.len()];
    stream.read_exact(&mut format)?;
    if format != FORMAT {
        return Err(at_path(directory, &"its server makes copies of another format"));
    }
    make(to, |copied| {
        let mut count = 0;
        loop {
            let mut head = [0; 1];
            stream.read_exact(&mut head).map_err(|error| error.to_string())?;
            if head[0] == 0 {
                return Ok(count);
            }
            let mut lens = [0; 8];
            stream.read_exact(&mut lens).map_err(|error| error.to_string())?;
            let [key, value] =
                [&lens[..4], &lens[4..]].map(|len| len.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)));
            if key + value > LEN_MAX {
                return Err("a row is too long".to_owned());
            }
            let mut row = vec![0; key + value];
            stream.read_exact(&mut row).map_err(|error| error.to_string())?;
            let (key, value) = row.split_at(key);
            copied.add(CopiedRow { table: head[0], key, value })?;
            count += 1;
        }
    })
    .map(Some)
}

/// Copies a directory that this process has.
pub(super) fn copy(tables: &Tables, to: &Path) -> io::Result<u64> {
    make(to, |copied| {
        let mut count = 0;
        tables.rows(|row| {
            count += 1;
            copied.add(row)
        })?;
        Ok(count)
    })
}

/// Makes a directory of rows, whole or not at all.
fn make(to: &Path, fill: impl FnOnce(&mut DatabaseCopy) -> Result<u64, Fault>) -> io::Result<u64> {
    fs::create_dir_all(to).map_err(|error| at_path(to, &error))?;
    let (path, part) = (to.join(DATABASE), to.join(format!("{DATABASE}.part")));
    if path.exists() {
        return Err(at_path(&path, &"it is there already"));
    }
    if part.exists() {
        fs::remove_file(&part).map_err(|error| at_path(&part, &error))?;
    }
    let made = DatabaseCopy::create(&part).and_then(|mut copied| {
        let count = fill(&mut copied)?;
        copied.finish().map(|()| count)
    });
    let count = made.map_err(|why| {
        // What is left is of no use.
        let _ = fs::remove_file(&part);
        at_path(to, &why)
    })?;
    fs::rename(&part, &path).map_err(|error| at_path(&path, &error))?;
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::os::unix::net::UnixStream;
    use std::time::Duration;

    use super::outgoing;

    #[test]
    fn who_reads_nothing_is_given_up() {
        let (ours, _theirs) = UnixStream::pair().expect("there is one");
        let mut out = outgoing(&ours, Duration::from_millis(20)).expect("it is new");
        let part = vec![0; 1 << 20];
        let error = (0..64).find_map(|_| out.write_all(&part).err()).expect("nobody reads");
        assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
        // The rest of its buffer is not sent again.
        let _ = out.into_parts();
    }
}
