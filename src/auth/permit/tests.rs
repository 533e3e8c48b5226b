//! Who may do what: tables of grants and what they come to.

use std::sync::Arc;

use super::super::grant::{Grant, SessionPattern};
use super::super::identity::{Identity, IdentityName};
use super::super::permission::{Permission, Permissions};
use super::{Action, Denied, permit, permit_any};
use crate::client::ClientAddress;
use crate::engine::{ParticipantId, SessionId, Uuid};

const HERE: &str = "550e8400-e29b-41d4-a716-446655440000";
const ELSEWHERE: &str = "650e8400-e29b-41d4-a716-446655440000";
const ONE: &str = "11111111-1111-4111-8111-111111111111";
const TWO: &str = "22222222-2222-4222-8222-222222222222";
const THREE: &str = "33333333-3333-4333-8333-333333333333";

fn session(text: &str) -> SessionId {
    SessionId(Uuid::parse(text).expect("it is a UUID"))
}

fn participant(text: &str) -> ParticipantId {
    ParticipantId(Uuid::parse(text).expect("it is a UUID"))
}

fn grant(sessions: &str, participants: &[&str], allow: &[&str]) -> Grant {
    Grant {
        sessions: [SessionPattern::parse(sessions).expect("it is one")].into(),
        participants: participants.iter().map(|text| participant(text)).collect(),
        allow: Permissions::named(allow.iter().copied(), |_| {}),
    }
}

fn identity(ceiling: &str, grants: &[Grant]) -> Identity {
    Identity {
        name: IdentityName::Subject("somebody".into()),
        counted: ClientAddress::UNIX.into(),
        actor: "sub:a".into(),
        grants: grants.into(),
        ceiling: Arc::from([SessionPattern::parse(ceiling).expect("it is one")]),
        expires_s: None,
        expires: None,
        ends: None,
        key: [0; 32],
        issued: None,
        token: None,
        revoked_in: [].into(),
        key_generation: 0,
        generation: 0,
    }
}

/// What a switch comes to: whose turn it ends.
fn switch(identity: &Identity, next: Option<&str>, current: Option<&str>) -> Result<Option<ParticipantId>, Denied> {
    let mut current = current.map(participant);
    let (may_end_any, mut own) = (permit(identity, session(HERE), Action::Use(Permission::Switch)).is_ok(), None);
    let action = Action::Switch { next: next.map(participant), current: &mut current, own: &mut own };
    let permitted = permit(identity, session(HERE), action);
    assert_eq!(own, current.filter(|_| permitted.is_ok() && !may_end_any), "it counts as theirs, and only theirs");
    permitted.map(|()| current)
}

#[test]
fn each_permission_allows_what_it_says_and_nothing_else() {
    for granted in Permission::ALL {
        let identity = identity("*", &[grant(HERE, &[], &[granted.name()])]);
        for asked in Permission::ALL {
            let answer = permit(&identity, session(HERE), Action::Use(asked));
            let expected = if asked == granted { Ok(()) } else { Err(Denied::Needs(asked)) };
            assert_eq!(answer, expected, "{granted:?} {asked:?}");
            assert_eq!(permit(&identity, session(ELSEWHERE), Action::Use(asked)), Err(Denied::Needs(asked)));
            assert_eq!(permit_any(&identity, asked), expected);
        }
    }
}

#[test]
fn grants_add_to_each_other_in_the_sessions_of_both() {
    let grants = [grant("550e8400*", &[], &["read"]), grant(HERE, &[], &["watch"]), grant(ELSEWHERE, &[], &["cancel"])];
    let identity = identity("*", &grants);
    let may = |text, permission| permit(&identity, session(text), Action::Use(permission)).is_ok();
    assert!(may(HERE, Permission::Read) && may(HERE, Permission::Watch) && !may(HERE, Permission::Cancel));
    assert!(may(ELSEWHERE, Permission::Cancel) && !may(ELSEWHERE, Permission::Read));
}

#[test]
fn a_key_is_the_ceiling_of_its_tokens() {
    let identity = identity("550e8400*", &[grant("*", &[ONE], &["*"])]);
    assert_eq!(permit(&identity, session(HERE), Action::Use(Permission::Delete)), Ok(()));
    for permission in [Permission::Read, Permission::Delete] {
        let answer = permit(&identity, session(ELSEWHERE), Action::Use(permission));
        assert_eq!(answer, Err(Denied::Needs(permission)));
    }
    assert_eq!(
        permit(&identity, session(ELSEWHERE), Action::SomeSwitch),
        Err(Denied::Needs(Permission::Switch)),
        "not even its own"
    );
}

#[test]
fn own_turns_are_ended_and_no_others() {
    let needs = Err(Denied::Needs(Permission::Switch));
    let own = |participants: &[&str]| identity("*", &[grant(HERE, participants, &["switch:own"])]);
    for (participants, next, current, expected) in [
        (&[ONE][..], None, None, Ok(Some(ONE))),
        (&[ONE], None, Some(ONE), Ok(Some(ONE))),
        (&[ONE], None, Some(TWO), needs),
        (&[ONE], Some(ONE), None, needs),
        (&[ONE], Some(TWO), None, needs),
        (&[ONE], Some(TWO), Some(ONE), needs),
        (&[ONE, TWO], None, None, Err(Denied::MustName)),
        (&[ONE, ONE], None, None, Ok(Some(ONE))),
        (&[ONE, TWO], None, Some(TWO), Ok(Some(TWO))),
        (&[ONE, TWO], None, Some(THREE), needs),
        (&[], None, None, needs),
        (&[], None, Some(ONE), needs),
    ] {
        let identity = own(participants);
        let what = format!("{participants:?} {next:?} {current:?}");
        assert_eq!(switch(&identity, next, current), expected.map(|id| id.map(participant)), "{what}");
        let some = permit(&identity, session(HERE), Action::SomeSwitch);
        assert_eq!(some.is_ok(), !participants.is_empty(), "{what}");
    }
}

#[test]
fn whoever_may_switch_may_say_what_they_want() {
    let grants = [grant(HERE, &[ONE], &["switch:own"]), grant("550e8400*", &[], &["switch"])];
    let identity = identity("*", &grants);
    for (next, current) in [(None, None), (Some(ONE), None), (Some(TWO), Some(THREE)), (None, Some(TWO))] {
        assert_eq!(switch(&identity, next, current), Ok(current.map(participant)), "nothing is forced");
    }
}

#[test]
fn own_participants_are_those_of_grants_that_say_switch_own_here() {
    let grants = [
        grant(HERE, &[ONE], &["switch:own"]),
        grant(HERE, &[TWO], &["watch"]),
        grant(ELSEWHERE, &[THREE], &["switch:own"]),
    ];
    let identity = identity("*", &grants);
    assert_eq!(switch(&identity, None, None), Ok(Some(participant(ONE))));
    for other in [TWO, THREE] {
        assert_eq!(switch(&identity, None, Some(other)), Err(Denied::Needs(Permission::Switch)));
    }
}

#[test]
fn metadata_alone_is_changed_by_those_who_may_do_that() {
    let metadata = identity("*", &[grant(HERE, &[], &["patch:metadata"])]);
    let all = identity("*", &[grant(HERE, &[], &["patch"])]);
    let nobody = identity("*", &[grant(HERE, &[], &["read"])]);
    let answers = |identity: &Identity| {
        [Action::SomePatch, Action::Patch { is_metadata_only: true }, Action::Patch { is_metadata_only: false }]
            .map(|action| permit(identity, session(HERE), action))
    };
    let needs = Err(Denied::Needs(Permission::Patch));
    assert_eq!(answers(&metadata), [Ok(()), Ok(()), needs]);
    assert_eq!(answers(&all), [Ok(()); 3]);
    assert_eq!(answers(&nobody), [needs; 3]);
}
