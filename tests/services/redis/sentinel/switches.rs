//! Failovers, forced in one way or another, until the next master serves clients.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::task::block_in_place;

use test_support::sentinel::Group;
use test_support::wait;

use super::super::scale;
use super::super::watcher::Watcher;
use super::ledger::{Kept, Ledger};
use super::old::Overheard;
use super::{INSTANCES, SESSIONS};

/// The goal is 2 s; the rest is for a machine that is busy.
const BACK_TIME_MAX: Duration = Duration::from_secs(10);
/// Answers that clients get from a master whose replicas were cut off.
const ANSWERS_ALONE: u64 = 40;

/// What happens to a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It is killed; whatever it had sent reaches its replicas.
    Killed,
    /// Its replicas are cut off first, so that it is certain that they lack something.
    KilledAlone,
    /// It is halted, and goes on when another has taken its place.
    Halted,
    /// Another takes its place while it goes on.
    Replaced,
    /// The same, and it was told before to let nobody change anything.
    ReplacedAtRest,
}

/// What came of a fault.
pub(super) struct Switch {
    /// The wall clock's, in ms: what was acknowledged before has an older epoch, what was after a newer one.
    pub(super) at_ms: u64,
    /// What the new master had when it became one; `None` when nobody could look in time.
    pub(super) kept: Option<Kept>,
    /// Whether the old master could be heard, if it went on.
    pub(super) heard: Option<bool>,
}

/// Masters that are killed and halted, in turns.
pub(super) fn faults() -> Vec<Fault> {
    let (kills, halts) = (scale("SYNCKAIROS_TEST_MASTER_KILLS", 2), scale("SYNCKAIROS_TEST_MASTER_HALTS", 1));
    let mut faults = Vec::new();
    for number in 0..kills.max(halts) {
        if number < kills {
            faults.push(if number % 2 == 0 { Fault::KilledAlone } else { Fault::Killed });
        }
        if number < halts {
            faults.push(Fault::Halted);
        }
    }
    faults
}

/// Takes the master away and waits until every instance and every client is served by another.
pub(super) async fn switch(fault: Fault, group: &mut Group, ledger: &Ledger, watchers: &[Watcher]) -> Switch {
    let old = group.master();
    if fault == Fault::KilledAlone {
        block_in_place(|| group.cut_replicas(old));
        ledger.more_answers(ANSWERS_ALONE).await;
    }
    let at_ms = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    let struck = Instant::now();
    match fault {
        Fault::Killed | Fault::KilledAlone => group.nodes[old].kill(),
        Fault::Halted => group.nodes[old].signal("STOP"),
        Fault::Replaced => block_in_place(|| group.hand_over()),
        Fault::ReplacedAtRest => block_in_place(|| {
            group.pause(old);
            group.hand_over();
        }),
    }
    let goes_on = matches!(fault, Fault::Replaced | Fault::ReplacedAtRest);
    let others = if goes_on { None } else { block_in_place(|| left_behind(group, old)) };
    let (new, announced) = block_in_place(|| group.switched(old));
    let mut overheard = None;
    if goes_on {
        overheard = Some(Overheard::begin(&group.nodes[old]).await.go_on(&group.nodes[old]).await);
    }
    let served = ledger.served(at_ms, struck, INSTANCES).await;
    let heard = Instant::now();
    let is_new = |watcher: &Watcher| watcher.seen().tags.last().is_some_and(|(epoch, _)| *epoch >= at_ms);
    wait::within(BACK_TIME_MAX, "clients see updates again", async || watchers.iter().all(is_new)).await;
    let heard = heard.elapsed();
    let back: Vec<_> = served.iter().map(|at| at.saturating_duration_since(announced)).collect();
    println!(
        "{fault:?}: announced after {:?}; instances acknowledge {back:?} after that; clients hear {heard:?} later",
        announced - struck
    );
    assert!(back.iter().all(|back| *back < BACK_TIME_MAX), "it took {back:?}");
    match fault {
        Fault::Killed | Fault::KilledAlone => block_in_place(|| group.start_again(old)),
        Fault::Halted => overheard = Some(Overheard::begin(&group.nodes[old]).await.go_on(&group.nodes[old]).await),
        Fault::Replaced | Fault::ReplacedAtRest => {}
    }
    let kept = others.and_then(|mut others| others.remove(&new));
    Switch { at_ms, kept, heard: overheard }
}

/// What each replica has when nothing comes any more and before one of them is made a master.
fn left_behind(group: &Group, old: usize) -> Option<HashMap<usize, Kept>> {
    let others = group.others(old);
    let look = || -> Option<Vec<(String, String)>> {
        let infos = others.iter().map(|place| group.replication(*place));
        infos.map(|info| info.map(|info| (info["role"].clone(), info["slave_repl_offset"].clone()))).collect()
    };
    let mut last = None;
    loop {
        let now = look()?;
        if now.iter().any(|(role, _)| role != "slave") {
            return None;
        }
        if last.as_ref() == Some(&now) {
            break;
        }
        last = Some(now);
        std::thread::sleep(Duration::from_millis(30));
    }
    let kept = others.iter().map(|place| (*place, Kept::read(&mut group.nodes[*place].connect(), SESSIONS))).collect();
    (look() == last).then_some(kept)
}
