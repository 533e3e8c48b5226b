//! How long it takes from a change at one instance until a client of another one has it.

use std::io;
use std::time::{Duration, Instant};

use crate::client::{Client, number, request};
use crate::servers::Server;
use crate::socket::Socket;
use crate::work;

/// Switches a session `changes` times and prints latencies; both instances are told of one Redis by REDIS_URL.
pub(crate) fn measure(changes: usize) -> io::Result<()> {
    let (one, other) = (Server::synckairos()?, Server::synckairos()?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut answered, mut seen) = runtime.block_on(async {
        let ids = work::sessions(one.address, 1).await?;
        let id = &ids[0];
        let (mut client, mut socket) = (Client::open(one.address).await?, Socket::open(other.address, id).await?);
        let switch = request("POST", &format!("/v1/sessions/{id}/switch"), "");
        let (mut answered, mut seen) = (Vec::new(), Vec::new());
        for _ in 0..changes {
            let start = Instant::now();
            let answer = async {
                let (_, body) = client.ask(&switch).await?;
                let version = number(body, b"\"version\":").ok_or_else(|| io::Error::other("no version"))?;
                io::Result::Ok((version, start.elapsed()))
            };
            let update = async {
                socket.until(b"\"STATE_UPDATE\"").await?;
                io::Result::Ok(start.elapsed())
            };
            let ((version, answer_took), update_took) = tokio::try_join!(answer, update)?;
            socket.until(format!("\"version\":{version},").as_bytes()).await?;
            answered.push(answer_took);
            seen.push(update_took);
        }
        io::Result::Ok((answered, seen))
    })?;
    println!("{changes} switches, one after the other, in ms from sending the request");
    print("answered", &mut answered);
    print("seen by a WebSocket client of another instance", &mut seen);
    Ok(())
}

fn print(what: &str, latencies: &mut [Duration]) {
    latencies.sort_unstable();
    let at = |share: f64| latencies[((latencies.len() - 1) as f64 * share) as usize].as_secs_f64() * 1_000.0;
    println!("{what}: p50 {:.3}, p99 {:.3}, max {:.3}", at(0.50), at(0.99), at(1.0));
}
