//! One Idempotency-Key at several instances at once: one of them makes the change, and all answers tell of it.

use futures_util::future::join_all;
use test_support::redis::Redis;
use test_support::sessions::{id, two_players};

use super::{HOUR, instance, start, version};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_that_race_over_instances_one_makes_the_change() {
    let redis = Redis::start();
    let instances = [instance(&redis.url()).await, instance(&redis.url()).await];
    let mut client = instances[0].connect().await;
    start(&mut client, 1, HOUR).await;
    let (create, session) = (two_players(&id(2), HOUR).to_string(), format!("/v1/sessions/{}", id(1)));
    for (n, (method, path, body, status)) in (10..).zip([
        ("POST", format!("{session}/switch"), "{}", 200),
        ("POST", format!("{session}/switch"), "{}", 200),
        ("PATCH", session.clone(), r#"{"metadata":{"a":1}}"#, 200),
        ("POST", "/v1/sessions".to_owned(), &*create, 201),
        ("DELETE", session.clone(), "", 204),
    ]) {
        let key = id(n);
        let requests = (0..32).map(async |n| {
            let mut client = instances[n % 2].connect().await;
            client.ask_with(method, &path, &[("idempotency-key", &key)], body).await
        });
        let answers = join_all(requests).await;
        assert!(answers.iter().all(|answer| answer.status == status), "{method} {path}: {answers:?}");
        let made = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_none()).count();
        assert_eq!(made, 1, "{method} {path}");
        if status != 204 {
            let versions: Vec<_> = answers.iter().map(version).collect();
            assert!(versions.iter().all(|one| *one == versions[0]), "{method} {path}: {versions:?}");
        }
    }
}
