//! Secrets: text that cannot be printed. It was given once, or is in a file that is read again for each use, so that a new
//! password counts without a restart. Does not know what it opens.

use std::fmt;
use std::fs::File;
use std::io::{Error, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tracing::{info, warn};

/// No setting is longer than this many bytes.
const LEN_MAX: u64 = 65_536;
/// No file of keys is longer than this many bytes.
const LONG_LEN_MAX: u64 = 1 << 20;

/// Text that cannot be printed, and is zeroed when it is dropped. Cloning shares it.
#[derive(Clone)]
pub struct Secret(Arc<SecretString>);

impl Secret {
    /// Hides a text.
    pub fn new(text: &str) -> Self {
        Self(Arc::new(text.into()))
    }

    /// The text itself, for the login.
    pub fn reveal(&self) -> &str {
        self.0.expose_secret()
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.reveal() == other.reveal()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// It was given, and does not change.
    Given(Secret),
    /// It is in a file, and changes when the file does.
    File(SecretFile),
}

impl SecretSource {
    /// What is given by itself.
    pub fn given(text: &str) -> Self {
        Self::Given(Secret::new(text))
    }

    /// What a file holds; `Err` says why it cannot be read.
    pub fn file(path: &Path) -> Result<Self, String> {
        let last = Mutex::new(LastRead { secret: Secret::new(&read(path)?), is_readable: true });
        Ok(Self::File(SecretFile(Arc::new(WatchedFile { path: path.to_owned(), last }))))
    }

    /// Whether it may be another one later.
    pub fn may_change(&self) -> bool {
        matches!(self, SecretSource::File(_))
    }

    /// The secret as it is now; `Err` says why the file that holds it cannot be read. Blocks meanwhile.
    pub fn read(&self) -> Result<Secret, String> {
        match self {
            SecretSource::Given(secret) => Ok(secret.clone()),
            SecretSource::File(SecretFile(file)) => file.read(),
        }
    }

    /// The secret as it is now: of a file that cannot be read any more, what it held last. Blocks while a file is read.
    pub fn now(&self) -> Secret {
        match self {
            SecretSource::Given(secret) => secret.clone(),
            SecretSource::File(SecretFile(file)) => file.now(),
        }
    }
}

/// A file and what it held last.
#[derive(Clone)]
pub struct SecretFile(Arc<WatchedFile>);

struct WatchedFile {
    path: PathBuf,
    last: Mutex<LastRead>,
}

struct LastRead {
    secret: Secret,
    /// Logged once when it is not.
    is_readable: bool,
}

impl WatchedFile {
    fn read(&self) -> Result<Secret, String> {
        let text = read(&self.path)?;
        let mut last = self.last.lock();
        if last.secret.reveal() != *text {
            last.secret = Secret::new(&text);
            info!(path = %self.path.display(), "a secret has changed");
        }
        last.is_readable = true;
        Ok(last.secret.clone())
    }

    fn now(&self) -> Secret {
        self.read().unwrap_or_else(|why| {
            let mut last = self.last.lock();
            if std::mem::replace(&mut last.is_readable, false) {
                warn!(why, "a secret cannot be read: what it was counts on");
            }
            last.secret.clone()
        })
    }
}

impl PartialEq for SecretFile {
    fn eq(&self, other: &Self) -> bool {
        self.0.path == other.0.path
    }
}

impl Eq for SecretFile {}

impl fmt::Debug for SecretFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.path)
    }
}

/// The text in a file, without white space around it, zeroed when it is dropped; `Err` names the file and says why there is none.
pub fn read(path: &Path) -> Result<Zeroizing<String>, String> {
    read_at_most(path, LEN_MAX)
}

/// The same, of a file that holds many secrets.
pub fn read_long(path: &Path) -> Result<Zeroizing<String>, String> {
    read_at_most(path, LONG_LEN_MAX)
}

fn read_at_most(path: &Path, len_max: u64) -> Result<Zeroizing<String>, String> {
    let mut text = Zeroizing::new(String::new());
    let told = File::open(path).and_then(|file| file.take(len_max + 1).read_to_string(&mut text));
    let told = told.and_then(|_| match text.trim() {
        "" => Err(Error::other("it is empty")),
        _ if text.len() as u64 > len_max => Err(Error::other(format!("it is longer than {} KiB", len_max >> 10))),
        trimmed => Ok(Zeroizing::new(trimmed.to_owned())),
    });
    told.map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::{Secret, SecretSource, read};

    fn path(name: &str) -> std::path::PathBuf {
        std::env::temp_dir().join(format!("synckairos-secret-{}-{name}", std::process::id()))
    }

    #[test]
    fn it_cannot_be_printed() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret:?} {:?}", SecretSource::Given(secret.clone())), "Secret(..) Given(Secret(..))");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn a_file_is_read_at_each_use_and_its_last_text_outlives_it() {
        let path = path("rotated");
        std::fs::write(&path, " first\n\n").expect("it can be written");
        let source = SecretSource::file(&path).expect("it can be read");
        assert!(source.may_change() && !format!("{source:?}").contains("first"));
        assert_eq!(source.now().reveal(), "first");
        std::fs::write(&path, "second").expect("it can be written");
        assert_eq!(source.now().reveal(), "second");
        std::fs::write(&path, "").expect("it can be written");
        assert_eq!(source.now().reveal(), "second", "it is being written");
        std::fs::remove_file(&path).expect("it is there");
        assert_eq!(source.now().reveal(), "second");
        std::fs::write(&path, "third").expect("it can be written");
        assert_eq!(source.now().reveal(), "third");
        std::fs::remove_file(&path).expect("it is there");
    }

    #[test]
    fn a_file_says_why_it_is_none() {
        for (name, text, why) in [
            ("empty", &b" \n"[..], "it is empty"),
            ("long", &[b'a'; 65_537][..], "longer"),
            ("bytes", &b"\xff\xfe"[..], "UTF-8"),
        ] {
            let path = path(name);
            std::fs::write(&path, text).expect("it can be written");
            let error = read(&path).expect_err(name);
            assert!(error.contains(why) && error.contains(name), "{error}");
            std::fs::remove_file(&path).expect("it is there");
        }
        assert!(read(&path("nowhere")).is_err() && read(&std::env::temp_dir()).is_err());
    }
}
