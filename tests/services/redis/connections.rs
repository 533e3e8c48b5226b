//! Every way to connect to Redis: TLS, a password, an ACL user, a database number, a socket. Two instances each: a change by one
//! is seen by clients of the other.

use serde_json::Value;

use test_support::certificates::Authority;
use test_support::http::Connection;
use test_support::program::Program;
use test_support::redis::{Redis, Setup};
use test_support::sessions::{id, two_players};
use test_support::ws::Client;

use super::{HOUR, ready};

async fn is_served(settings: &[(&str, &str)]) {
    let settings = [&[("AUDIT", "off")], settings].concat();
    let instances = [Program::start(&settings), Program::start(&settings)];
    for instance in &instances {
        ready(instance.address).await;
    }
    let mut client = Connection::open(instances[0].address).await;
    client.create(&two_players(&id(1), HOUR)).await;
    let mut watcher = Client::join(instances[1].address, &id(1)).await;
    client.post(&id(1), "start", &Value::Null).await;
    let state = client.post(&id(1), "switch", &Value::Null).await;
    loop {
        if watcher.next_of("STATE_UPDATE").await["state"]["version"] == state["version"] {
            break;
        }
    }
    let mut other = Connection::open(instances[1].address).await;
    assert_eq!(other.read(&id(1)).await["version"], state["version"]);
}

#[tokio::test]
async fn encrypted_with_an_authority_that_is_given() {
    let authority = Authority::new();
    for name in ["localhost", "127.0.0.1"] {
        let redis = Setup::forgetful().encrypted(name, &authority).start();
        is_served(&[("REDIS_URL", &redis.url()), ("REDIS_CA_CERT", &authority.file())]).await;
        assert!(redis.url().starts_with("rediss://") && redis.len() > 0);
    }
}

#[tokio::test]
async fn encrypted_with_an_authority_that_the_system_believes() {
    let authority = Authority::new();
    let redis = Setup::forgetful().encrypted("localhost", &authority).start();
    is_served(&[("REDIS_URL", &redis.url()), ("SSL_CERT_FILE", &authority.file())]).await;
}

#[tokio::test]
async fn with_a_certificate_of_the_clients() {
    let (authority, client) = (Authority::new(), Authority::new());
    let own = client.certify("synckairos");
    let redis = Setup::forgetful().encrypted("localhost", &authority).with_certified_clients();
    let redis = redis.options(&["--tls-ca-cert-file", &client.file()]).start();
    is_served(&[
        ("REDIS_URL", &redis.url()),
        ("REDIS_CA_CERT", &authority.file()),
        ("REDIS_CLIENT_CERT", &own.pem_file),
        ("REDIS_CLIENT_KEY", &own.key_file),
    ])
    .await;
}

#[tokio::test]
async fn with_a_password() {
    let redis = Setup::forgetful().with_password("secret").start();
    is_served(&[("REDIS_URL", &redis.url())]).await;
}

#[tokio::test]
async fn as_a_user() {
    let redis = Setup::forgetful().with_password("other").with_user("ann on >secret ~* &* +@all").start();
    is_served(&[("REDIS_URL", &redis.url_as("ann:secret@"))]).await;
}

#[tokio::test]
async fn into_another_database() {
    let redis = Redis::start();
    is_served(&[("REDIS_URL", &format!("{}/3", redis.url()))]).await;
    let mut connection = redis.connect();
    let sizes: (u64, u64) =
        redis::pipe().cmd("DBSIZE").cmd("SELECT").arg(3).ignore().cmd("DBSIZE").query(&mut connection).expect("sizes");
    assert!(sizes.0 == 0 && sizes.1 >= 2, "a session, and how many partitions there are: {sizes:?}");
}

#[tokio::test]
async fn through_a_socket() {
    let redis = Setup::forgetful().options(&["--port", "0"]).with_password("secret").start();
    is_served(&[("REDIS_URL", &format!("unix://{}?db=1&pass=secret", redis.socket()))]).await;
}
