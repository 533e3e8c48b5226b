//! What a session is at its creation: clocks by mode, and budgets by group.

use super::super::super::{Group, GroupId, Millis, Session, Timestamp};
use super::super::described::{described, group, new_session};
use super::super::script::check;

#[test]
fn everybody_shows_the_clock_that_would_run() {
    check(
        "
        session per_participant A=5000 B=3000 total=9000 turn=2000 max=4000
        at 0 state
          v1 pending | A 5000+0x0 | B 3000+0x0

        session per_cycle A=5000 B=3000 total=9000
        at 0 state
          v1 pending | A 5000+0x0 | B 3000+0x0

        session per_cycle A=5000 B=3000 total=9000 turn=2000
        at 0 state
          v1 pending | A 2000+0x0 | B 2000+0x0

        session per_group A=5000/g B=3000 C=1000/g D=2000/h
        at 0 state
          v1 pending | A 6000+0x0 | B 3000+0x0 | C 6000+0x0 | D 2000+0x0

        session per_group A=5000/g B=3000 C=1000/g D=2000/h g=4000
        at 0 state
          v1 pending | A 4000+0x0 | B 3000+0x0 | C 4000+0x0 | D 2000+0x0

        session global A=5000 B=3000 total=9000
        at 0 state
          v1 pending | A 9000+0x0 | B 9000+0x0

        session count_up A=5000 B=3000 total=9000
        at 0 state
          v1 pending | A 5000+0x0 | B 3000+0x0

        session count_up A=5000 B=3000 total=9000 max=4000
        at 0 state
          v1 pending | A 4000+0x0 | B 4000+0x0
        ",
    );
}

#[test]
fn a_new_session_has_not_begun() {
    let session = new_session("per_group A=5000/g B=3000").create(9, Timestamp::from_ms(77));
    let created = Timestamp::from_ms(77);
    assert_eq!((session.epoch, session.version), (9, 1));
    assert_eq!((session.created_at, session.updated_at), (created, created));
    assert_eq!((session.started_at, session.completed_at), (None, None));
    assert_eq!((session.turn, session.cycle_started_at(), session.deadline()), (None, None, None));
    assert_eq!(session.participants[0].group, Some(group("g")));
    assert_eq!(session.participants[1].group, None);
}

#[test]
fn what_was_given_is_kept() {
    for mode in ["per_participant", "per_cycle turn=2000", "per_group", "global", "count_up max=4000"] {
        let session = described(&format!("{mode} A=5000/g B=3000/g"));
        let given: Vec<_> = session.participants.iter().map(|one| one.initial_time.as_ms()).collect();
        assert_eq!(given, [5000, 3000], "{mode}");
    }
}

#[test]
fn a_group_has_its_members_sum_or_what_was_given() {
    let shown = |description| {
        let session: Session = described(description);
        let group = |group: &Group| (group.id, group.total_time, session.clocks[group.clock]);
        session.groups.iter().map(group).collect::<Vec<(GroupId, Millis, Millis)>>()
    };
    let (five, six) = (Millis::new(5000), Millis::new(6000));
    assert_eq!(shown("per_group A=5000/g B=3000 C=1000/g"), [(group("g"), six, six)]);
    assert_eq!(
        shown("per_group A=4000/g B=3000/h C=2000/g g=5000 h=6000"),
        [(group("g"), five, five), (group("h"), six, six)]
    );
    assert_eq!(shown("per_group A=5000 B=3000"), []);
    assert_eq!(shown("per_participant A=5000/g B=3000/g"), []);
}

#[test]
fn a_given_budget_is_what_the_group_plays_with() {
    check(
        "
        session per_group advance A=5000/g B=3000 C=1000/g g=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 3000+0x0 | C 2000+0x0
        at 1500 switch to C
          A -> C
          v3 running C 1500..2000 | A 500+1500x1 | B 3000+0x0 | C 500+0x0
        at 1999 settle
          nothing
        at 2000 settle
          C flags at 2000
          v4 running B 2000..5000 | A 0+1500x1! | B 3000+0x0 | C 0+500x1!2000
        ",
    );
}
