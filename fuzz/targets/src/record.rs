//! Bytes as a stored session: of every format, whoever wrote them. What can be read is read back equal once it is written
//! again, and goes on by the engine's rules.

use bytes::Bytes;
use synckairos::engine::{Command, Millis, Precondition, SessionId, Uuid, judge, violation, violation_between};
use synckairos::store::{Countdown, Record};
use synckairos::wire::{self, RecordBody, RecordHeader};

/// Reads a value.
pub(crate) fn run(input: &[u8]) {
    let value = Bytes::copy_from_slice(input);
    let _ = (wire::is_newer(&value), wire::written_at(&value), wire::has_warnings(&value));
    let _ = (wire::changed_at(&value), wire::lifetime_basis(&value), wire::decode_frame(&value));
    let modern = wire::modern(value.clone());
    let header = wire::read_header(&modern);
    let peeked = wire::peek(&modern);
    if let (Ok(header), Ok((deadline, body))) = (&header, &peeked) {
        assert_eq!(header.deadline, *deadline, "{value:?}");
        written_again(header, body);
    }
    if let Ok((_, RecordBody::State(tag, body))) = &peeked {
        let id = SessionId(Uuid::from_bits(0));
        let _ = wire::check_record(&modern, id);
        if let Ok(session) = wire::decode(&body.to_object())
            && wire::check_record(&modern, session.id).is_ok()
        {
            assert_eq!(session.tag(), *tag, "{value:?}");
        }
    }
    if let Ok(session) = wire::decode(&modern) {
        // A store takes what it wrote itself as it is.
        let record = Record::read(session);
        let _ = (record.deadline(), record.wake_at(), record.encoded(), record.size(), record.countdown());
    }
    for session in [wire::decode_sound(&modern), wire::decode_archived(&value)].into_iter().flatten() {
        let encoded = wire::encode(&session, session.updated_at);
        assert_eq!(wire::decode_sound(&encoded.state()).as_ref(), Ok(&session), "{value:?}");
        assert_eq!(wire::decode_frame(&encoded.frame()).as_ref(), Ok(&session), "{value:?}");
        let _ = Countdown::of(&session);
        let at = session.deadline().unwrap_or(session.updated_at).max(session.updated_at);
        for wait in [0, 1, 1_000_000_000] {
            for command in [Command::Settle, Command::Switch { next: None, current: None }, Command::Pause] {
                let at = at + Millis::new(wait);
                let after = judge(&session, &command, &Precondition::default(), at).session;
                assert_eq!(violation(&after), None, "{value:?}");
                assert_eq!(violation_between(&session, &after), None, "{value:?}");
            }
        }
        let _ = session.rebased(at, at + Millis::new(1)).rebased(at, session.created_at);
    }
}

/// What was read is the same when it is written and read again.
fn written_again(header: &RecordHeader, body: &RecordBody) {
    let mut out = Vec::new();
    // The run's name is written as it is: one that needs escapes is none of ours.
    if header.run_id.contains(|next: char| !next.is_ascii_alphanumeric()) {
        return;
    }
    match body {
        RecordBody::State(_, state) => {
            wire::encode_header(&mut out, header);
            state.write_members(&mut out);
        }
        RecordBody::Tombstone(tag) => wire::encode_tombstone(&mut out, header, *tag),
    }
    let out = Bytes::from(out);
    assert_eq!(wire::read_header(&out).as_ref(), Ok(header));
    assert_eq!(wire::peek(&out), Ok((header.deadline, body.clone())));
}
