//! Crashes under load: every acknowledged change is there, once.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use serde_json::Value;
use synckairos::engine::StateTag;
use tokio::sync::watch;
use tokio::task::JoinSet;

use test_support::directory::Directory;
use test_support::http::Connection;
use test_support::sessions::{id, two_players};
use test_support::wait;

use test_support::data_dir::{HOUR, history, start, tag, tag_of};

const CLIENTS: u64 = 12;
const KILLS: u64 = 4;
const CHANGES_BEFORE_KILL: u64 = 200;

/// Switches one session until the server is gone; returns the tags that it was told.
async fn switch(address: SocketAddr, n: u64, told: watch::Sender<u64>) -> Vec<StateTag> {
    let mut client = Connection::open(address).await;
    let request = format!("POST /v1/sessions/{}/switch HTTP/1.1\r\nhost: test\r\n\r\n", id(n));
    let mut tags = Vec::new();
    loop {
        client.send(request.as_bytes()).await;
        let Some(answer) = client.answer(false).await else { return tags };
        assert_eq!(answer.status, 200, "{answer:?}");
        tags.push(tag(&answer));
        told.send_modify(|told| *told += 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[ignore = "takes seconds; tests/run runs it"]
async fn what_was_acknowledged_is_there_once_after_every_kill() {
    let directory = Directory::new();
    let mut acknowledged: Vec<BTreeSet<StateTag>> = vec![BTreeSet::new(); CLIENTS as usize];
    for kill in 0..KILLS {
        let mut program = start(&directory);
        let mut client = Connection::open(program.address).await;
        for n in 0..CLIENTS {
            if kill == 0 {
                let created = client.create(&two_players(&id(n), HOUR)).await;
                let started = client.post(&id(n), "start", &Value::Null).await;
                acknowledged[n as usize].extend([tag_of(&created), tag_of(&started)]);
                continue;
            }
            let tags = &mut acknowledged[n as usize];
            let newest = *tags.last().expect("there were some");
            let state = client.read(&id(n)).await;
            let found = tag_of(&state);
            // One more may have been on its way when the process was killed.
            assert!(found == newest || found.version == newest.version + 1, "{found:?} after {newest:?}");
            assert_eq!(state["status"], "running");
            let next = client.ask("POST", &format!("/v1/sessions/{}/switch", id(n)), "").await;
            let next = tag(&next);
            assert!(next.epoch > found.epoch && next.version == found.version + 1, "{next:?} after {found:?}");
            tags.extend([found, next]);
        }
        let (tell, mut told) = watch::channel(0);
        let mut clients = JoinSet::new();
        for n in 0..CLIENTS {
            let (address, tell) = (program.address, tell.clone());
            clients.spawn(async move { (n, switch(address, n, tell).await) });
        }
        told.wait_for(|told| *told >= CHANGES_BEFORE_KILL).await.expect("clients are there");
        program.child.kill().expect("it runs");
        program.ended().await;
        while let Some(client) = clients.join_next().await {
            let (n, tags) = client.expect("the client ends well");
            for tag in tags {
                assert!(acknowledged[n as usize].insert(tag), "{tag:?} was given out twice");
            }
        }
    }
    let mut program = start(&directory);
    let mut client = Connection::open(program.address).await;
    let mut states = Vec::new();
    for n in 0..CLIENTS {
        states.push(client.read(&id(n)).await);
    }
    program.child.kill().expect("it runs");
    wait::until("it ends", async || program.child.try_wait().expect("it was started").is_some()).await;
    for (n, tags) in acknowledged.into_iter().enumerate() {
        let changes = history(&directory, &id(n as u64)).await;
        let versions: Vec<_> = changes.iter().map(|change| change.tag.version).collect();
        assert_eq!(versions, (1..=changes.len() as u64).collect::<Vec<_>>(), "each version is there once");
        let kept: BTreeSet<_> = changes.iter().map(|change| change.tag).collect();
        assert!(tags.is_subset(&kept), "{:?} are lost", tags.difference(&kept));
        assert!(kept.len() as u64 <= tags.len() as u64 + KILLS, "no more than was on its way at each kill");
        let last: Value = serde_json::from_slice(&changes.last().expect("there are some").job).expect("JSON");
        assert_eq!(last["state"], states[n], "the state is that of the last change");
        let events: BTreeSet<_> = changes
            .iter()
            .map(|change| serde_json::from_slice::<Value>(&change.job).expect("JSON")["event_id"].to_string())
            .collect();
        assert_eq!(events.len(), changes.len(), "each change has an id of its own");
    }
}
