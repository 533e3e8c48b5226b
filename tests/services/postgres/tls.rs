//! TLS to PostgreSQL: which certificates are trusted, and that nothing is sent in the clear that must not be.

use std::time::Duration;

use test_support::certificates::Authority;
use test_support::postgres::{Database, Postgres};
use test_support::program::{command, output};

use super::server;

#[test]
fn a_server_is_believed_as_far_as_the_mode_says() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let postgres = Postgres::start_encrypted(&["fsync=off"], &authority);
    let (root, other) = (authority.file(), stranger.file());
    let is_encrypted = |host: &str, parameters: &str| {
        let url = postgres.url("postgres").replace("127.0.0.1", host);
        let mut client = server(&format!("{url}?{parameters}")).connect(Duration::from_secs(10)).ok()?;
        let is_encrypted = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
        let row = client.ask(Duration::from_secs(10), async |client| client.query_one(is_encrypted, &[]).await);
        Some(row.expect("it answers").get(0))
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

/// The program believes whom the system believes, unless it is told otherwise.
#[test]
fn the_system_says_whom_to_believe() {
    let authority = Authority::new();
    let postgres = Postgres::start_encrypted(&["fsync=off"], &authority);
    let migrate = |parameters: &str, roots: &str| {
        let url = format!("{}?{parameters}", postgres.url("postgres"));
        let output = output(command().arg("migrate").env("DATABASE_URL", url).env("SSL_CERT_FILE", roots));
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for parameters in ["sslmode=verify-full", "sslmode=verify-full&sslrootcert=system", "sslmode=verify-ca"] {
        assert_eq!(migrate(parameters, &authority.file()), (Some(0), String::new()), "{parameters}");
        let (code, said) = migrate(parameters, &Authority::new().file());
        assert_eq!(code, Some(1), "{parameters}: {said}");
        assert!(said.contains("invalid peer certificate: UnknownIssuer"), "{parameters}: {said}");
    }
}
