//! The maximum of what counts up: it may change at any time, and never below what was used.

use super::super::script::check;

#[test]
fn a_maximum_counts_at_once() {
    check(
        "
        session count_up A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0.. | A 5000+0x0 | B 3000+0x0
        at 1000 patch max=4000
          updated
          v3 running A 0..4000 | A 4000+0x0 | B 4000+0x0
        at 1500 switch
          A -> B
          v4 running B 1500..5500 | A 2500+1500x1 | B 4000+0x0
        at 2000 patch max=1499
          refused: max below 1500
        at 2000 patch max=1500
          updated
          v5 running B 1500..3000 | A 0+1500x1 | B 1500+0x0
        at 2100 patch max=9000
          updated
          v6 running B 1500..10500 | A 7500+1500x1 | B 9000+0x0
        -- the running turn counts
        at 4000 patch max=2499
          refused: max below 2500
        at 4000 patch max=2501
          updated
          v7 running B 1500..4001 | A 1001+1500x1 | B 2501+0x0
        at 4001 settle
          B flags at 4001, expires at 4001
          v8 expired at 4001 | A 1001+1500x1 | B 0+2501x1!4001

        session count_up A=5000 B=3000 max=4000
        at 0 patch max=2000
          updated
          v2 pending | A 2000+0x0 | B 2000+0x0
        at 0 start
          A starts
          v3 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 1000 patch max=null
          updated
          v4 running A 0.. | A 5000+0x0 | B 3000+0x0
        at 1000 settings
          increment=0 turn=null max=null on_timeout=expire warn= metadata=null
        at 5000 pause
          paused
          v5 paused A | A 5000+5000x0 | B 3000+0x0
        at 5000 patch max=4999
          refused: max below 5000
        at 5000 patch max=6000
          updated
          v6 paused A | A 1000+5000x0 | B 6000+0x0
        at 6000 resume
          resumed
          v7 running A 6000..7000 | A 1000+5000x0 | B 6000+0x0
        ",
    );
}

#[test]
fn a_maximum_of_exactly_what_was_used_leaves_nothing() {
    check(
        "
        session count_up A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0.. | A 5000+0x0 | B 3000+0x0
        at 1000 patch max=1000
          updated
          v3 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        at 1000 settle
          A flags at 1000, expires at 1000
          v4 expired at 1000 | A 0+1000x1!1000 | B 1000+0x0

        session count_up notify A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0.. | A 5000+0x0 | B 3000+0x0
        at 1000 switch
          A -> B
          v3 running B 1000.. | A 5000+1000x1 | B 3000+0x0
        at 1500 patch max=1000
          updated
          v4 running B 1000..2000 | A 0+1000x1 | B 1000+0x0
        -- A has not flagged, and does as soon as its clock runs
        at 1600 switch
          B -> A
          v5 running A 1600..1600 | A 0+1000x1 | B 400+600x1
        at 1600 settle
          A flags at 1600
          v6 running A 1600.. | A 0+1000x1!1600 | B 400+600x1
        ",
    );
}

#[test]
fn a_maximum_beyond_what_was_used_brings_back_who_flagged() {
    check(
        "
        session count_up notify A=5000 B=3000 max=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        at 1500 settle
          A flags at 1000
          v3 running A 0.. | A 0+1000x0!1000 | B 1000+0x0
        at 1600 patch max=3000
          updated, A goes on
          v4 running A 1600..3600 | A 2000+1000x0 | B 3000+0x0
        at 1700 switch to A
          A -> A
          v5 running A 1700..3600 | A 1900+1100x0 | B 3000+0x0
        at 1700 switch
          A -> B
          v6 running B 1700..4700 | A 1900+1100x1 | B 3000+0x0
        at 1800 switch
          B -> A
          v7 running A 1800..3700 | A 1900+1100x1 | B 2900+100x1
        ",
    );
}

#[test]
fn a_maximum_is_refused_below_what_was_used_in_every_mode() {
    check(
        "
        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 patch max=1999 increment=100
          refused: max below 2000
        at 2000 patch max=2000
          updated
          v3 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 settings
          increment=0 turn=null max=2000 on_timeout=expire warn= metadata=null
        ",
    );
}

#[test]
fn who_is_brought_back_goes_on_from_now() {
    check(
        "
        session count_up notify A=5000 B=3000 max=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        at 1500 settle
          A flags at 1000
          v3 running A 0.. | A 0+1000x0!1000 | B 1000+0x0
        -- without a maximum there is no deadline
        at 1600 patch max=null
          updated, A goes on
          v4 running A 1600.. | A 5000+1000x0 | B 3000+0x0
        at 1700 patch max=1200
          updated
          v5 running A 1600..1800 | A 200+1000x0 | B 1200+0x0
        at 1800 settle
          A flags at 1800
          v6 running A 1600.. | A 0+1200x0!1800 | B 1200+0x0

        session count_up notify A=5000 B=3000 max=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        at 1500 pause
          A flags at 1000, paused
          v3 paused A | A 0+1000x0!1000 | B 1000+0x0
        at 1600 patch max=1500
          updated, A goes on
          v4 paused A | A 500+1000x0 | B 1500+0x0
        at 1700 resume
          resumed
          v5 running A 1700..2200 | A 500+1000x0 | B 1500+0x0
        at 2200 settle
          A flags at 2200
          v6 running A 1700.. | A 0+1500x0!2200 | B 1500+0x0

        session count_up notify A=5000 B=3000 max=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        at 1500 settle
          A flags at 1000
          v3 running A 0.. | A 0+1000x0!1000 | B 1000+0x0
        -- no more than was used
        at 1600 patch max=1000
          nothing
        at 1600 patch increment=5
          updated
          v4 running A 0.. | A 0+1000x0!1000 | B 1000+0x0
        at 1600 patch max=999
          refused: max below 1000
        ",
    );
}

#[test]
fn who_is_brought_back_is_in_the_rotation_again() {
    check(
        "
        session count_up advance A=5000 B=3000 C=3000 max=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0 | C 1000+0x0
        at 2500 settle
          A flags at 1000, B flags at 2000
          v3 running C 2000..3000 | A 0+1000x1!1000 | B 0+1000x1!2000 | C 1000+0x0
        at 2600 patch max=3000
          updated, A goes on, B goes on
          v4 running C 2000..5000 | A 2000+1000x1 | B 2000+1000x1 | C 3000+0x0
        at 2700 switch
          C -> A
          v5 running A 2700..4700 | A 2000+1000x1 | B 2000+1000x1 | C 2300+700x1
        at 2800 switch by A
          A -> B
          v6 running B 2800..4800 | A 1900+1100x2 | B 2000+1000x1 | C 2300+700x1
        ",
    );
}
