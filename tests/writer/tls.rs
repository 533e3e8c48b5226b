//! Encrypted connections: who is believed, and that nothing goes in the clear that must not.

use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

use crate::support::postgres::{Database, Postgres};

use super::{rows, server};

/// An authority's certificate, and a server's with its key, all as PEM.
fn certificates(name: &str) -> (String, String, String) {
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_pem = authority.self_signed(&authority_key).expect("it signs").pem();
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    let certificate = certificate.signed_by(&key, &Issuer::new(authority, authority_key)).expect("it signs");
    (authority_pem, certificate.pem(), key.serialize_pem())
}

#[test]
fn a_server_is_believed_as_far_as_the_mode_says() {
    let (authority, certificate, key) = certificates("127.0.0.1");
    let (stranger, _, _) = certificates("127.0.0.1");
    let files = [("c.crt", &*certificate), ("c.key", &*key), ("root.crt", &*authority), ("other.crt", &*stranger)];
    let settings = ["fsync=off", "ssl=on", "ssl_cert_file=c.crt", "ssl_key_file=c.key"];
    let postgres = Postgres::start_with(&settings, &files);
    let (root, other) = (postgres.file("root.crt"), postgres.file("other.crt"));
    let is_encrypted = |host: &str, parameters: &str| {
        let url = postgres.url("postgres").replace("127.0.0.1", host);
        let mut client = server(&format!("{url}?{parameters}")).connect(Duration::from_secs(10)).ok()?;
        Some(rows(&mut client, "select ssl from pg_stat_ssl where pid = pg_backend_pid()").contains("true"))
    };
    for (host, parameters, expected) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), Some(false)),
        ("127.0.0.1", "".to_owned(), Some(true)),
        ("127.0.0.1", "sslmode=prefer".to_owned(), Some(true)),
        ("127.0.0.1", "sslmode=require".to_owned(), Some(true)),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={root}"), Some(true)),
        ("127.0.0.1", format!("sslmode=require&sslrootcert={other}"), None),
        ("127.0.0.1", format!("sslmode=verify-ca&sslrootcert={other}"), None),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), Some(true)),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={other}"), None),
        ("localhost", format!("sslmode=verify-ca&sslrootcert={root}"), Some(true)),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}"), None),
    ] {
        assert_eq!(is_encrypted(host, &parameters), expected, "{host} {parameters}");
    }
}

#[test]
fn a_server_without_encryption_is_refused_when_it_is_required() {
    let database = Database::create();
    for (mode, is_accepted) in [("disable", true), ("prefer", true), ("require", false)] {
        let answer = server(&format!("{}?sslmode={mode}", database.url())).connect(Duration::from_secs(10));
        assert_eq!(answer.is_ok(), is_accepted, "{mode}");
    }
}
