//! The order of judgement: each check wins over the next, and what settling changed stays whichever wins.

use super::super::script::check;

#[test]
fn settling_comes_first_and_stays() {
    check(
        "
        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 start
          A flags at 1000
          refused: cannot start running
          v3 running B 1000..4000 | A 0+1000x1!1000 | B 3000+0x0
        at 1600 start
          refused: cannot start running

        -- a late pause finds the session expired, or pauses the turn that advance began
        session per_participant A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 pause
          A flags at 1000, expires at 1000
          refused: cannot pause expired
          v3 expired at 1000 | A 0+1000x1!1000 | B 3000+0x0
        at 1600 resume
          refused: cannot resume expired

        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 pause
          A flags at 1000, paused
          v3 paused B | A 0+1000x1!1000 | B 2500+500x0
        ",
    );
}

#[test]
fn a_precondition_wins_over_the_status() {
    check(
        "
        session per_participant A=1000 B=3000
        at 0 pause if v2
          refused: conflict at v1, expected v2
        at 0 pause if v1
          refused: cannot pause pending
        at 0 start if v2
          refused: conflict at v1, expected v2
        at 0 start if v1
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 100 start if v1
          refused: conflict at v2, expected v1
        at 200 complete if v1
          refused: conflict at v2, expected v1
        at 200 complete if v2
          completed
          v3 completed at 200 | A 800+200x0 | B 3000+0x0
        at 300 complete if v2
          refused: conflict at v3, expected v2
        at 300 patch increment=5 if v2
          refused: conflict at v3, expected v2

        session per_participant A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 100 switch to X if v1
          refused: conflict at v2, expected v1
        at 100 switch to X if v2
          refused: no participant X
        ",
    );
}

#[test]
fn a_precondition_is_compared_with_what_was_stored() {
    check(
        "
        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        -- nobody could know of the flag
        at 1500 pause if v2
          A flags at 1000, paused
          v3 paused B | A 0+1000x1!1000 | B 2500+500x0

        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 pause if v3
          A flags at 1000
          refused: conflict at v3, expected v3
          v3 running B 1000..4000 | A 0+1000x1!1000 | B 3000+0x0
        at 1500 pause if v3
          paused
          v4 paused B | A 0+1000x1!1000 | B 2500+500x0

        session per_participant A=1000 B=3000
        at 0 start if 7.2
          refused: conflict at v1
        at 0 start if 6.1
          refused: conflict at v1
        at 0 start if 8.1
          refused: conflict at v1
        at 0 start if 6.1,7.1
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 0 pause if v2 7.1
          refused: conflict at v2, expected v2
        at 0 pause if v1 7.2
          refused: conflict at v2, expected v1
        at 0 pause if v2 7.2
          paused
          v3 paused A | A 1000+0x0 | B 3000+0x0
        ",
    );
}

#[test]
fn a_precondition_holds_for_every_command() {
    check(
        "
        session per_participant A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 10 settle if v1
          refused: conflict at v2, expected v1
        at 10 pause if v1
          refused: conflict at v2, expected v1
        at 10 switch if v1
          refused: conflict at v2, expected v1
        at 10 complete if v1
          refused: conflict at v2, expected v1
        at 10 cancel if v1
          refused: conflict at v2, expected v1
        at 10 delete if v1
          refused: conflict at v2, expected v1
        at 10 patch increment=7 if v1
          refused: conflict at v2, expected v1
        ",
    );
}

#[test]
fn the_status_wins_over_the_participants() {
    check(
        "
        session per_participant A=5000 B=3000
        at 0 switch to X by B
          refused: not running but pending
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 100 pause
          paused
          v3 paused A | A 4900+100x0 | B 3000+0x0
        at 200 switch to X by B
          refused: not running but paused
        at 300 complete
          completed
          v4 completed at 300 | A 4900+100x0 | B 3000+0x0
        at 400 switch to X by B
          refused: not running but completed
        ",
    );
}

#[test]
fn the_current_participant_wins_over_the_next() {
    check(
        "
        session per_participant notify A=1000 B=3000 C=9000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0 | C 9000+0x0
        at 100 switch to X by B
          refused: conflict at v2
        at 100 switch to X by X if v2
          refused: conflict at v2, expected v2
        at 100 switch to X by A
          refused: no participant X
        at 1000 switch
          A flags at 1000, A -> B
          expired: A
          v3 running B 1000..4000 | A 0+1000x1!1000 | B 3000+0x0 | C 9000+0x0
        at 1500 switch to A by C
          refused: conflict at v3
        at 1500 switch to A by B
          refused: A has flagged
        at 1500 switch to C by B
          B -> C
          v4 running C 1500..10500 | A 0+1000x1!1000 | B 2500+500x1 | C 9000+0x0
        ",
    );
}

#[test]
fn the_next_participant_must_exist_and_have_time_left() {
    check(
        "
        session per_participant notify A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 100 switch to X
          refused: no participant X
        at 1000 switch to A
          A flags at 1000
          refused: A has flagged
          v3 running A 0.. | A 0+1000x0!1000 | B 3000+0x0
        at 1000 switch to B
          A -> B
          expired: A
          v4 running B 1000..4000 | A 0+1000x1!1000 | B 3000+0x0
        at 1100 switch to A
          refused: A has flagged
        at 1100 switch
          B -> B
          v5 running B 1100..4000 | A 0+1000x1!1000 | B 2900+100x1

        session per_group notify A=1000/g B=3000 C=1000/g
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 3000+0x0 | C 2000+0x0
        at 2000 switch to C
          A flags at 2000
          refused: C has flagged
          v3 running A 0.. | A 0+2000x0!2000 | B 3000+0x0 | C 0+0x0!

        session global notify A=1000 B=3000 total=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 2000 switch to B
          A flags at 2000
          refused: B has flagged
          v3 running A 0.. | A 0+2000x0!2000 | B 0+0x0!

        session count_up notify A=1000 B=3000 max=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 2000 switch to A
          A flags at 2000
          refused: A has flagged
          v3 running A 0.. | A 0+2000x0!2000 | B 2000+0x0

        -- in per_cycle nobody is out
        session per_cycle notify A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 2000 switch to A
          A flags at 1000
          late, expired: A
          v3 running A 0.. | A 0+1000x0!1000 | B 3000+0x0
        ",
    );
}

#[test]
fn the_status_must_allow_the_command() {
    check(
        "
        session per_participant A=5000 B=3000
        at 0 pause
          refused: cannot pause pending
        at 0 resume
          refused: cannot resume pending
        at 0 switch
          refused: not running but pending
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1 start
          refused: cannot start running
        at 1 resume
          refused: cannot resume running
        at 1 pause
          paused
          v3 paused A | A 4999+1x0 | B 3000+0x0
        at 2 start
          refused: cannot start paused
        at 2 pause
          refused: cannot pause paused
        at 2 switch
          refused: not running but paused
        at 2 cancel
          cancelled
          v4 cancelled at 2 | A 4999+1x0 | B 3000+0x0
        at 3 start
          refused: cannot start cancelled
        at 3 pause
          refused: cannot pause cancelled
        at 3 resume
          refused: cannot resume cancelled
        at 3 switch
          refused: not running but cancelled

        session per_participant A=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0
        at 1000 start
          A flags at 1000, expires at 1000
          refused: cannot start expired
          v3 expired at 1000 | A 0+1000x1!1000
        at 1000 pause
          refused: cannot pause expired
        at 1000 resume
          refused: cannot resume expired
        at 1000 patch increment=100
          refused: cannot update expired
        ",
    );
}
