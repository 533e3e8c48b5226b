//! How a session ends by a command, and that it ends once.

use super::super::script::check;

#[test]
fn complete_and_cancel_charge_the_turn_in_progress() {
    check(
        "
        session per_participant A=5000 B=3000 increment=100
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 complete
          completed
          v3 completed at 2000 | A 3000+2000x0 | B 3000+0x0

        session per_cycle A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 cancel
          cancelled
          v3 cancelled at 2000 | A 5000+2000x0 | B 3000+0x0

        session per_group A=5000/g B=3000 C=2000/g
        at 0 start
          A starts
          v2 running A 0..7000 | A 7000+0x0 | B 3000+0x0 | C 7000+0x0
        at 2000 complete
          completed
          v3 completed at 2000 | A 5000+2000x0 | B 3000+0x0 | C 5000+0x0

        session global A=5000 B=3000 total=9000
        at 0 start
          A starts
          v2 running A 0..9000 | A 9000+0x0 | B 9000+0x0
        at 2000 cancel
          cancelled
          v3 cancelled at 2000 | A 7000+2000x0 | B 7000+0x0

        session count_up A=5000 B=3000 max=9000
        at 0 start
          A starts
          v2 running A 0..9000 | A 9000+0x0 | B 9000+0x0
        at 2000 complete
          completed
          v3 completed at 2000 | A 7000+2000x0 | B 9000+0x0

        -- a pause has charged already
        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 pause
          paused
          v3 paused A | A 3000+2000x0 | B 3000+0x0
        at 4000 cancel
          cancelled
          v4 cancelled at 4000 | A 3000+2000x0 | B 3000+0x0

        session per_participant A=5000 B=3000
        at 10 complete
          completed
          v2 completed at 10 | A 5000+0x0 | B 3000+0x0

        session per_participant A=5000 B=3000
        at 10 cancel
          cancelled
          v2 cancelled at 10 | A 5000+0x0 | B 3000+0x0
        ",
    );
}

#[test]
fn an_end_is_final_and_asking_again_changes_nothing() {
    check(
        "
        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 complete
          completed
          v3 completed at 2000 | A 3000+2000x0 | B 3000+0x0
        at 3000 complete
          nothing
        at 3000 cancel
          nothing
        at 3000 settle
          nothing
        at 3000 delete
          nothing
        at 3000 start
          refused: cannot start completed
        at 3000 pause
          refused: cannot pause completed
        at 3000 resume
          refused: cannot resume completed
        at 3000 switch
          refused: not running but completed

        session per_participant A=5000 B=3000
        at 10 cancel
          cancelled
          v2 cancelled at 10 | A 5000+0x0 | B 3000+0x0
        at 3000 complete
          nothing

        session per_participant A=5000 B=3000
        at 10 start
          A starts
          v2 running A 10..5010 | A 5000+0x0 | B 3000+0x0
        -- too late to complete: the flag ended it
        at 5010 complete
          A flags at 5010, expires at 5010
          v3 expired at 5010 | A 0+5000x1!5010 | B 3000+0x0
        at 5020 cancel
          nothing

        session per_participant A=5000 B=3000
        at 10 start
          A starts
          v2 running A 10..5010 | A 5000+0x0 | B 3000+0x0
        at 20 delete
          nothing
        at 9000 delete
          A flags at 5010, expires at 5010
          v3 expired at 5010 | A 0+5000x1!5010 | B 3000+0x0
        ",
    );
}
