//! A file of keys of a test's own: `backend` may do everything, and `k1` signs whatever the test wants.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::directory::Directory;
use crate::tokens::{Signer, api_key, claims};

/// The file, which ends with the test.
pub struct KeysFile {
    directory: Directory,
    signer: Signer,
}

impl KeysFile {
    /// With members of the test's own.
    pub fn new(members: &Value) -> Self {
        let (directory, signer) = (Directory::new(), Signer::hs256(9));
        std::fs::create_dir_all(directory.path()).expect("it can be made");
        let all = ["*", "list", "metrics", "admin"];
        let mut file = members.clone();
        file["keys"] = json!([
            {"id": "backend", "kind": "api", "sha256": api_key("backend").1, "allow": all, "sessions": ["*"]},
            {"id": "k1", "kind": "hs256", "secret": signer.secret(), "allow": all, "sessions": ["*"]},
        ]);
        std::fs::write(directory.path().join("keys.json"), file.to_string()).expect("it can be written");
        Self { directory, signer }
    }

    pub fn path(&self) -> String {
        self.directory.path().join("keys.json").to_str().expect("it is text").to_owned()
    }

    /// A token that was made `age_s` seconds ago, and counts for `lifetime_s` from now on.
    pub fn token(&self, subject: &str, age_s: u64, lifetime_s: u64, grants: &Value) -> String {
        let now_s = now_s();
        let mut claims = claims(subject, now_s + lifetime_s, grants);
        claims["iat"] = json!(now_s - age_s);
        self.signer.token("k1", &claims)
    }
}

/// What a server of the test's own shows.
pub fn backend() -> String {
    format!("Bearer {}", api_key("backend").0)
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs()
}
