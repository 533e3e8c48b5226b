//! When clients are warned: computed from the running turn, and only for what lies ahead.

use super::super::script::check;

#[test]
fn a_warning_is_due_when_the_clock_falls_to_a_threshold() {
    check(
        "
        session per_participant A=5000 B=3000 warn=1000,4000,2000,1000
        at 0 warnings
          none
        at 100 start
          A starts
          v2 running A 100..5100 | A 5000+0x0 | B 3000+0x0
        at 100 warnings
          A 4000 at 1100, A 2000 at 3100, A 1000 at 4100
        -- only what lies ahead
        at 1099 warnings
          A 4000 at 1100, A 2000 at 3100, A 1000 at 4100
        at 1100 warnings
          A 2000 at 3100, A 1000 at 4100
        at 4099 warnings
          A 1000 at 4100
        at 4100 warnings
          none
        ",
    );
}

#[test]
fn a_turn_is_warned_of_what_it_began_above() {
    check(
        "
        session per_participant A=5000 B=3000 warn=3000,2999
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 0 warnings
          A 3000 at 2000, A 2999 at 2001
        at 1000 switch
          A -> B
          v3 running B 1000..4000 | A 4000+1000x1 | B 3000+0x0
        at 999 warnings
          B 2999 at 1001
        at 1500 switch
          B -> A
          v4 running A 1500..5500 | A 4000+1000x1 | B 2500+500x1
        -- A went on with 4000
        at 1500 warnings
          A 3000 at 2500, A 2999 at 2501
        at 2500 pause
          paused
          v5 paused A | A 3000+2000x1 | B 2500+500x1
        at 2500 warnings
          none
        at 9000 resume
          resumed
          v6 running A 9000..12000 | A 3000+2000x1 | B 2500+500x1
        at 9000 warnings
          A 2999 at 9001
        ",
    );
}

#[test]
fn thresholds_count_at_once() {
    check(
        "
        session per_participant A=5000 B=3000 warn=4000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 patch warn=4500,2500,500
          updated
          v3 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 warnings
          A 2500 at 2500, A 500 at 4500
        at 2600 patch warn=null
          updated
          v4 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2600 warnings
          none
        ",
    );
}

#[test]
fn what_does_not_run_down_warns_nobody() {
    check(
        "
        session count_up A=5000 B=3000 warn=1000
        at 0 start
          A starts
          v2 running A 0.. | A 5000+0x0 | B 3000+0x0
        at 0 warnings
          none
        at 500 patch max=4000
          updated
          v3 running A 0..4000 | A 4000+0x0 | B 4000+0x0
        at 500 warnings
          A 1000 at 3000
        at 900 complete
          completed
          v4 completed at 900 | A 3100+900x0 | B 4000+0x0
        at 900 warnings
          none

        -- a clock that flagged
        session per_participant notify A=2000 B=3000 warn=1000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 3000+0x0
        at 2000 settle
          A flags at 2000
          v3 running A 0.. | A 0+2000x0!2000 | B 3000+0x0
        at 0 warnings
          none
        ",
    );
}

#[test]
fn every_mode_warns_of_the_clock_that_runs() {
    check(
        "
        session per_cycle advance A=5000 B=3000 total=6000 warn=1000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 0 warnings
          A 1000 at 4000
        at 5000 settle
          A flags at 5000
          v3 running B 5000..6000 | A 5000+5000x1!5000 | B 1000+0x0
        -- the session's time ends the turn at 1000
        at 5000 warnings
          none

        session per_group A=5000/g B=3000 C=1000/g warn=1000
        at 0 start
          A starts
          v2 running A 0..6000 | A 6000+0x0 | B 3000+0x0 | C 6000+0x0
        at 0 warnings
          A 1000 at 5000

        session global A=5000 B=3000 total=6000 warn=1000
        at 0 start
          A starts
          v2 running A 0..6000 | A 6000+0x0 | B 6000+0x0
        at 2000 switch
          A -> B
          v3 running B 2000..6000 | A 4000+2000x1 | B 4000+0x0
        at 2000 warnings
          B 1000 at 5000
        ",
    );
}
