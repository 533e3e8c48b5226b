//! Records as a store of bytes keeps them, word for word, and what is found in them without parsing the rest.

use bytes::Bytes;

use super::super::{
    EVENTS_MAX, EventIds, JobHeader, KEYED_EVENTS_MAX, NotARecord, RecordBody, RecordHeader, begin, check_record,
    decode_frame, encode, encode_done_job, encode_header, encode_job, encode_tombstone, has_warnings, peek,
    read_header, read_job, read_job_header, written_at,
};
use super::sample::{self, after, after_noon};
use crate::engine::{ChangeRecord, Command, Event, SessionId, StateTag, Timestamp, Uuid};

fn event(n: usize) -> Uuid {
    Uuid::from_bits(0x7000_8000_0000_0000_0000 | n as u128)
}

fn header(events: usize) -> RecordHeader {
    let mut header = RecordHeader {
        deadline: Some(Timestamp::from_ms(5_000)),
        changed_us: 4_999_999,
        run_id: "a1".into(),
        base: StateTag { epoch: 17, version: 2 },
        events: EventIds::default(),
    };
    (1..=events).for_each(|n| header.events.push(event(n)));
    header
}

#[test]
fn events_are_remembered_until_newer_ones_take_their_place() {
    for count in [0, 1, 2, EVENTS_MAX, EVENTS_MAX + 1, 3 * EVENTS_MAX] {
        let first = count.saturating_sub(EVENTS_MAX) + 1;
        let expected: Vec<_> = (first..=count).map(event).collect();
        assert_eq!(header(count).events.to_vec(), expected, "of {count}");
    }
}

#[test]
fn events_that_have_keys_are_remembered_for_longer() {
    let keyed = |n: usize| Uuid::from_bits(0x8000_8000_0000_0000_0000 | n as u128);
    let mut events = EventIds::default();
    for n in 1..=20 {
        events.push(if n % 4 == 0 { keyed(n) } else { event(n) });
    }
    let latest: Vec<_> = (13..=20).map(|n| if n % 4 == 0 { keyed(n) } else { event(n) }).collect();
    assert_eq!(events.latest(), latest);
    assert_eq!(events[..events.len() - EVENTS_MAX], [4, 8, 12].map(keyed));
    let mut out = Vec::new();
    encode_header(&mut out, &RecordHeader { events: events.clone(), ..header(0) });
    out.extend_from_slice(b"}");
    assert_eq!(
        read_header(&out.into()).map(|read| read.events).as_ref(),
        Ok(&events),
        "they are read as they are written"
    );
    assert_eq!(events.keyed().expect("there are some")[..], [4, 8, 12, 16, 20].map(keyed));
    assert_eq!(header(9).events.keyed(), None);
    for n in 1..=40 {
        events.push(keyed(100 + n));
        assert!(events.len() <= KEYED_EVENTS_MAX);
    }
    assert_eq!(events[..], (25..=40).map(|n| keyed(100 + n)).collect::<Vec<_>>());
}

#[test]
fn a_header_is_written_as_it_is_read() {
    let session = sample::session("");
    let body = encode(&session, after_noon(0)).body();
    for (events, list) in [
        (0, ""),
        (1, r#""00000000-0000-7000-8000-000000000001""#),
        (2, r#""00000000-0000-7000-8000-000000000001","00000000-0000-7000-8000-000000000002""#),
    ] {
        let mut out = Vec::new();
        encode_header(&mut out, &header(events));
        assert_eq!(String::from_utf8_lossy(&out), format!(r#"{{"_":[5000,4999999,"a1",[17,2],[{list}]],"#));
        body.write_members(&mut out);
        let value = Bytes::from(out);
        assert_eq!(read_header(&value), Ok(header(events)));
        let state = RecordBody::State(session.tag(), body.clone());
        assert_eq!(peek(&value), Ok((Some(Timestamp::from_ms(5_000)), state)));
        assert_eq!(written_at(&value), Some(Timestamp::from_ms(4_999)));
        assert_eq!(check_record(&value, session.id), Ok(()));
        let another = check_record(&value, SessionId(Uuid::from_bits(0)));
        assert_eq!(another, Err("it is the state of another session".to_owned()));
    }
    let mut out = Vec::new();
    encode_header(&mut out, &RecordHeader { deadline: None, ..header(0) });
    assert_eq!(String::from_utf8_lossy(&out), r#"{"_":[null,4999999,"a1",[17,2],[]],"#);
}

#[test]
fn a_tombstone_has_a_tag_and_nothing_else() {
    let tag = StateTag { epoch: 18, version: 7 };
    let mut out = Vec::new();
    encode_tombstone(&mut out, &header(0), tag);
    let text = r#"{"_":[5000,4999999,"a1",[17,2],[]],"deleted":{"epoch":18,"version":7}}"#;
    assert_eq!(String::from_utf8_lossy(&out), text);
    let value = Bytes::from(out);
    assert_eq!(peek(&value), Ok((Some(Timestamp::from_ms(5_000)), RecordBody::Tombstone(tag))));
    assert_eq!(check_record(&value, SessionId(Uuid::from_bits(0))), Ok(()));
    for more in [text.replace("}}", r#","a":1}}"#), text.replace("}}", "}"), text.replace(":18", ":x")] {
        assert_eq!(peek(&Bytes::from(more.clone())), Err(NotARecord), "{more}");
    }
}

#[test]
fn what_is_no_record_is_told_from_one() {
    for text in [
        "",
        "{}",
        r#"{"_":7,"version":1,"epoch":2}"#,
        r#"{"_":[null,0,"",[0,0],[]]}"#,
        r#"{"_":[x,0,"",[0,0],[]],"version":1,"epoch":2}"#,
        r#"{"_":[null,0,"",[0,0],[]],"version":1}"#,
        r#"{"_":[null,0,"",[0,0],[]],"epoch":1,"version":2}"#,
    ] {
        let value = Bytes::copy_from_slice(text.as_bytes());
        assert_eq!(peek(&value), Err(NotARecord), "{text}");
        assert!(check_record(&value, SessionId(Uuid::from_bits(0))).is_err(), "{text}");
    }
    for text in [r#"{"_":["1",0,"",[0,0],[]],"#, r#"{"_":[null,0,"",[0,0],["x"]],"#, r#"{"_":[null,0,"",[0],[]],"#] {
        assert_eq!(read_header(&Bytes::copy_from_slice(text.as_bytes())), Err(NotARecord), "{text}");
    }
    assert_eq!(written_at(&Bytes::from_static(b"{}")), None);
}

#[test]
fn a_format_is_named_by_its_first_byte_but_for_the_first() {
    let named = |format| {
        let mut out = Vec::new();
        begin(format, &mut out);
        out
    };
    assert_eq!([0, 1, 2, 3].map(named), [vec![], vec![], vec![2], vec![3]]);
}

#[test]
fn a_frame_is_read_by_its_state_and_warnings_are_seen_from_outside() {
    let quiet = sample::session("");
    let warned = sample::session("warn_at_ms=[1000]");
    for (session, has) in [(quiet, false), (warned, true)] {
        let encoded = encode(&session, after_noon(0));
        assert_eq!(decode_frame(&encoded.frame()).as_ref(), Ok(&session));
        assert_eq!([encoded.state(), encoded.frame()].map(|text| has_warnings(&text)), [has; 2]);
    }
    assert!(decode_frame(br#"{"state":{}}"#).is_err());
    assert!(decode_frame(b"what").is_err());
}

#[test]
fn a_job_tells_its_ids_its_time_and_its_state() {
    let session = sample::session(r#"metadata={"a":",\"timestamp_ms\":1"}"#);
    let ended = after(session.clone(), &[(1_000, Command::Start)]);
    for (event_of, is_deletion) in [(Event::Updated, false), (Event::Deleted, true)] {
        let entry = ChangeRecord::of(Some(&session), vec![event_of], &ended, after_noon(1_000)).expect("it changes");
        let encoded = encode(&ended, after_noon(1_000));
        let mut job = Vec::new();
        encode_job(&mut job, event(1), ended.id, ended.tag(), &entry, None, &encoded.body());
        let name = JobHeader { event: event(1), session: ended.id, tag: ended.tag(), at: after_noon(1_000) };
        assert_eq!(read_job_header(&job), Some(name));
        let read = read_job(&job).expect("it is one");
        assert_eq!((read.at, read.is_deletion, read.state), (after_noon(1_000), is_deletion, &encoded.state()[..]));
        let done = format!(
            r#"{{"event_id":"{}","session_id":"{}","epoch":{},"version":{}}}"#,
            event(1),
            ended.id,
            ended.epoch,
            ended.version
        );
        assert_eq!(String::from_utf8_lossy(&encode_done_job(&name)), done);
    }
    for text in ["", "{}", r#"{"event_id":"x"}"#] {
        assert_eq!((read_job_header(text.as_bytes()), read_job(text.as_bytes())), (None, None), "{text}");
    }
}
