//! Histories that must never be, one of each kind; and the same without what is wrong.

use histories::{
    Answer, Ask, DeadlineWindow, History, Moves, OnTimeout, Operation, RefusalKind, Rules, Sighting, Span, Status, Tag,
    Verdict, View, check, check_and_shrink,
};

const CREATE: Ask = Ask::Create { participants: 2, on_timeout: OnTimeout::Expire };
const SWITCH: Ask = Ask::Switch(Moves { current: None, next: None, expected: None });
const DELETE: Ask = Ask::Delete { expected: None };
const MS: u64 = 1_000_000;

/// Writes a history down; instants are milliseconds.
#[derive(Clone, Default)]
struct Story(History);

impl Story {
    /// A session that runs: versions 1 and 2 of epoch 10, until 20 ms.
    fn running() -> Self {
        Self::default().told(0, 0, 10, CREATE, Answer::Done(view(10, 1, Status::Pending, None))).told(
            0,
            10,
            20,
            Ask::Start,
            Answer::Done(view(10, 2, Status::Running, Some(0))),
        )
    }

    fn told(mut self, client: u32, invoked: u64, returned: u64, ask: Ask, answer: Answer) -> Self {
        self.0.operations.push(Operation { client, invoked: invoked * MS, returned: returned * MS, ask, answer });
        self
    }

    fn done(self, client: u32, invoked: u64, returned: u64, ask: Ask, view: View) -> Self {
        self.told(client, invoked, returned, ask, Answer::Done(view))
    }

    fn read(self, client: u32, invoked: u64, returned: u64, view: View) -> Self {
        self.done(client, invoked, returned, Ask::Read, view)
    }

    fn patched(self, client: u32, invoked: u64, returned: u64, mark: u64, version: u64) -> Self {
        let view = View { mark: Some(Some(mark)), ..view(10, version, Status::Running, Some(0)) };
        self.done(client, invoked, returned, Ask::Patch { mark, expected: None }, view)
    }

    fn seen(mut self, at: u64, view: View) -> Self {
        self.0.sightings.push(Sighting { at: at * MS, view });
        self
    }

    fn judge(&self, losses: &[(u64, u64)]) -> Verdict {
        let losses = losses.iter().map(|&(from, to)| Span { from: from * MS, to: to * MS }).collect();
        check(&self.0, &Rules { tolerance: MS, ..Rules::default() }.with_losses(losses))
    }

    #[track_caller]
    fn is_right(&self) {
        let verdict = self.judge(&[]);
        assert!(verdict.is_right(), "{verdict}");
    }

    #[track_caller]
    fn is_wrong(&self) {
        let verdict = self.judge(&[]);
        assert!(matches!(verdict, Verdict::Wrong(_)), "it is taken for right: {verdict}");
    }
}

fn view(epoch: u64, version: u64, status: Status, active: Option<u8>) -> View {
    let far = DeadlineWindow { earliest: 1_000_000 * MS, latest: 1_000_001 * MS };
    let deadline = (status == Status::Running).then_some(far);
    View { tag: Tag { epoch, version }, status, active, out: 0, mark: Some(None), deadline }
}

fn marked(version: u64, mark: u64) -> View {
    View { mark: Some(Some(mark)), ..view(10, version, Status::Running, Some(0)) }
}

fn running(version: u64, active: u8) -> View {
    view(10, version, Status::Running, Some(active))
}

/// Both clients read version 2, and each writes over what the other has done.
#[test]
fn a_lost_update() {
    Story::running().patched(1, 30, 60, 7, 3).patched(2, 35, 65, 8, 4).read(1, 70, 80, marked(4, 8)).is_right();
    Story::running().patched(1, 30, 60, 7, 3).patched(2, 35, 65, 8, 4).read(1, 70, 80, marked(4, 7)).is_wrong();
    let switched = |client, version| (client, view(10, version, Status::Running, Some(1)));
    let lost = [switched(1, 3), switched(2, 4)];
    let story =
        lost.into_iter().fold(Story::running(), |story, (client, view)| story.done(client, 30, 60, SWITCH, view));
    story.is_wrong();
}

#[test]
fn a_stale_read_after_an_acknowledged_write() {
    Story::running().patched(1, 30, 40, 7, 3).read(2, 35, 50, running(2, 0)).is_right();
    Story::running().patched(1, 30, 40, 7, 3).read(2, 41, 50, running(2, 0)).is_wrong();
}

#[test]
fn a_change_that_is_applied_twice() {
    let once = |version| marked(version, 7);
    Story::running().patched(1, 30, 40, 7, 3).read(2, 50, 60, once(3)).is_right();
    Story::running().patched(1, 30, 40, 7, 3).read(2, 50, 60, once(4)).is_wrong();
    let unknown = |story: Story| story.told(1, 30, 40, SWITCH, Answer::Unknown);
    unknown(Story::running()).read(2, 50, 60, running(3, 1)).is_right();
    unknown(Story::running()).read(2, 50, 60, running(4, 0)).is_wrong();
}

#[test]
fn a_version_that_is_skipped() {
    Story::running().patched(1, 30, 40, 7, 4).is_wrong();
    Story::running()
        .told(2, 25, 29, Ask::Patch { mark: 6, expected: None }, Answer::Unknown)
        .patched(1, 30, 40, 7, 4)
        .is_right();
}

#[test]
fn two_changes_with_one_version() {
    Story::running().patched(1, 30, 40, 7, 3).patched(2, 30, 40, 8, 3).is_wrong();
    let same = running(3, 1);
    Story::running().done(1, 30, 40, SWITCH, same).done(2, 30, 40, SWITCH, same).is_wrong();
}

#[test]
fn a_session_that_comes_back_after_its_deletion() {
    let deleted = Story::running().told(1, 30, 40, DELETE, Answer::Gone);
    deleted.clone().told(2, 50, 60, Ask::Read, Answer::Refused(RefusalKind::NotFound)).is_right();
    deleted.clone().read(2, 35, 60, running(2, 0)).is_right();
    deleted.clone().read(2, 50, 60, running(2, 0)).is_wrong();
    // Whoever creates it anew begins a life of its own.
    let pending = |epoch| view(epoch, 1, Status::Pending, None);
    deleted.clone().done(2, 50, 60, CREATE, pending(11)).is_right();
    deleted.clone().done(2, 50, 60, CREATE, pending(10)).is_wrong();
    deleted.done(2, 50, 60, Ask::Pause, view(10, 3, Status::Paused, Some(0))).is_wrong();
}

#[test]
fn an_acknowledgement_that_vanishes() {
    let patched = Story::running().patched(1, 30, 40, 7, 3);
    let again = |epoch| View { mark: Some(Some(8)), ..view(epoch, 3, Status::Running, Some(0)) };
    let ask = Ask::Patch { mark: 8, expected: None };
    let (same, new) = (patched.clone().done(2, 60, 70, ask, again(10)), patched.done(2, 60, 70, ask, again(11)));
    // A store that may lose nothing, one that may, and one that may and does not say so.
    new.is_wrong();
    assert!(new.judge(&[(45, 55)]).is_right(), "{}", new.judge(&[(45, 55)]));
    assert!(matches!(new.judge(&[(10, 25)]), Verdict::Wrong(_)), "it was acknowledged after that");
    assert!(matches!(same.judge(&[(45, 55)]), Verdict::Wrong(_)), "its epoch is that of before");
}

/// What was seen before it was durable may vanish, and what was answered may not.
#[test]
fn what_was_answered_vanishes_and_not_only_what_was_seen() {
    let judge = |story: &Story| {
        let losses = vec![Span { from: 45 * MS, to: 55 * MS }];
        let rules = Rules { tolerance: MS, keeps_acknowledged: true, ..Rules::default() };
        check(&story.0, &rules.with_losses(losses))
    };
    let ask = Ask::Patch { mark: 7, expected: None };
    let vanishes = |story: Story| story.read(2, 35, 42, marked(3, 7)).read(1, 60, 70, running(2, 0));
    let unknown = vanishes(Story::running().told(1, 30, 40, ask, Answer::Unknown));
    assert!(judge(&unknown).is_right(), "{}", judge(&unknown));
    unknown.is_wrong();
    assert!(matches!(judge(&vanishes(Story::running().patched(1, 30, 40, 7, 3))), Verdict::Wrong(_)));
}

#[test]
fn reads_that_go_back_between_clients() {
    let switching = || Story::running().done(0, 30, 100, SWITCH, running(3, 1));
    switching().read(1, 40, 50, running(2, 0)).read(2, 60, 70, running(3, 1)).is_right();
    switching().read(1, 40, 50, running(3, 1)).read(2, 60, 70, running(2, 0)).is_wrong();
}

#[test]
fn refusals_without_a_reason() {
    let refused = |kind| Story::running().told(1, 30, 40, Ask::Resume, Answer::Refused(kind));
    refused(RefusalKind::WrongStatus(Status::Running)).is_right();
    refused(RefusalKind::WrongStatus(Status::Paused)).is_wrong();
    refused(RefusalKind::NotFound).is_wrong();
    let expected = |expected, actual| {
        let ask = Ask::Patch { mark: 7, expected: Some(expected) };
        Story::running().told(1, 30, 40, ask, Answer::Refused(RefusalKind::Conflict { actual }))
    };
    expected(1, 2).is_right();
    expected(1, 3).is_wrong();
    expected(2, 2).is_wrong();
    Story::default().told(0, 0, 1, CREATE, Answer::Refused(RefusalKind::Exists)).is_wrong();
}

#[test]
fn clocks_that_end_early_or_not_at_all() {
    let window = DeadlineWindow { earliest: 100 * MS, latest: 101 * MS };
    let begun = Story::default().done(0, 0, 10, CREATE, view(10, 1, Status::Pending, None));
    let begun = begun.done(0, 10, 20, Ask::Start, View { deadline: Some(window), ..running(2, 0) });
    let expired = View { out: 1, ..view(10, 3, Status::Expired, None) };
    begun.clone().read(1, 110, 120, expired).is_right();
    begun.clone().read(1, 80, 90, expired).is_wrong();
    begun.clone().read(1, 90, 98, running(2, 0)).is_right();
    begun.clone().read(1, 110, 120, running(2, 0)).is_wrong();
    // What arrived in time counts.
    begun.clone().done(1, 90, 150, SWITCH, running(3, 1)).is_right();
    begun.clone().done(1, 110, 150, SWITCH, running(3, 1)).is_wrong();
    begun.clone().told(1, 110, 150, SWITCH, Answer::Late(expired)).is_right();
    begun.told(1, 110, 150, Ask::Pause, Answer::Refused(RefusalKind::WrongStatus(Status::Expired))).is_right();
}

#[test]
fn states_that_somebody_saw() {
    let switched = || Story::running().done(0, 30, 100, SWITCH, running(3, 1));
    switched().seen(50, running(3, 1)).is_right();
    switched().seen(50, running(3, 0)).is_wrong();
    switched().seen(25, running(3, 1)).is_wrong();
    switched().seen(50, running(3, 1)).read(1, 60, 70, running(2, 0)).is_wrong();
    switched().seen(50, view(10, 4, Status::Paused, Some(1))).is_wrong();
    let paused = view(10, 4, Status::Paused, Some(1));
    switched().told(1, 110, 120, Ask::Pause, Answer::Unknown).seen(130, paused).is_right();
}

/// Of thousands of operations the few that are wrong are shown.
#[test]
fn the_wrong_part_of_a_long_history_is_shown() {
    let mut story = Story::running();
    for turn in 0..2_000_u64 {
        let (at, version) = (100 + 10 * turn, 3 + turn);
        story = story.patched(1, at, at + 5, turn, version).read(2, at + 6, at + 7, marked(version, turn));
        story = story.told(3, at + 7, at + 8, Ask::Start, Answer::Refused(RefusalKind::WrongStatus(Status::Running)));
    }
    story.is_right();
    let at = 100 + 10 * 1_500;
    story = story.read(4, at + 12, at + 13, marked(1_499, 1_496));
    let Verdict::Wrong(violation) = check_and_shrink(&story.0, &Rules::default()) else { panic!("it is wrong") };
    assert!(violation.operations.len() <= 3, "{violation}");
    assert!(violation.operations.iter().any(|operation| operation.client == 4), "{violation}");
}
