//! Where keys stand: a file, short forms for one box, sets of public keys in files or at URLs. Reads all files anew whenever asked, and
//! says everything that is wrong. Does not know what is done with the keys, nor how a set at a URL is read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::outbound::OutboundUrl;

use crate::secret::{self, SecretSource};
use crate::wire::{self, Jwk, KeyEntry, KeyMaterial, KeysFile, Malformed};

use super::api_key::{self, Digest};
use super::grant::SessionPattern;
use super::key_set::{KeyRights, KeySet, TokenRules, ValidityWindow};
use super::permission::Permissions;
use super::remote_sets::RemoteKeys;

/// Whom tokens are for when nobody says.
pub const AUDIENCE: &str = "synckairos";
const LIFETIME_MAX_S: u64 = 86_400;
const LEEWAY_S: u64 = 30;
/// What the key of [`KeySources::api_key`] may do.
const EVERYTHING: [&str; 4] = ["*", "list", "metrics", "admin"];

/// Where keys stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySources {
    /// The file of keys.
    pub keys_file: Option<PathBuf>,
    /// One key that may do everything.
    pub api_key: Option<SecretSource>,
    /// A secret that signs tokens.
    pub token_secret: Option<SecretSource>,
    /// A set of public keys that sign tokens.
    pub token_jwks: Option<String>,
    /// What tokens of these two may do at most.
    pub token_allow: Vec<String>,
    /// Who signs with these two.
    pub token_issuer: Option<String>,
    /// Whom tokens are for.
    pub token_audience: Option<String>,
}

impl KeySources {
    /// Whether any key is given.
    pub fn is_any(&self) -> bool {
        self.keys_file.is_some() || self.api_key.is_some() || self.token_secret.is_some() || self.token_jwks.is_some()
    }

    /// Reads all keys but those at URLs; what is wrong begins with the setting that it is about. Blocks while files are read.
    pub fn load(&self) -> Result<KeySet, Vec<String>> {
        self.read().assemble(&RemoteKeys::new())
    }

    /// Reads what stands in files. Blocks meanwhile.
    pub(super) fn read(&self) -> KeyEntries {
        let (mut problems, mut contents) = (Vec::new(), Vec::new());
        let file = match self.keys_file.as_deref().map(|path| read_file(path, &mut contents)).transpose() {
            Ok(file) => file.unwrap_or_default(),
            Err(why) => {
                problems.push(format!("KEYS_FILE: {why}"));
                KeysFile::default()
            }
        };
        let audience = self.token_audience.clone().or(file.audience).unwrap_or_else(|| AUDIENCE.to_owned());
        let lifetime_max_s = file.lifetime_max_s.unwrap_or(LIFETIME_MAX_S);
        let rules = TokenRules { audience, lifetime_max_s, leeway_s: file.leeway_s.unwrap_or(LEEWAY_S) };
        let mut entries = KeyEntries { rules, listed: Vec::new(), api_key: None, problems, contents };
        let directory = self.keys_file.as_deref().and_then(Path::parent);
        for (place, entry) in file.keys.into_iter().enumerate() {
            entries.add(format!("KEYS_FILE: keys.{place}."), entry, directory);
        }
        match self.read_api_key() {
            Ok(key) => entries.api_key = key,
            Err(why) => entries.problems.push(format!("API_KEY: {why}")),
        }
        self.read_short_forms(&mut entries);
        entries
    }

    fn read_api_key(&self) -> Result<Option<(KeyRights, Digest)>, String> {
        let Some(source) = &self.api_key else { return Ok(None) };
        let key = source.read()?;
        let id = api_key::id_of(key.reveal());
        let id = id.ok_or("must be synk_<id>_<43 characters>, as synckairos keys new makes it")?;
        let digest = Digest::of(key.reveal().as_bytes());
        let allow = Permissions::named(EVERYTHING, |_| {});
        let sessions = [SessionPattern::All].into();
        let window = ValidityWindow::default();
        Ok(Some((KeyRights { id: id.into(), allow, sessions, window, fingerprint: digest.bytes() }, digest)))
    }

    fn read_short_forms(&self, entries: &mut KeyEntries) {
        let entry = |id: &str, material, text: String| {
            let (sessions, allow) = (vec!["*".to_owned()], self.token_allow.clone());
            KeyEntry { id: id.to_owned(), material, allow, sessions, not_before: None, not_after: None, text }
        };
        let secret = self.token_secret.as_ref().map(|source| source.read().map(|secret| secret.reveal().to_owned()));
        if let Some(Err(why)) = &secret {
            entries.problems.push(format!("TOKEN_SECRET: {why}"));
        }
        if let Some(Ok(secret)) = secret {
            let text = format!("{secret}{:?}{:?}", self.token_issuer, self.token_allow);
            let issuer = self.token_issuer.clone();
            let material = KeyMaterial::Secret { secret, issuer, audience: None, is_default: true };
            entries.add("TOKEN_SECRET: ".to_owned(), entry("token-secret", material, text), None);
        }
        if let Some(location) = &self.token_jwks {
            let Some(issuer) = self.token_issuer.clone() else {
                entries.problems.push("TOKEN_ISSUER: missing: say whose keys TOKEN_JWKS holds".to_owned());
                return;
            };
            let algorithms = ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec();
            let text = format!("{location}{issuer}{:?}", self.token_allow);
            let material = KeyMaterial::Set { location: location.clone(), issuer, audience: None, algorithms };
            entries.add("TOKEN_JWKS: ".to_owned(), entry("token-jwks", material, text), None);
        }
    }
}

/// Keys as they are given, before what is at URLs is added to them.
pub(super) struct KeyEntries {
    rules: TokenRules,
    listed: Vec<ListedKey>,
    api_key: Option<(KeyRights, Digest)>,
    problems: Vec<String>,
    contents: Vec<Digest>,
}

struct ListedKey {
    /// Where it stands, as problems say it.
    place: String,
    entry: KeyEntry,
    set: SetContent,
}

/// The keys of the set that an entry names.
enum SetContent {
    Here(Vec<Jwk>),
    At(Arc<str>),
}

impl KeyEntries {
    fn add(&mut self, place: String, entry: KeyEntry, directory: Option<&Path>) {
        match read_set(&entry, directory, &mut self.contents) {
            Ok(set) => self.listed.push(ListedKey { place, entry, set }),
            Err(why) => self.problems.push(format!("{place}{why}")),
        }
    }

    /// What was read from files, right or wrong: it tells whether they have changed.
    pub(super) fn contents(&self) -> &[Digest] {
        &self.contents
    }

    /// The sets that stand elsewhere.
    pub(super) fn urls(&self) -> impl Iterator<Item = &Arc<str>> {
        self.listed.iter().filter_map(|listed| match &listed.set {
            SetContent::At(url) => Some(url),
            SetContent::Here(_) => None,
        })
    }

    /// All keys, with those that are known of sets that stand elsewhere; or all that is wrong.
    pub(super) fn assemble(&self, remote: &RemoteKeys) -> Result<KeySet, Vec<String>> {
        let mut problems = self.problems.clone();
        let mut keys = KeySet::new(self.rules.clone());
        if let Some((rights, digest)) = &self.api_key {
            problems.extend(keys.add_api_key(rights.clone(), *digest).err().map(|why| format!("API_KEY: {why}")));
        }
        // Those that stand elsewhere come last: they take the place of none.
        let is_elsewhere = |listed: &&ListedKey| matches!(listed.set, SetContent::At(_));
        let (elsewhere, here): (Vec<_>, Vec<_>) = self.listed.iter().partition(is_elsewhere);
        for ListedKey { place, entry, set } in here.into_iter().chain(elsewhere) {
            let added = match set {
                SetContent::Here(set) => keys.add(entry, set),
                SetContent::At(url) => keys.add_remote(entry, url, remote.get(url).map(|set| &**set)),
            };
            problems.extend(added.err().map(|why| format!("{place}{why}")));
        }
        if problems.is_empty() { Ok(keys) } else { Err(problems) }
    }
}

fn read_file(path: &Path, contents: &mut Vec<Digest>) -> Result<KeysFile, String> {
    let text = secret::read_long(path)?;
    contents.push(Digest::of(text.as_bytes()));
    wire::keys_file(&text).map_err(|Malformed(why)| format!("{}: {why}", path.display()))
}

/// The set that an entry names; a path is looked for beside the file that names it.
fn read_set(entry: &KeyEntry, directory: Option<&Path>, contents: &mut Vec<Digest>) -> Result<SetContent, String> {
    let KeyMaterial::Set { location, .. } = &entry.material else { return Ok(SetContent::Here(Vec::new())) };
    if location.contains("://") {
        OutboundUrl::parse(location).map_err(|why| format!("url: {why}"))?;
        return Ok(SetContent::At(location.as_str().into()));
    }
    let path = directory.map_or_else(|| PathBuf::from(location), |directory| directory.join(location));
    let text = secret::read_long(&path)?;
    contents.push(Digest::of(text.as_bytes()));
    let set = wire::jwk_set(&text).map_err(|Malformed(why)| format!("{}: {why}", path.display()))?;
    Ok(SetContent::Here(set))
}
