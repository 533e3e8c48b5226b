//! Certificates of the test's own: an authority and what it signs, as text and as files, and servers that present them.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};

use super::directory::Directory;
use super::postgres::Postgres;
use super::redis::Setup;

/// An authority that nobody believes unless told to.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
    dir: Directory,
    issued: AtomicU32,
}

/// A certificate and its key (PEM).
pub struct Certificate {
    pub pem: String,
    pub key: String,
    /// Where they are.
    pub pem_file: String,
    pub key_file: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        // No two are called the same, or one would seem to have signed what the other did.
        static AUTHORITIES: AtomicU32 = AtomicU32::new(0);
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        params.distinguished_name.push(DnType::CommonName, format!("authority {number}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("it signs").pem();
        let dir = Directory::new();
        fs::create_dir_all(dir.path()).expect("the directory can be made");
        let authority = Self { pem, issuer: Issuer::new(params, key), dir, issued: AtomicU32::new(0) };
        fs::write(authority.file(), &authority.pem).expect("the file can be written");
        authority
    }

    /// Where its certificate is.
    pub fn file(&self) -> String {
        format!("{}/authority.pem", self.dir.text())
    }

    /// A certificate of whoever has a name.
    pub fn certify(&self, name: &str) -> Certificate {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let (pem, key) = (params.signed_by(&key, &self.issuer).expect("it signs").pem(), key.serialize_pem());
        let number = self.issued.fetch_add(1, Ordering::Relaxed);
        let [pem_file, key_file] = ["pem", "key"].map(|end| format!("{}/{number}.{end}", self.dir.text()));
        fs::write(&pem_file, &pem).expect("the file can be written");
        fs::write(&key_file, &key).expect("the file can be written");
        Certificate { pem, key, pem_file, key_file }
    }
}

impl Setup {
    /// Listens with TLS only, with a certificate of `authority` for the name that it is called by.
    pub fn encrypted(self, name: &str, authority: &Authority) -> Self {
        let Certificate { pem_file, key_file, .. } = authority.certify(name);
        self.with_tls(name, &pem_file, &key_file, &authority.file())
    }
}

impl Postgres {
    /// A server that can speak TLS and shows a certificate for 127.0.0.1.
    pub fn start_encrypted(settings: &[&str], authority: &Authority) -> Self {
        let Certificate { pem, key, .. } = authority.certify("127.0.0.1");
        let encryption = ["ssl=on", "ssl_cert_file=c.crt", "ssl_key_file=c.key"];
        Self::start_with(&[settings, &encryption].concat(), &[("c.crt", &pem), ("c.key", &key)])
    }
}
