//! The commands of keys and tokens: makes them, lists and removes keys of the file, says what a token is worth. Does not know the
//! command line, nor a server that runs.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::Path;

use crate::auth::{self, AuthError, Authenticator, KeySources, NewToken};
use crate::client::ClientAddress;
use crate::clock::Clock;
use crate::secret;
use crate::wire::{self, Malformed};

/// What is to be done with keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyCommand {
    /// Makes one, and its line for the file.
    New {
        /// Its name.
        id: String,
        /// What it may do.
        allow: Vec<String>,
        /// In which sessions.
        sessions: Vec<String>,
    },
    /// Lists those of the file.
    List,
    /// Takes one out of the file.
    Remove {
        /// Its name.
        id: String,
    },
}

/// What is to be done with tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCommand {
    /// Makes one.
    New(NewToken),
    /// Says what one is worth that comes in on the standard input.
    Check,
}

/// Carries out a command about keys.
pub fn run_keys(keys_file: Option<&Path>, command: KeyCommand, out: &mut impl Write) -> Result<(), String> {
    let file = || keys_file.ok_or_else(|| "KEYS_FILE is needed for that".to_owned());
    let said = match command {
        KeyCommand::New { id, .. } if keys_file.is_some_and(|path| has(path, &id)) => {
            return Err(format!("there is a key {id} in KEYS_FILE: each needs an id of its own"));
        }
        KeyCommand::New { id, allow, sessions } => new_key(&id, &allow, &sessions)?,
        KeyCommand::List => list(file()?)?,
        KeyCommand::Remove { id } => remove(file()?, &id)?,
    };
    out.write_all(said.as_bytes()).map_err(|error| error.to_string())
}

/// The key stands in the first line, once and nowhere else.
fn new_key(id: &str, allow: &[String], sessions: &[String]) -> Result<String, String> {
    if !wire::is_own_id(id) {
        return Err("the id of a key is 1 to 32 of a to z, 0 to 9 and hyphens".to_owned());
    }
    let (key, digest) = auth::new_key(id);
    let entry = wire::api_key_entry(id, &digest.hex(), allow, sessions);
    let file = wire::keys_file(&format!(r#"{{"keys":[{entry}]}}"#)).map_err(|Malformed(why)| why)?;
    auth::check_entries(&file.keys)?;
    Ok(format!(
        "{}\n\nThat is the key: it is shown this once. The server knows it by this line in KEYS_FILE, in the list \"keys\":\n\n{entry}\n",
        key.reveal()
    ))
}

fn list(path: &Path) -> Result<String, String> {
    let text = secret::read_long(path)?;
    let file = wire::keys_file(&text).map_err(|Malformed(why)| format!("{}: {why}", path.display()))?;
    let line = |key: &wire::KeyEntry| {
        format!("{}\t{}\t{}\t{}\n", key.id, key.material.kind(), key.allow.join(","), key.sessions.join(","))
    };
    Ok(file.keys.iter().map(line).collect())
}

/// Whether a file has a key of this name. One that cannot be read has none: whoever makes a key need not be who may read those that
/// are there.
fn has(path: &Path, id: &str) -> bool {
    let file = secret::read_long(path).ok().and_then(|text| wire::keys_file(&text).ok());
    file.is_some_and(|file| file.keys.iter().any(|key| key.id == id))
}

fn remove(path: &Path, id: &str) -> Result<String, String> {
    let told = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    // What links lead to is replaced, and they stay.
    let file = fs::canonicalize(path).map_err(|error| told(&error))?;
    let text = secret::read_long(&file)?;
    let left = wire::keys_file_without(&text, id).map_err(|Malformed(why)| told(&why))?;
    let left = left.ok_or_else(|| told(&format!("there is no key {id}")))?;
    replace(&file, &left).map_err(|error| told(&error))?;
    Ok(format!("{id} is removed; servers notice within 5 s\n"))
}

/// Replaces a file as a whole, or leaves it as it is. Its owner and rights stay: the server reads it on, and nobody else ever does.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let rights = fs::metadata(path)?;
    let next = path.with_extension(format!("{}.next", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&next)?;
    let replaced = fill(&file, text, &rights).and_then(|()| fs::rename(&next, path));
    if replaced.is_err() {
        // Why it failed is told.
        let _ = fs::remove_file(&next);
    }
    replaced?;
    // A key that was removed does not come back after a power failure.
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}

fn fill(mut file: &File, text: &str, rights: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (rights.uid(), rights.gid()) {
        fchown(file, Some(rights.uid()), Some(rights.gid()))?;
    }
    file.set_permissions(rights.permissions())?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Carries out a command about tokens.
pub fn run_token(sources: &KeySources, command: TokenCommand, out: &mut impl Write) -> Result<(), String> {
    let keys = sources.load().map_err(|problems| problems.join("\n"))?;
    let said = match command {
        TokenCommand::New(token) => auth::mint(&keys, &token, Clock::system().time_of_day())? + "\n",
        TokenCommand::Check => {
            let mut token = String::new();
            let limit = 64 * 1_024;
            let read = std::io::stdin().take(limit).read_to_string(&mut token);
            read.map_err(|error| error.to_string())?;
            let token = token.trim();
            let identity = Authenticator::new(keys, Clock::system()).identify(token, ClientAddress::UNIX);
            let identity = identity.map_err(|error| match error {
                AuthError::Missing => "there is none".to_owned(),
                AuthError::Invalid(why) => why,
                AuthError::Expired => "it has ended".to_owned(),
                AuthError::Revoked => "it was revoked".to_owned(),
                AuthError::RevocationsUnknown => "it is not known what was revoked".to_owned(),
                AuthError::TooMany => "too many were wrong".to_owned(),
                AuthError::UnknownKey(_) | AuthError::Unavailable(_) => {
                    "the keys of its issuer are at a URL, which only a server reads".to_owned()
                }
            })?;
            identity.describe()
        }
    };
    out.write_all(said.as_bytes()).map_err(|error| error.to_string())
}
