//! A Sentinel group whose master is killed and halted under load. What clients were told is compared with what the
//! replica had that became master, and with what the instances reported. With SYNCKAIROS_TEST_MASTER_KILLS=10,
//! SYNCKAIROS_TEST_MASTER_HALTS=5, a release build and `--nocapture` it tells how soon service is back.

mod ledger;
mod old;
mod switches;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use tokio::task::block_in_place;

use test_support::certificates::Authority;
use test_support::http::Connection;
use test_support::postgres::Database;
use test_support::sentinel::Group;
use test_support::sessions::id;
use test_support::wait;

use super::makers::{Makers, Tag};
use super::outages::issue;
use super::process::Instance;
use super::watcher::Watcher;
use super::{HOUR, scale, start};
use ledger::{Acknowledged, Kept, Ledger, Told};
use switches::{Fault, Switch, faults, switch};

const INSTANCES: usize = 3;
const SESSIONS: u64 = 8;

/// What a group went through, and what everybody was told meanwhile.
struct Story {
    group: Group,
    instances: Vec<Instance>,
    switches: Vec<Switch>,
    /// Switches that nobody asked for: a machine that is too busy makes Sentinels believe that a server is down.
    unasked: u64,
    told: Told,
    /// Which change made which state, as far as clients saw.
    makers: Makers,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_new_master_lacks_is_reported_and_never_issued_twice() {
    let story = Story::play(&[("AUDIT", "off")], &[&faults()[..], &handovers(Fault::Replaced)].concat()).await;
    let lost = story.lost();
    let expected = missed(&lost);
    let mut reported = Vec::new();
    for (place, instance) in story.instances.iter().enumerate() {
        let least = expected.get(&place).copied().unwrap_or_default();
        wait::until("what is lost is reported", async || instance.behind() >= least).await;
        reported.push(instance.reported().await);
    }
    let (lost, expected) = (lost.iter().map(Vec::len).sum::<usize>(), expected.values().sum::<u64>());
    println!("{lost} acknowledged changes are lost, of {expected} sessions by instance; reported {reported:?}");
    assert!(lost > 0 || story.unsure() > 0, "a master that was alone took changes with it");
    let most = expected + story.told.unknown + story.unsure() * SESSIONS * INSTANCES as u64;
    assert!(reported.iter().sum::<u64>() <= most, "{expected} were lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_has_all_that_replicas_had_to_have() {
    let database = block_in_place(Database::create);
    let settings = [("REDIS_REPLICAS_MIN", "1"), ("DATABASE_URL", &database.url())];
    let mut story = Story::play(&settings, &faults()).await;
    story.lacks_nothing().await;
    story.drained().await;
    let rows = block_in_place(|| rows(&database));
    for ((session, tag), changes) in &rows {
        assert_eq!(changes.len(), 1, "session {session}: a state has one row: {tag:?}");
        if let Some(change) = changes[0] {
            story.makers.made(*session, *tag, change);
        }
    }
    let missing = story.told.done.iter().filter(|it| !rows.contains_key(&(it.session, it.tag))).count();
    println!("{} rows of the audit; {missing} acknowledged changes are missing there", rows.len());
    assert!(missing == 0 || story.unasked > 0, "{missing} are missing");
}

/// A master that goes on while another takes its place has all replicas but that one still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_loses_nothing_that_all_replicas_had_to_have() {
    let settings = [("REDIS_REPLICAS_MIN", "2"), ("AUDIT", "off")];
    Story::play(&settings, &handovers(Fault::Replaced)).await.lacks_nothing().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handover_loses_nothing_when_changes_wait() {
    Story::play(&[("AUDIT", "off")], &handovers(Fault::ReplacedAtRest)).await.lacks_nothing().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_dies_with_everything_encrypted() {
    let authority = Authority::new();
    let group = block_in_place(|| Group::start_encrypted(2, &authority));
    let settings = [("REDIS_CA_CERT", &*authority.file()), ("REDIS_REPLICAS_MIN", "1"), ("AUDIT", "off")];
    Story::play_on(group, &settings, &[Fault::Killed]).await.lacks_nothing().await;
}

fn handovers(kind: Fault) -> Vec<Fault> {
    vec![kind; scale("SYNCKAIROS_TEST_MASTER_HANDOVERS", 1) as usize]
}

/// It is the same process all the time, and yet not the same history.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_master_again_issues_nothing_twice() {
    let mut group = block_in_place(|| Group::start(1));
    let instance = Instance::start(&group.url(), &[("AUDIT", "off")]).await;
    let mut client = Connection::open(instance.program.address).await;
    start(&mut client, 0, HOUR).await;
    let mut issued = BTreeSet::new();
    issue(&mut client, 0, &mut issued).await;
    let (first, second) = (group.master(), group.others(group.master())[0]);
    wait::until("its replica has it", async || {
        Kept::read(&mut group.nodes[second].connect(), 1).0.get(&0).is_some_and(|((_, version), _)| *version == 3)
    })
    .await;
    block_in_place(|| group.cut_replicas(first));
    for _ in 0..3 {
        issue(&mut client, 0, &mut issued).await;
    }
    group.nodes[first].signal("STOP");
    block_in_place(|| group.switched(first));
    wait::until("the loss is reported", async || instance.behind() == 1).await;
    assert_eq!(client.read(&id(0)).await["version"], 3);
    group.nodes[first].signal("CONT");
    block_in_place(|| {
        group.let_follow(first);
        group.heal();
        group.nodes[second].kill();
        group.switched(second);
    });
    wait::until("the session is there", async || {
        client.ask("GET", &format!("/v1/sessions/{}", id(0)), "").await.status == 200
    })
    .await;
    for _ in 0..4 {
        issue(&mut client, 0, &mut issued).await;
    }
    assert_eq!(client.read(&id(0)).await["version"], 7, "it went on from where the replica was");
    assert_eq!(instance.behind(), 1, "nothing was lost by the second switch");
}

impl Story {
    async fn play(settings: &[(&str, &str)], faults: &[Fault]) -> Self {
        Self::play_on(block_in_place(|| Group::start(2)), settings, faults).await
    }

    async fn play_on(mut group: Group, settings: &[(&str, &str)], faults: &[Fault]) -> Self {
        let mut instances = Vec::new();
        for _ in 0..INSTANCES {
            instances.push(Instance::start(&group.url(), settings).await);
        }
        let addresses: Vec<_> = instances.iter().map(|instance| instance.program.address).collect();
        let ledger = Ledger::start(&addresses, SESSIONS).await;
        let mut watchers = Vec::new();
        for session in 0..SESSIONS {
            watchers.push(Watcher::join(addresses[(session as usize + 2) % INSTANCES], &id(session)).await);
        }
        let mut switches = Vec::new();
        let (before, _) = group.announced();
        for fault in faults {
            ledger.more(150).await;
            switches.push(switch(*fault, &mut group, &ledger, &watchers).await);
            block_in_place(|| group.heal());
        }
        let heard: Vec<_> = switches.iter().filter_map(|switch| switch.heard).collect();
        assert!(heard.is_empty() || heard.contains(&true), "no old master could be heard before it was a replica");
        ledger.more(150).await;
        let told = ledger.stop().await;
        let unasked = group.announced().0 - before - switches.len() as u64;
        println!(
            "{} switches and {unasked} that nobody asked for: {} changes acknowledged, {} of unknown outcome, {} refused",
            switches.len(),
            told.done.len(),
            told.unknown,
            told.refused
        );
        let mut story = Self { group, instances, switches, unasked, makers: told.makers(), told };
        story.check(&watchers).await;
        story
    }

    /// What must hold whatever is lost.
    async fn check(&mut self, watchers: &[Watcher]) {
        let Self { makers, told, .. } = self;
        let kept = Kept::read(&mut self.group.nodes[self.group.master()].connect(), SESSIONS);
        for (session, watcher) in (0..).zip(watchers) {
            let (newest, change) = kept.0[&session];
            makers.made(session, newest, change.expect("it was changed"));
            let told = told.done.iter().filter(|it| it.session == session).map(|it| it.tag).max();
            assert!(told <= Some(newest), "session {session} is at {newest:?}, and {told:?} was acknowledged");
            wait::until("a client sees the newest state", async || watcher.seen().tags.last() == Some(&newest)).await;
            watcher.seen().messages.iter().for_each(|message| makers.seen(session, message));
        }
        assert!(makers.gaps() <= told.unknown, "{} versions are nobody's: {} unknown", makers.gaps(), told.unknown);
    }

    /// Nothing that was acknowledged is lost, and nobody says so.
    async fn lacks_nothing(&self) {
        let lost = self.lost();
        assert!(lost.iter().all(Vec::is_empty), "{lost:?}");
        for instance in &self.instances {
            let reported = instance.reported().await;
            assert!(reported == 0 || self.unasked > 0, "{reported} sessions are reported as set back");
        }
    }

    /// Switches of which it is not known what the new master had.
    fn unsure(&self) -> u64 {
        self.unasked + self.switches.iter().filter(|switch| switch.kept.is_none()).count() as u64
    }

    /// What was acknowledged before each switch and was not there after it.
    fn lost(&self) -> Vec<Vec<Acknowledged>> {
        let mut counted = HashSet::new();
        let mut all = Vec::new();
        for switch in &self.switches {
            let is_lost = |it: &&Acknowledged| match &switch.kept {
                _ if it.tag.0 >= switch.at_ms => false,
                Some(Kept(kept)) => kept.get(&it.session).is_none_or(|(tag, _)| it.tag > *tag),
                // What was made again for certain.
                None => self.makers.first_since(it.session, switch.at_ms).is_some_and(|first| it.tag.1 >= first),
            };
            let lost = self.told.done.iter().filter(is_lost).filter(|it| counted.insert((it.session, it.tag)));
            all.push(lost.copied().collect());
        }
        all
    }

    /// Waits until nothing is queued.
    async fn drained(&self) {
        let master = &self.group.nodes[self.group.master()];
        wait::within(Duration::from_secs(60), "the queue is empty", async || {
            let mut commands = redis::pipe();
            commands.cmd("LLEN").arg("db-writes:wait").cmd("ZCARD").arg("db-writes:lease");
            commands.cmd("ZCARD").arg("db-writes:delayed").cmd("LLEN").arg("db-writes:dead");
            let left: Vec<u64> = commands.query(&mut master.connect()).expect("it answers");
            left.iter().sum::<u64>() == 0
        })
        .await;
    }
}

/// Which changes made each state, as the audit has it; a creation and a start have no number.
fn rows(database: &Database) -> HashMap<(u64, Tag), Vec<Option<u64>>> {
    let asked = "select session_id::text, epoch, version, (state_snapshot->'metadata'->>'change')::bigint \
                 from sync_events";
    let mut rows: HashMap<_, Vec<_>> = HashMap::new();
    for row in database.connect().query(asked, &[]).expect("the query is right") {
        let (session, epoch, version): (String, i64, i64) = (row.get(0), row.get(1), row.get(2));
        let session = (0..SESSIONS).find(|n| id(*n) == session).expect("it is one of ours");
        let change: Option<i64> = row.get(3);
        rows.entry((session, (epoch as u64, version as u64))).or_default().push(change.map(|change| change as u64));
    }
    rows
}

/// How many sessions each instance must have found set back: those of which something it acknowledged is lost.
fn missed(lost: &[Vec<Acknowledged>]) -> HashMap<usize, u64> {
    let mut missed = HashMap::new();
    for lost in lost {
        let sessions: HashSet<_> = lost.iter().map(|it| (it.instance, it.session)).collect();
        for (instance, _) in sessions {
            *missed.entry(instance).or_default() += 1;
        }
    }
    missed
}
