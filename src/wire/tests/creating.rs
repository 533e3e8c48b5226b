//! Requests to create a session.

use super::super::create;
use super::sample::NEW;
use super::table::{self, check, parts};
use crate::engine::{Millis, NewSession};
use crate::wire::{FieldProblems, Object};

/// The parts of a session to be created.
pub(super) fn created(body: &Object<'_>, problems: &mut FieldProblems) -> Option<Vec<String>> {
    create(body, problems).map(|new| told(&new))
}

fn told(new: &NewSession) -> Vec<String> {
    let mut parts = vec![
        format!("session_id={}", new.id),
        format!("sync_mode={}", new.mode.name()),
        format!("total_time_ms={}", new.total_time.as_ms()),
        format!("increment_ms={}", new.increment.as_ms()),
        format!("on_timeout={}", new.on_timeout.name()),
    ];
    for (place, given) in new.participants.iter().enumerate() {
        parts.push(format!("participants.{place}.participant_id={}", given.id));
        parts.push(format!("participants.{place}.participant_index={}", given.index));
        parts.push(format!("participants.{place}.total_time_ms={}", given.total_time.as_ms()));
        parts.extend(given.group.map(|id| format!("participants.{place}.group_id={id}")));
    }
    parts.extend(new.time_per_cycle.map(|time| format!("time_per_cycle_ms={}", time.as_ms())));
    parts.extend(new.max_time.map(|time| format!("max_time_ms={}", time.as_ms())));
    parts.extend(new.metadata.iter().map(|text| format!("metadata={text}")));
    parts.extend(new.warn_at.first().map(|_| format!("warn_at_ms={}", thresholds(&new.warn_at))));
    parts.extend(new.groups.iter().map(|(id, time)| format!("group {id}={}", time.as_ms())));
    parts
}

/// Thresholds as they are given.
pub(super) fn thresholds(of: &[Millis]) -> String {
    of.iter().map(|time| time.as_ms().to_string()).collect::<Vec<_>>().join(",")
}

/// The field at its borders and beside them.
pub(super) const TIMES: &str = r#"
    > FIELD=1000
      FIELD=1000
    > FIELD=86400000
      FIELD=86400000
    > FIELD=999
      FIELD too_small
    > FIELD=86400001
      FIELD too_big
    > FIELD=60000.0
      FIELD=60000
    > FIELD=6e4
      FIELD=60000
    > FIELD=6.0E+4
      FIELD=60000
    > FIELD=612340e-1
      FIELD=61234
    > FIELD=1000.5
      FIELD invalid_type
    > FIELD=999.5
      FIELD too_small
    > FIELD=86400000.5
      FIELD too_big
    > FIELD=0
      FIELD too_small
    > FIELD=-60000
      FIELD too_small
    > FIELD=1e999
      FIELD too_big
    > FIELD=-1e999
      FIELD too_small
    > FIELD=18446744073709611616
      FIELD too_big
    > FIELD="60000"
      FIELD invalid_type
    > FIELD=null
      FIELD invalid_type
    > FIELD=true
      FIELD invalid_type
    > FIELD=[60000]
      FIELD invalid_type
    > FIELD={}
      FIELD invalid_type
"#;

/// The field and what is a UUID.
pub(super) const UUIDS: &str = r#"
    > FIELD="550e8400-e29b-11d4-8716-446655440000"
      FIELD=550e8400-e29b-11d4-8716-446655440000
    > FIELD="550E8400-E29B-81D4-BFFF-446655440000"
      FIELD=550e8400-e29b-81d4-bfff-446655440000
    > FIELD="00000000-0000-0000-0000-000000000000"
      FIELD=00000000-0000-0000-0000-000000000000
    > FIELD="FFFFFFFF-FFFF-FFFF-FFFF-ffffffffffff"
      FIELD=ffffffff-ffff-ffff-ffff-ffffffffffff
    > FIELD="550e8400-e29b-41d4-a716-44665544000\u0031"
      FIELD=550e8400-e29b-41d4-a716-446655440001
    > FIELD="550e8400-e29b-01d4-a716-446655440000"
      FIELD invalid_format
    > FIELD="550e8400-e29b-91d4-a716-446655440000"
      FIELD invalid_format
    > FIELD="550e8400-e29b-41d4-7716-446655440000"
      FIELD invalid_format
    > FIELD="550e8400-e29b-41d4-c716-446655440000"
      FIELD invalid_format
    > FIELD="550e8400e29b41d4a716446655440000"
      FIELD invalid_format
    > FIELD="{550e8400-e29b-41d4-a716-446655440000}"
      FIELD invalid_format
    > FIELD=" 550e8400-e29b-41d4-a716-446655440000"
      FIELD invalid_format
    > FIELD=""
      FIELD invalid_format
    > FIELD="550e8400-e29b-41d4-a716-44665544000\u0000"
      FIELD invalid_format
    > FIELD="550e8400-e29b-41d4-a716-44665544000\ud800"
      FIELD invalid_format
    > FIELD=5
      FIELD invalid_type
    > FIELD=null
      FIELD invalid_type
    > FIELD=["550e8400-e29b-41d4-a716-446655440000"]
      FIELD invalid_type
"#;

#[track_caller]
fn creating(table: &str) {
    check(NEW, created, table);
}

#[test]
fn times_are_whole_and_within_a_second_and_a_day() {
    for field in ["total_time_ms", "time_per_cycle_ms", "max_time_ms", "participants.1.total_time_ms"] {
        creating(&TIMES.replace("FIELD", field));
    }
}

#[test]
fn ids_are_uuids() {
    for field in ["session_id", "participants.1.participant_id", "participants.0.group_id"] {
        creating(&UUIDS.replace("FIELD", field));
    }
}

#[test]
fn what_is_required_is_missed_and_what_is_optional_is_not() {
    creating(
        r#"
        > -session_id
          session_id invalid_type
        > -sync_mode
          sync_mode invalid_type
        > -participants.0.participant_id
          participants.0.participant_id invalid_type
        > -participants.0.participant_index
          participants.0.participant_index invalid_type
        > -participants.1.total_time_ms
          participants.1.total_time_ms invalid_type
        > -total_time_ms
          total_time_ms invalid_type
        >
          nothing new
        "#,
    );
}

#[test]
fn modes_and_timeouts_have_names() {
    creating(
        r#"
        > sync_mode="per_cycle"
          sync_mode=per_cycle
        > sync_mode="per_group"
          sync_mode=per_group
        > sync_mode="global"
          sync_mode=global
        > sync_mode="count_up"
          sync_mode=count_up
        > sync_mode="count\u005fup"
          sync_mode=count_up
        > sync_mode="Global"
          sync_mode invalid_value
        > sync_mode=""
          sync_mode invalid_value
        > sync_mode="global\u0000"
          sync_mode invalid_value
        > sync_mode="\udfff"
          sync_mode invalid_value
        > sync_mode=1
          sync_mode invalid_value
        > sync_mode=null
          sync_mode invalid_value
        > on_timeout="expire"
          nothing new
        > on_timeout="advance"
          on_timeout=advance
        > on_timeout="notify"
          on_timeout=notify
        > on_timeout="ADVANCE"
          on_timeout invalid_value
        > on_timeout=null
          on_timeout invalid_value
        "#,
    );
}

#[test]
fn an_increment_is_at_most_a_minute() {
    creating(
        r#"
        > increment_ms=0
          nothing new
        > increment_ms=-0.0
          nothing new
        > increment_ms=60000
          increment_ms=60000
        > increment_ms=6e4
          increment_ms=60000
        > increment_ms=60001
          increment_ms too_big
        > increment_ms=-1
          increment_ms too_small
        > increment_ms=0.5
          increment_ms invalid_type
        > increment_ms="0"
          increment_ms invalid_type
        > increment_ms=null
          increment_ms invalid_type
        "#,
    );
}

#[test]
fn an_index_is_a_whole_number_that_every_reader_keeps() {
    creating(
        r#"
        > participants.0.participant_index=7
          participants.0.participant_index=7
        > participants.0.participant_index=1
          participants.0.participant_index=1
        > participants.0.participant_index=1e3
          participants.0.participant_index=1000
        > participants.0.participant_index=9007199254740991
          participants.0.participant_index=9007199254740991
        > participants.0.participant_index=9007199254740992
          participants.0.participant_index too_big
        > participants.0.participant_index=-1
          participants.0.participant_index too_small
        > participants.0.participant_index=1.5
          participants.0.participant_index invalid_type
        > participants.0.participant_index="0"
          participants.0.participant_index invalid_type
        > participants.0.participant_index=null
          participants.0.participant_index invalid_type
        "#,
    );
}

#[test]
fn participants_are_objects_with_ids_of_their_own() {
    creating(
        r#"
        > participants=null
          participants invalid_type
        > participants={}
          participants invalid_type
        > participants="@a"
          participants invalid_type
        > participants=[]
          participants too_small
        > participants=[null,["@a"],"@a",7]
          participants.0 invalid_type
          participants.1 invalid_type
          participants.2 invalid_type
          participants.3 invalid_type
        > participants=[{}]
          participants.0.participant_id invalid_type
          participants.0.participant_index invalid_type
          participants.0.total_time_ms invalid_type
        > participants.1.participant_id="@a"
          participants.1.participant_id invalid_value
        > participants.1.participant_id="00000000-0000-4000-8000-00000000000A"
          participants.1.participant_id invalid_value
        > participants.0.participant_id="no" & participants.1.participant_id="no"
          participants.0.participant_id invalid_format
          participants.1.participant_id invalid_format
        "#,
    );
}

#[test]
fn there_are_one_to_a_thousand_participants() {
    let participants = |count: u64| {
        let one = |place| {
            format!(
                r#"{{"participant_id":"10000000-0000-4000-8000-{place:012}","participant_index":0,"total_time_ms":1000}}"#
            )
        };
        format!("participants=[{}]", (0..count).map(one).collect::<Vec<_>>().join(","))
    };
    let read = |edits: &str| parts(&table::body(NEW, edits), created);
    assert!(read(&participants(1)).is_ok());
    let parts = read(&participants(1_000)).expect("a thousand are not too many");
    assert!(parts.contains(&"participants.999.participant_id=10000000-0000-4000-8000-000000000999".to_owned()));
    assert_eq!(read(&participants(1_001)), Err("participants too_big".to_owned()));
}

#[test]
fn warnings_are_at_most_eight_and_within_a_day() {
    creating(
        r#"
        > warn_at_ms=[]
          nothing new
        > warn_at_ms=[1]
          warn_at_ms=1
        > warn_at_ms=[86400000,3e4,1,1,2,3,4,5.0]
          warn_at_ms=86400000,30000,1,1,2,3,4,5
        > warn_at_ms=[1,2,3,4,5,6,7,8,9]
          warn_at_ms too_big
        > warn_at_ms=[0,1,86400001,1.5,null,"1"]
          warn_at_ms.0 too_small
          warn_at_ms.2 too_big
          warn_at_ms.3 invalid_type
          warn_at_ms.4 invalid_type
          warn_at_ms.5 invalid_type
        > warn_at_ms=30000
          warn_at_ms invalid_type
        > warn_at_ms=null
          warn_at_ms invalid_type
        > warn_at_ms={}
          warn_at_ms invalid_type
        "#,
    );
}

#[test]
fn every_problem_is_told_at_once_in_the_order_of_the_table() {
    creating(
        r#"
        > groups=7 & warn_at_ms=[0] & on_timeout="" & metadata=[] & max_time_ms=1 & increment_ms=-1 & time_per_cycle_ms=1 & total_time_ms=1 & participants.1.group_id=1 & participants.1.total_time_ms=1 & participants.1.participant_index=-1 & participants.1.participant_id=1 & participants.0.participant_id="" & sync_mode="" & session_id=""
          session_id invalid_format
          sync_mode invalid_value
          participants.0.participant_id invalid_format
          participants.1.participant_id invalid_type
          participants.1.participant_index too_small
          participants.1.total_time_ms too_small
          participants.1.group_id invalid_type
          total_time_ms too_small
          time_per_cycle_ms too_small
          increment_ms too_small
          max_time_ms too_small
          metadata invalid_type
          on_timeout invalid_value
          warn_at_ms.0 too_small
          groups invalid_type
        > -session_id & -sync_mode & -total_time_ms & participants=7
          session_id invalid_type
          sync_mode invalid_type
          participants invalid_type
          total_time_ms invalid_type
        "#,
    );
}

#[test]
fn fields_that_nobody_knows_are_ignored_whatever_is_in_them() {
    creating(
        r#"
        > nobody=1 & participants.0.nobody=null & status="expired"
          nothing new
        > nobody="\u0000\ud800" & \ud800="\udfff" & \u0000=1
          nothing new
        > nobody=1e999 & Session_id=7 & total_time_ms =7
          nothing new
        "#,
    );
}

#[test]
fn of_members_with_one_name_the_last_counts() {
    creating(
        r#"
        > +total_time_ms=5000
          total_time_ms=5000
        > +total_time_ms=1 & +total_time_ms=5000
          total_time_ms=5000
        > +total_time_ms=null
          total_time_ms invalid_type
        > +\u0074otal_time_m\u0073=5000
          total_time_ms=5000
        > -total_time_ms & \u0074otal_time_ms=5000
          total_time_ms=5000
        > +participants.0.participant_index=9
          participants.0.participant_index=9
        > +sync_mode="global" & +s\u0079nc_mode="count_up"
          sync_mode=count_up
        "#,
    );
}

#[test]
fn messages_say_what_would_be_right() {
    let message = |edits: &str| {
        let (body, mut problems) = (table::body(NEW, edits), FieldProblems::new());
        let object = Object::parse(body.as_bytes(), &mut problems).expect("the body is JSON");
        assert!(create(&object, &mut problems).is_none(), "{edits}");
        problems.iter().map(|problem| problem.message.to_string()).collect::<Vec<_>>().join("\n")
    };
    table::check_lines(
        r#"
        > sync_mode="chess"
          Must be one of per_participant, per_cycle, per_group, global, count_up; received another string
        > sync_mode=null
          Must be one of per_participant, per_cycle, per_group, global, count_up; received null
        > on_timeout=7
          Must be one of expire, advance, notify; received number
        > -total_time_ms
          Required
        > total_time_ms=999
          Must be at least 1000
        > total_time_ms=1e9
          Must be at most 86400000
        > total_time_ms=1000.5
          Expected integer, received float
        > total_time_ms="1000"
          Expected integer, received string
        > participants=[]
          Must have at least 1 entries, has 0
        > session_id=null
          Expected string, received null
        > session_id="1"
          Must be a UUID
        > participants.1.participant_id="@a"
          Duplicate participant_id @a
        "#,
        message,
    );
}

#[test]
fn problems_of_a_long_list_come_to_an_end() {
    for entry in ["0", "{}", r#"{"participant_id":"@a"}"#] {
        let entries = vec![table::long(entry); 1_000].join(",");
        let found = parts(&table::body(NEW, &format!("participants=[{entries}]")), created);
        let told = found.expect_err("something is wrong").lines().count();
        assert!((33..100).contains(&told), "{told} problems of {entry}");
    }
}
