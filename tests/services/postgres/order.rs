//! Idempotent writes: jobs in any order, in any batches, some twice, by any number of writers, come to the same rows.

use std::collections::BTreeMap;
use std::sync::Mutex;

use postgres::Client;
use serde_json::Value;
use synckairos::engine::{
    Command, GroupId, Millis, Mode, NewParticipant, NewSession, OnTimeout, ParticipantId, Patch, SessionId, Uuid,
};

use test_support::dice::{Dice, scale};
use test_support::postgres::Database;

use super::{migrated, rows, server, write};
use test_support::life::{BEGIN_MS, Life, SWITCH, uuid};

const SESSIONS: &str = "select * from audit_sessions order by session_id";
const PARTICIPANTS: &str = "select session_id, participant_id, total_time_ms, group_id, total_cycles, \
                            total_time_active_ms, added_at, first_active_at, last_active_at, metadata, epoch, version \
                            from sync_participants order by session_id, participant_id";

/// The jobs of a life, in order; now and then the store loses its last steps.
fn told(dice: &mut Dice, n: u64, mode: Mode, on_timeout: OnTimeout) -> Vec<Vec<u8>> {
    let place = |place: u64| ParticipantId(uuid(n * 100 + place));
    let size = 2 + dice.below(4);
    let mut participant = |number| NewParticipant {
        id: place(number),
        index: dice.below(3),
        total_time: Millis::new(10_000 + dice.below(100_000)),
        group: (dice.below(3) > 0).then(|| GroupId(uuid(n * 100 + 50 + dice.below(2)))),
    };
    let new = NewSession {
        id: SessionId(uuid(n)),
        mode,
        on_timeout,
        participants: (0..size).map(&mut participant).collect(),
        groups: Vec::new(),
        total_time: Millis::new(300_000),
        time_per_cycle: (dice.below(2) == 0).then(|| Millis::new(4_000 + dice.below(20_000))),
        increment: Millis::new(dice.below(9_000)),
        max_time: (mode == Mode::CountUp).then(|| Millis::new(90_000)),
        warn_at: [].into(),
        metadata: None,
        controls: None,
    };
    let (mut life, created) = Life::of(&new, BEGIN_MS, n);
    let (mut jobs, mut earlier, mut now) = (vec![created], vec![life.clone()], 0);
    for step in 0..60 {
        let most = [200, 3_000, 12_000][dice.below(3) as usize];
        now += 1 + dice.below(most);
        let command = match dice.below(30) {
            _ if step == 0 => Command::Start,
            0 => Command::Pause,
            1..=4 => Command::Resume,
            5 => Command::Settle,
            6 => Command::Patch(Patch { increment: Some(Millis::new(dice.below(9_000))), ..Patch::default() }),
            7 if step > 40 => Command::Complete,
            8 if step > 40 => Command::Delete,
            9..=12 => Command::Switch { next: Some(place(dice.below(size))), current: None },
            _ => SWITCH,
        };
        let before = life.clone();
        if dice.below(16) == 0 {
            let back = 1 + dice.below(8) as usize;
            life.forget(&earlier[earlier.len().saturating_sub(back)], now);
        }
        let Some(job) = life.try_step(&command, now) else {
            // A new epoch begins with a change.
            life = before;
            continue;
        };
        jobs.push(job);
        if command == Command::Delete {
            break;
        }
        earlier.push(life.clone());
    }
    jobs
}

fn shuffle<T>(dice: &mut Dice, all: &mut [T]) {
    for end in (1..all.len()).rev() {
        all.swap(end, dice.below(end as u64 + 1) as usize);
    }
}

/// What was written, and that there is one row for each job.
fn written(client: &mut Client, jobs: usize) -> [String; 2] {
    let count: i64 = client.query_one("select count(*) from sync_events", &[]).expect("a number").get(0);
    assert_eq!(count, jobs as i64);
    [SESSIONS, PARTICIPANTS].map(|sql| rows(client, sql))
}

fn forget_all(client: &mut Client) {
    client.batch_execute("truncate sync_events, sync_sessions, sync_participants").expect("nobody is in the way");
}

#[test]
fn whatever_the_order_the_end_is_what_the_jobs_say() {
    let mut dice = Dice(scale("SYNCKAIROS_TEST_SEED", 20));
    let (database, mut client, mut sink) = migrated();
    let mut jobs = Vec::new();
    let kinds = Mode::ALL.into_iter().flat_map(|mode| OnTimeout::ALL.map(|on_timeout| (mode, on_timeout)));
    for (n, (mode, on_timeout)) in (1..).zip(kinds) {
        let life = told(&mut dice, n, mode, on_timeout);
        let mut said = Vec::new();
        for job in &life {
            write(&mut sink, std::slice::from_ref(job)).expect("it is written");
            said.push(serde_json::from_slice(job).expect("it is JSON"));
            assert_told(uuid(n), &said, &mut client);
        }
        jobs.extend(life);
    }
    let expected = written(&mut client, jobs.len());
    for round in 0..4 {
        forget_all(&mut client);
        shuffle(&mut dice, &mut jobs);
        let mut batches = Vec::new();
        let mut rest = &jobs[..];
        while !rest.is_empty() {
            let most = [2, 20, 128][dice.below(3) as usize];
            let size = (1 + dice.below(most) as usize).min(rest.len());
            batches.push(&rest[..size]);
            if dice.below(4) == 0 {
                batches.push(&rest[..size]);
            }
            rest = &rest[size..];
        }
        shuffle(&mut dice, &mut batches);
        write_all(&database, batches, 1 + 3 * (round % 2));
        assert_eq!(written(&mut client, jobs.len()), expected);
    }
}

fn write_all(database: &Database, batches: Vec<&[Vec<u8>]>, writers: usize) {
    let batches = Mutex::new(batches);
    std::thread::scope(|scope| {
        for _ in 0..writers {
            scope.spawn(|| {
                let mut sink = synckairos::postgres::PostgresSink::new(server(&database.url()));
                let next = || batches.lock().expect("nobody panics").pop();
                while let Some(batch) = next() {
                    write(&mut sink, batch).expect("nobody is in the way");
                }
            });
        }
    });
}

/// What changes in their order say together of each participant: the newest state's totals, and the first and the last
/// instant at which it is known that it was their turn.
fn assert_told(session: Uuid, jobs: &[Value], client: &mut Client) {
    let sql = format!(
        "select participant_id, total_time_ms, group_id, total_cycles, total_time_active_ms, \
         (extract(epoch from added_at) * 1000)::bigint as added_ms, metadata, \
         (extract(epoch from first_active_at) * 1000)::bigint as first_ms, \
         (extract(epoch from last_active_at) * 1000)::bigint as last_ms \
         from sync_participants where session_id = '{session}'"
    );
    let found: Vec<Value> = serde_json::from_str(&rows(client, &sql)).expect("it is JSON");
    let mut turns = BTreeMap::<_, (i64, i64)>::new();
    let mut forgot = false;
    for (place, job) in jobs.iter().enumerate() {
        forgot |= place > 0 && job["epoch"] != jobs[place - 1]["epoch"];
        let at = job["timestamp_ms"].as_i64().expect("an instant");
        let mut add = |id: &Value, since: i64, until: i64| {
            let (first, last) = turns.entry(id.to_string()).or_insert((since, until));
            (*first, *last) = (since.min(*first), until.max(*last));
        };
        for one in job["state"]["participants"].as_array().expect("there are some") {
            if let Some(flagged) = ms(&one["expired_at"]) {
                add(&one["participant_id"], flagged, flagged);
            }
        }
        if !job["participant_id"].is_null() {
            add(&job["participant_id"], at - job["time_elapsed_ms"].as_i64().unwrap_or(0), at);
        }
        let active = &job["state"]["active_participant_id"];
        if !active.is_null() {
            add(active, ms(&job["state"]["cycle_started_at"]).unwrap_or(at), at);
        }
    }
    let newest = &jobs.last().expect("there is one")["state"];
    let participants = newest["participants"].as_array().expect("there are some");
    assert_eq!(participants.len(), found.len());
    for one in participants {
        let id = &one["participant_id"];
        let row = found.iter().find(|row| row["participant_id"] == *id).expect("there is a row");
        assert_eq!(row["total_time_ms"], one["initial_time_ms"], "{id}");
        assert_eq!(row["group_id"], *one.get("group_id").unwrap_or(&Value::Null), "{id}");
        assert_eq!(row["total_cycles"], one["cycle_count"], "{id}");
        assert_eq!(row["total_time_active_ms"], one["time_used_ms"], "{id}");
        assert_eq!(row["added_ms"].as_i64(), ms(&newest["created_at"]), "{id}");
        for name in ["participant_index", "has_expired", "expired_at"] {
            assert_eq!(row["metadata"].get(name), one.get(name), "{id}");
        }
        let known = turns.get(&id.to_string());
        assert_eq!(row["first_ms"].as_i64(), known.map(|known| known.0), "{id}");
        // A turn that still runs may be told of when it is over; one of which the end was forgotten never is.
        let (told, last) = (row["last_ms"].as_i64(), known.map(|known| known.1));
        let may_lag = last.is_some() && (forgot || one["is_active"] == true);
        assert!(told == last || may_lag && told < last, "{id}: {told:?} {last:?}");
    }
}

/// The milliseconds of an instant as states have it: all are of the day on which lives begin.
fn ms(instant: &Value) -> Option<i64> {
    let time = instant.as_str()?.strip_prefix("2025-01-01T")?.strip_suffix('Z')?;
    let number = |place: std::ops::Range<usize>| time[place].parse::<i64>().expect("a number");
    let seconds = number(0..2) * 3_600 + number(3..5) * 60 + number(6..8);
    Some(BEGIN_MS as i64 + seconds * 1_000 + number(9..12))
}
