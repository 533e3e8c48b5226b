//! What a queue sends in which order, what it replaces, and whom it gives up.

use std::sync::Arc;

use bytes::Bytes;
use prometheus_client::metrics::gauge::Gauge;

use super::super::budget::{OutboxBudget, QueuedMessage};
use super::super::outgoing::{OutboxEnd, Outgoing};
use super::{MessageQueue, NOTICES_LEN_MAX, STATES_MAX};
use crate::engine::StateTag;

fn tag(epoch: u64, version: u64) -> StateTag {
    StateTag { epoch, version }
}

fn text(text: &str) -> QueuedMessage {
    QueuedMessage::new(Bytes::copy_from_slice(text.as_bytes()), &OutboxBudget::new(0, Gauge::default()))
}

fn closed() -> MessageQueue {
    MessageQueue::new(&OutboxBudget::new(u64::MAX, Gauge::default()))
}

fn open() -> MessageQueue {
    let mut queue = closed();
    queue.open(text("hello"), None);
    assert_eq!(drain(&mut queue), "hello");
    queue
}

fn blocked() -> MessageQueue {
    let mut queue = open();
    queue.block(Vec::new());
    queue
}

/// What waits, as it would be sent: states by name, with how many they replace.
fn drain(queue: &mut MessageQueue) -> String {
    queue.unblock();
    let mut all = Vec::new();
    while let Some((first, more)) = queue.take() {
        all.extend(Some(first).into_iter().chain(more).map(|outgoing| match outgoing {
            Outgoing::State(tag, _, 0) => format!("{}.{}", tag.epoch, tag.version),
            Outgoing::State(tag, _, skipped) => format!("{}.{}+{skipped}", tag.epoch, tag.version),
            Outgoing::Notice(message) | Outgoing::Answer(message) | Outgoing::Sync(message) => {
                String::from_utf8_lossy(message.bytes()).into_owned()
            }
            Outgoing::Ping => "ping".to_owned(),
        }));
    }
    assert_eq!((queue.states, queue.answers, queue.notices_len), (0, 0, 0));
    all.join(" ")
}

#[test]
fn every_state_is_sent_in_order_while_the_socket_takes_them() {
    let mut queue = open();
    queue.notice(text("a"));
    queue.state(tag(1, 1), text(""));
    queue.state(tag(1, 2), text(""));
    queue.notice(text("b"));
    queue.state(tag(1, 3), text(""));
    queue.state(tag(1, 2), text(""));
    assert_eq!(drain(&mut queue), "a 1.1 1.2 b 1.3");
    queue.state(tag(1, 3), text(""));
    queue.state(tag(2, 1), text(""));
    assert_eq!(drain(&mut queue), "2.1");
}

#[test]
fn a_newer_state_takes_the_place_of_those_that_wait_for_a_full_socket() {
    let mut queue = blocked();
    queue.notice(text("a"));
    queue.state(tag(1, 1), text(""));
    queue.notice(text("of 1"));
    queue.state(tag(1, 2), text(""));
    queue.notice(text("of 2"));
    queue.state(tag(1, 3), text(""));
    assert_eq!(drain(&mut queue), "a 1.3+2 of 1 of 2");
    queue.block(Vec::new());
    queue.state(tag(1, 4), text(""));
    assert_eq!(drain(&mut queue), "1.4", "what was sent is not counted again");
}

#[test]
fn what_waited_when_the_socket_became_full_gives_way_too() {
    let mut queue = open();
    for version in 1..=3 {
        queue.state(tag(1, version), text(""));
    }
    let Some((first, more)) = queue.take() else { panic!("they wait") };
    queue.notice(text("late"));
    queue.block(Some(first).into_iter().chain(more).collect());
    assert_eq!(queue.states, 3);
    queue.state(tag(1, 4), text(""));
    assert_eq!(drain(&mut queue), "1.4+3 late");
}

#[test]
fn a_gap_in_what_was_told_is_counted_and_a_new_life_is_none() {
    let mut queue = open();
    queue.state(tag(1, 7), text(""));
    queue.state(tag(1, 9), text(""));
    queue.state(tag(2, 10), text(""));
    queue.state(tag(3, 1), text(""));
    assert_eq!(drain(&mut queue), "1.7 1.9+1 2.10 3.1");
    queue.block(Vec::new());
    queue.state(tag(3, 3), text(""));
    queue.state(tag(3, 6), text(""));
    queue.state(tag(4, 7), text(""));
    assert_eq!(drain(&mut queue), "4.7+5", "2, 3, 4, 5 and 6 were not sent");
}

#[test]
fn no_state_overtakes_an_answer_that_shows_one() {
    let mut queue = blocked();
    queue.state(tag(1, 1), text(""));
    queue.state(tag(1, 2), text(""));
    queue.sync(tag(1, 2), text("sync 2"));
    queue.state(tag(1, 2), text(""));
    queue.state(tag(1, 3), text(""));
    queue.answer(text("result"));
    queue.ping();
    queue.state(tag(1, 4), text(""));
    assert!(queue.has_answer());
    assert_eq!(drain(&mut queue), "1.2+1 sync 2 1.4+1 result ping");
    assert!(!queue.has_answer());
    queue.sync(tag(1, 8), text("sync 8"));
    queue.state(tag(1, 7), text(""));
    queue.state(tag(1, 9), text(""));
    assert_eq!(drain(&mut queue), "sync 8 1.9", "a state that was shown is not sent later");
}

#[test]
fn who_joins_is_greeted_and_told_what_came_after_what_it_came_in_with() {
    let mut queue = closed();
    queue.state(tag(1, 3), text(""));
    queue.notice(text("of 3"));
    queue.state(tag(1, 5), text(""));
    queue.state(tag(1, 6), text(""));
    assert!(queue.take().is_none(), "it was not greeted");
    queue.open(text("hello"), Some((tag(1, 3), text("sync 3"))));
    assert_eq!(drain(&mut queue), "hello sync 3 of 3 1.5+1 1.6");
    let mut queue = closed();
    queue.state(tag(1, 3), text(""));
    queue.open(text("hello"), Some((tag(1, 9), text("sync 9"))));
    queue.state(tag(1, 9), text(""));
    queue.state(tag(1, 10), text(""));
    assert_eq!(drain(&mut queue), "hello sync 9 1.10");
}

#[test]
fn a_restored_state_counts_although_it_is_older() {
    let mut queue = open();
    queue.state(tag(1, 5), text(""));
    queue.restored(tag(1, 3), text(""));
    queue.state(tag(1, 2), text(""));
    assert_eq!(drain(&mut queue), "1.5 1.3");
    queue.restored(tag(1, 3), text(""));
    assert_eq!(drain(&mut queue), "", "the client has it already");
    queue.state(tag(2, 4), text(""));
    assert_eq!(drain(&mut queue), "2.4");
}

#[test]
fn a_deletion_is_the_last_message_and_old_ones_do_not_count() {
    let mut queue = open();
    queue.state(tag(2, 1), text(""));
    queue.deleted(tag(1, 9), text("old"));
    assert_eq!(drain(&mut queue), "2.1");
    queue.deleted(tag(2, 2), text("gone"));
    queue.state(tag(3, 1), text(""));
    queue.notice(text("a"));
    assert_eq!((drain(&mut queue).as_str(), queue.end()), ("gone", Some(OutboxEnd::Deleted)));
}

#[test]
fn all_that_ran_out_in_one_change_is_told_and_only_who_reads_nothing_is_too_slow() {
    let flag = "x".repeat(190);
    let mut queue = blocked();
    for _ in 0..3_000 {
        queue.notice(text(&flag));
    }
    assert_eq!(queue.end(), None);
    assert_eq!(drain(&mut queue).split(' ').count(), 3_000);
    let mut reads = open();
    for _ in 0..NOTICES_LEN_MAX / 100 {
        queue.notice(text(&flag));
        reads.notice(text(&flag));
    }
    assert_eq!(reads.end(), None, "nobody has tried to send it yet");
    queue.block(Vec::new());
    assert_eq!((queue.end(), queue.is_empty()), (Some(OutboxEnd::TooSlow), true));
    queue.state(tag(1, 1), text(""));
    assert!(queue.is_empty());
}

#[test]
fn what_waits_takes_room_until_it_is_sent_or_given_up() {
    let used = Gauge::default();
    let budget = OutboxBudget::new(1_000, used.clone());
    let message = |len: usize| QueuedMessage::new(Bytes::from(vec![b'x'; len]), &budget);
    let mut queue = MessageQueue::new(&budget);
    queue.open(message(5), None);
    assert_eq!(used.get(), 5, "nothing is known to be in its way");
    assert!(queue.take().is_some());
    queue.block(Vec::new());
    queue.state(tag(1, 1), message(100));
    queue.notice(message(100));
    assert_eq!(used.get(), 200 + 2 * 64);
    queue.state(tag(1, 2), message(50));
    assert_eq!(used.get(), 150 + 2 * 64);
    let other = message(900);
    queue.notice(message(10));
    assert_eq!((queue.end(), used.get()), (Some(OutboxEnd::TooSlow), 900));
    drop(other);
    let mut queue = MessageQueue::new(&budget);
    queue.notice(message(1));
    assert_eq!(used.get(), 65);
    drop(queue);
    assert_eq!((used.get(), Arc::strong_count(&budget)), (0, 2));
}

#[test]
fn nobody_is_given_up_who_was_only_not_sent_anything_yet() {
    let budget = OutboxBudget::new(0, Gauge::default());
    let mut queue = MessageQueue::new(&budget);
    queue.open(QueuedMessage::new(Bytes::from_static(b"hello"), &budget), None);
    let waiting: Vec<_> = (1..=3).map(|version| (version, QueuedMessage::new(Bytes::new(), &budget))).collect();
    for (version, message) in waiting {
        queue.state(tag(1, version), message);
    }
    assert_eq!((queue.end(), queue.states), (None, 3), "the socket is not known to be full");
    let mut queue = open();
    for version in 1..=STATES_MAX as u64 {
        assert!(!queue.is_long());
        queue.state(tag(1, version), text(""));
    }
    assert!(queue.is_long(), "whoever tells sends");
}
