//! The throughput of the audit: how fast PostgreSQL takes a backlog of changes, and whether it keeps up with new ones.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::generator::failure::{Failure, Result};
use crate::generator::http::{Client, request};
use crate::generator::pace::Pace;
use crate::generator::sample::{Sample, SharedSample};
use crate::generator::sessions::Sessions;
use crate::generator::switches::Switch;
use crate::generator::worker_pool::WorkerPool;
use crate::interleave::Load;
use crate::options::Backend;
use crate::parameter::Parameter;
use crate::report::{Heading, Merit, Row, Series, Slice};
use crate::run::Run;
use crate::scenario::Scenario;
use crate::servers::Needs;
use crate::servers::target::Target;

const CONNECTIONS: usize = 64;
/// How often the queue is looked at.
const PAUSE: Duration = Duration::from_millis(100);
/// Sessions whose history is read back.
const READ_BACK: usize = 20;
/// The default rate, as a share of what the audit kept up with.
const EASE: f64 = 0.9;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "audit-drain",
    about: "Writes 100,000 changes that have waited, then keeps up with as many switches as the machine makes",
    details: "\
First PostgreSQL is halted while changes are made, then let go: how fast are they written with nothing else to do? (Only with a \
PostgreSQL that is started here.) Then switches are made as fast as responses come, and then at --rate (90 % of what the audit kept \
up with, when it is not given): how many wait over time? What the server counts as written must be what was made, exactly, and \
histories that are read back must have each version once.",
    parameters: &[
        Parameter::Changes("100000"),
        Parameter::Sessions("1000"),
        Parameter::Rate(""),
        Parameter::DurationS("10"),
    ],
    needs: Needs { instances: 1, backend: Backend::AuditRow, settings: &[], has_baseline: false },
    run: |run| Box::pin(measure(run)),
};

async fn measure(run: &mut Run) -> Result<()> {
    for target in run.targets().into_iter().filter(|target| target.audit.is_some()) {
        let sessions = run.factory.sessions(&target, run.options.sessions).await?;
        let shares = sessions.shares(CONNECTIONS.min(sessions.len()));
        let workloads = shares.iter().map(|indexes| Switch::boxed(&sessions, indexes, None));
        let mut pool = WorkerPool::new(&target.addresses, workloads);
        if run.fleet.postgres.is_some() {
            drain(run, &target, &mut pool).await?;
        }
        let duration = run.options.duration;
        let kept_up = keep_up(run, &target, &mut pool, Pace::Closed(duration)).await?;
        let rate = run.options.rate.unwrap_or((kept_up * EASE).floor());
        keep_up(run, &target, &mut pool, Pace::Open(rate, duration)).await?;
        if target.surplus().await? > 0 {
            return Err(Failure::Wrong("more changes were written than made".to_owned()));
        }
        read_back(run, &target, &sessions).await?;
    }
    Ok(())
}

/// Measures how fast a backlog of changes is written when the server does nothing else.
async fn drain(run: &mut Run, target: &Arc<Target>, pool: &mut WorkerPool) -> Result<()> {
    let changes = run.options.changes;
    signal(run, "STOP").await;
    let sample = Sample::shared();
    run.progress.set_phase(format!("making {changes} changes while PostgreSQL is halted"), Some(&sample));
    let made = pool.work(Pace::Count(changes), &sample).await;
    // In any case: a halted process does not end.
    signal(run, "CONT").await;
    made?;
    target.add_changes(changes);
    run.progress.set_phase(format!("PostgreSQL writes {changes} changes"), None);
    let (start, before) = (Instant::now(), target.usage()?);
    let mut points = vec![(0.0, changes as f64)];
    loop {
        let left = target.unwritten().await?;
        points.push((start.elapsed().as_secs_f64(), left as f64));
        if left == 0 {
            break;
        }
        tokio::time::sleep(PAUSE / 5).await;
    }
    let took_s = start.elapsed().as_secs_f64();
    let used = target.usage()?.since(&before);
    run.report.figure("rows written a second, of those that had waited", changes as f64 / took_s, "rows/s");
    let per_1000 = |used_s: f64| used_s * 1_000.0 / changes as f64;
    if let Some(used_s) = used.server_s {
        run.report.figure("processor of the server for 1,000 rows", per_1000(used_s), "s");
    }
    for (name, used_s) in used.helpers_s {
        run.report.figure(format!("processor of {name} for 1,000 rows"), per_1000(used_s), "s");
    }
    run.report.series.push(Series { name: "Changes that had waited".to_owned(), unit: "changes", points });
    Ok(())
}

/// Switches at a pace while the audit writes; returns how many a second it kept up with.
async fn keep_up(run: &mut Run, target: &Arc<Target>, pool: &mut WorkerPool, pace: Pace) -> Result<f64> {
    let sample = Sample::shared();
    let rate = match pace {
        Pace::Open(rate, _) => Some(rate),
        Pace::Closed(_) | Pace::Count(_) => None,
    };
    let load = Load::new(rate).name(pool.connections());
    run.progress.set_phase(format!("switches, audited, {load}"), Some(&sample));
    let (before, start) = (target.usage()?, Instant::now());
    let (worked, points) = {
        let mut points = Vec::new();
        let work = pool.work(pace, &sample);
        let mut work = std::pin::pin!(work);
        let worked = loop {
            tokio::select! {
                worked = &mut work => break worked,
                waiting = waiting(target, &sample) => points.push((start.elapsed().as_secs_f64(), waiting?)),
            }
        };
        (worked, points)
    };
    worked?;
    let usage = target.usage()?.since(&before);
    target.add_changes(sample.lock().done());
    let left = target.unwritten().await?;
    let drained = target.wait_for_audit().await?;
    let sample = sample.lock().clone();
    let kept_up = sample.done() as f64 / (sample.took + drained).as_secs_f64();
    let growth = growth(&points);
    let most = points.iter().map(|(_, waiting)| *waiting).fold(0.0, f64::max);
    let figures = [
        ("changes that waited at most", most, "changes"),
        ("changes that waited at the end", left as f64, "changes"),
        ("growth of the queue in the second half", growth, "changes/s"),
    ];
    for (name, value, unit) in figures {
        run.report.figure(format!("{load}: {name}"), value, unit);
    }
    run.report.series.push(Series { name: format!("Changes that wait, {load}"), unit: "changes", points });
    let merit = if rate.is_some() { Merit::Latency } else { Merit::Rate };
    let heading = Heading { work: "switch, audited".to_owned(), load, merit, has_cost: true };
    let slices = vec![Slice { sample, usage: Some(usage), drained: Some(drained) }];
    run.report.rows.push(Row { heading, target: target.name.clone(), slices });
    Ok(kept_up)
}

/// Pauses, then returns how many changes wait to be written.
async fn waiting(target: &Target, sample: &SharedSample) -> Result<f64> {
    tokio::time::sleep(PAUSE).await;
    // What is done is counted first: what is written meanwhile makes the difference smaller, not negative.
    let done = sample.lock().done();
    Ok(target.unwritten_of(done).await? as f64)
}

/// The growth a second over the second half of the points: the slope of the least-squares line.
fn growth(points: &[(f64, f64)]) -> f64 {
    let points = &points[points.len() / 2..];
    let count = points.len().max(1) as f64;
    let (mean_x, mean_y) =
        (points.iter().map(|(x, _)| x).sum::<f64>() / count, points.iter().map(|(_, y)| y).sum::<f64>() / count);
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if variance > 0.0 { covariance / variance } else { 0.0 }
}

/// Reads some histories and looks for versions that are missing or there twice.
async fn read_back(run: &mut Run, target: &Target, sessions: &Sessions) -> Result<()> {
    run.progress.set_phase("reading histories back", None);
    let mut client = Client::open(target.first()).await?;
    let step = (sessions.len() / READ_BACK).max(1);
    let mut versions = 0;
    for index in (0..sessions.len()).step_by(step) {
        let (id, mut after, mut last) = (sessions.id(index), String::new(), 0);
        loop {
            let path = format!("/v1/sessions/{id}/events?limit=200&after={after}");
            let response = client.ask(&request("GET", &path, "")).await?;
            let page: Value = serde_json::from_slice(response.body).map_err(|error| response.wrong(error))?;
            for event in page["data"].as_array().into_iter().flatten() {
                last += 1;
                if event["version"] != last {
                    return Err(response.wrong(format_args!("the history of {id} must go on with version {last}")));
                }
            }
            after = page["next"].as_str().unwrap_or_default().to_owned();
            if page["has_more"] != true {
                break;
            }
        }
        if last != sessions.version(index) {
            let version = sessions.version(index);
            return Err(Failure::Wrong(format!("the history of {id} ends with {last}, it has version {version}")));
        }
        versions += last;
    }
    run.report
        .note(format!("{versions} versions were read back from histories: none is missing, none is there twice."));
    Ok(())
}

/// Sends a signal to PostgreSQL, whose client must not be used where the runtime is.
async fn signal(run: &Run, name: &'static str) {
    let Some(postgres) = run.fleet.postgres.clone() else { return };
    let sent = tokio::task::spawn_blocking(move || postgres.lock().signal(name)).await;
    sent.expect("a signal can be sent");
}
