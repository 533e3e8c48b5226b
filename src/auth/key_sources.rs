//! Where keys stand: a file, short forms for one box, sets of public keys in files. Reads all of them anew whenever asked, and says
//! everything that is wrong. Does not know what is done with the keys.

use std::path::{Path, PathBuf};

use crate::secret::{self, SecretSource};
use crate::wire::{self, Jwk, KeyEntry, KeyMaterial, KeysFile, Malformed};

use super::api_key::{self, Digest};
use super::grant::SessionPattern;
use super::key_set::{KeyRights, KeySet, TokenRules, ValidityWindow};
use super::permission::Permissions;

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

    /// Reads all keys; what is wrong begins with the setting that it is about. Blocks while files are read.
    pub fn load(&self) -> Result<KeySet, Vec<String>> {
        let mut problems = Vec::new();
        let file = self.keys_file.as_deref().map(|path| read_file(path).map_err(|why| format!("KEYS_FILE: {why}")));
        let file = match file.transpose() {
            Ok(file) => file.unwrap_or_default(),
            Err(why) => {
                problems.push(why);
                KeysFile::default()
            }
        };
        let audience = self.token_audience.clone().or(file.audience.clone()).unwrap_or_else(|| AUDIENCE.to_owned());
        let lifetime_max_s = file.lifetime_max_s.unwrap_or(LIFETIME_MAX_S);
        let rules = TokenRules { audience, lifetime_max_s, leeway_s: file.leeway_s.unwrap_or(LEEWAY_S) };
        let mut set = KeySet::new(rules);
        for (place, entry) in file.keys.iter().enumerate() {
            let directory = self.keys_file.as_deref().and_then(Path::parent);
            let added = read_set(entry, directory).and_then(|keys| set.add(entry, &keys));
            problems.extend(added.err().map(|why| format!("KEYS_FILE: keys.{place}.{why}")));
        }
        problems.extend(self.add_api_key(&mut set).err().map(|why| format!("API_KEY: {why}")));
        problems.extend(self.add_short_forms(&mut set));
        if problems.is_empty() { Ok(set) } else { Err(problems) }
    }

    fn add_api_key(&self, set: &mut KeySet) -> Result<(), String> {
        let Some(source) = &self.api_key else { return Ok(()) };
        let key = source.now();
        let id = api_key::id_of(key.reveal());
        let id = id.ok_or("must be synk_<id>_<43 characters>, as synckairos keys new makes it")?;
        let digest = Digest::of(key.reveal().as_bytes());
        let allow = Permissions::named(EVERYTHING, |_| {});
        let sessions = [SessionPattern::All].into();
        let window = ValidityWindow::default();
        set.add_api_key(KeyRights { id: id.into(), allow, sessions, window, fingerprint: digest.bytes() }, digest)
    }

    /// Returns what is wrong with them.
    fn add_short_forms(&self, set: &mut KeySet) -> Vec<String> {
        let mut problems = Vec::new();
        let entry = |id: &str, material, text: String| {
            let (sessions, allow) = (vec!["*".to_owned()], self.token_allow.clone());
            KeyEntry { id: id.to_owned(), material, allow, sessions, not_before: None, not_after: None, text }
        };
        if let Some(source) = &self.token_secret {
            let secret = source.now().reveal().to_owned();
            let text = format!("{secret}{:?}{:?}", self.token_issuer, self.token_allow);
            let issuer = self.token_issuer.clone();
            let material = KeyMaterial::Secret { secret, issuer, audience: None, is_default: true };
            let added = set.add(&entry("token-secret", material, text), &[]);
            problems.extend(added.err().map(|why| format!("TOKEN_SECRET: {why}")));
        }
        if let Some(location) = &self.token_jwks {
            let Some(issuer) = self.token_issuer.clone() else {
                problems.push("TOKEN_ISSUER: missing: say whose keys TOKEN_JWKS holds".to_owned());
                return problems;
            };
            let algorithms = ["RS256", "ES256", "EdDSA"].map(str::to_owned).to_vec();
            let text = format!("{location}{issuer}{:?}", self.token_allow);
            let material = KeyMaterial::Set { location: location.clone(), issuer, audience: None, algorithms };
            let entry = entry("token-jwks", material, text);
            let added = read_set(&entry, None).and_then(|keys| set.add(&entry, &keys));
            problems.extend(added.err().map(|why| format!("TOKEN_JWKS: {why}")));
        }
        problems
    }
}

fn read_file(path: &Path) -> Result<KeysFile, String> {
    let text = secret::read_long(path)?;
    wire::keys_file(&text).map_err(|Malformed(why)| format!("{}: {why}", path.display()))
}

/// The keys of the set that an entry names; a path is looked for beside the file that names it.
fn read_set(entry: &KeyEntry, directory: Option<&Path>) -> Result<Vec<Jwk>, String> {
    let KeyMaterial::Set { location, .. } = &entry.material else { return Ok(Vec::new()) };
    if location.contains("://") {
        return Err(format!("url: {location:?} is not the path of a file"));
    }
    let path = directory.map_or_else(|| PathBuf::from(location), |directory| directory.join(location));
    let text = secret::read_long(&path)?;
    wire::jwk_set(&text).map_err(|Malformed(why)| format!("{}: {why}", path.display()))
}
