//! A flag that only notifies: the turn stays, at zero, until somebody switches.

use super::super::script::check;

#[test]
fn notify_leaves_the_turn_at_zero() {
    check(
        "
        session per_participant notify A=1000 B=3000 increment=100
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 settle
          A flags at 1000
          v3 running A 0.. | A 0+1000x0!1000 | B 3000+0x0
        at 9000 settle
          nothing
        -- the turn costs nothing beyond its flag and earns nothing
        at 9500 switch
          A -> B
          expired: A
          v4 running B 9500..12500 | A 0+1000x1!1000 | B 3000+0x0
        at 10000 switch by A
          late, expired: A
        at 10000 switch
          B -> B
          v5 running B 10000..12600 | A 0+1000x1!1000 | B 2600+500x1
        at 12400 pause
          paused
          v6 paused B | A 0+1000x1!1000 | B 200+2900x1
        at 12600 settle
          nothing

        session per_cycle notify A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 switch
          A flags at 1000, A -> B
          expired: A
          v3 running B 1500..4500 | A 1000+1000x1!1000 | B 3000+0x0
        at 2000 switch
          B -> A
          v4 running A 2000..3000 | A 1000+1000x1 | B 3000+500x1
        at 2100 complete
          completed
          v5 completed at 2100 | A 1000+1100x1 | B 3000+500x1

        session per_group notify A=1000/g B=3000 C=1000/g increment=100
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 3000+0x0 | C 2000+0x0
        at 2000 settle
          A flags at 2000
          v3 running A 0.. | A 0+2000x0!2000 | B 3000+0x0 | C 0+0x0!
        at 2500 switch
          A -> B
          expired: A
          v4 running B 2500..5500 | A 0+2000x1!2000 | B 3000+0x0 | C 0+0x0!
        at 5500 switch by A
          B flags at 5500
          late, expired: B
          v5 running B 2500.. | A 0+2000x1!2000 | B 0+3000x0!5500 | C 0+0x0!

        session global notify A=1000 B=3000 total=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 1500 switch
          A -> B
          v3 running B 1500..2000 | A 500+1500x1 | B 500+0x0
        at 5000 settle
          B flags at 2000
          v4 running B 1500.. | A 0+1500x1! | B 0+500x0!2000
        at 6000 switch by B
          B -> nobody, expires at 6000
          expired: B
          v5 expired at 6000 | A 0+1500x1! | B 0+500x1!2000

        session count_up notify A=1000 B=3000 max=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 2500 settle
          A flags at 2000
          v3 running A 0.. | A 0+2000x0!2000 | B 2000+0x0
        at 3000 switch by A
          A -> B
          expired: A
          v4 running B 3000..5000 | A 0+2000x1!2000 | B 2000+0x0
        at 3500 cancel
          cancelled
          v5 cancelled at 3500 | A 0+2000x1!2000 | B 1500+500x0
        ",
    );
}

#[test]
fn notify_goes_through_pauses_and_ends_at_zero() {
    check(
        "
        session per_participant notify A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 pause
          A flags at 1000, paused
          v3 paused A | A 0+1000x0!1000 | B 3000+0x0
        at 2000 switch by A
          refused: not running but paused
        at 2500 resume
          resumed
          v4 running A 2500.. | A 0+1000x0!1000 | B 3000+0x0
        at 3000 complete
          completed
          v5 completed at 3000 | A 0+1000x0!1000 | B 3000+0x0
        ",
    );
}

#[test]
fn a_switch_when_every_clock_has_flagged_expires_the_session_at_its_arrival() {
    check(
        "
        session per_participant notify A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 2000 switch
          A flags at 1000, A -> B
          expired: A
          v3 running B 2000..5000 | A 0+1000x1!1000 | B 3000+0x0
        at 6000 settle
          B flags at 5000
          v4 running B 2000.. | A 0+1000x1!1000 | B 0+3000x0!5000
        at 7000 switch to A
          refused: A has flagged
        at 7500 switch
          B -> nobody, expires at 7500
          expired: B
          v5 expired at 7500 | A 0+1000x1!1000 | B 0+3000x1!5000
        at 8000 switch
          late, expired: B

        session per_participant notify A=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0
        at 1700 switch by A
          A flags at 1000, A -> nobody, expires at 1700
          expired: A
          v3 expired at 1700 | A 0+1000x1!1000
        ",
    );
}
