//! A switch that comes after the flag: it is told who flagged, whatever else is wrong with it.

use super::super::script::check;

#[test]
fn a_late_switch_wins_over_the_precondition() {
    check(
        "
        session per_participant A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 switch if v1
          A flags at 1000, expires at 1000
          late, expired: A
          v3 expired at 1000 | A 0+1000x1!1000 | B 3000+0x0
        at 1600 switch to X by B if v1
          late, expired: A

        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 switch by A if v1
          A flags at 1000
          late, expired: A
          v3 running B 1000..4000 | A 0+1000x1!1000 | B 3000+0x0
        at 1600 switch by A if v1
          late, expired: A
        -- who is not late is held to it
        at 1700 switch by B if v1
          refused: conflict at v3, expected v1
        ",
    );
}

#[test]
fn a_late_switch_wins_over_the_status() {
    check(
        "
        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 pause
          A flags at 1000, paused
          v3 paused B | A 0+1000x1!1000 | B 2500+500x0
        at 1600 switch by A
          late, expired: A
        at 1600 switch by B
          refused: not running but paused
        at 1700 complete
          completed
          v4 completed at 1700 | A 0+1000x1!1000 | B 2500+500x0
        at 1800 switch by A
          late, expired: A
        at 1800 switch by B
          refused: not running but completed
        ",
    );
}

#[test]
fn a_late_switch_wins_over_what_it_names() {
    check(
        "
        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 switch to X by A
          A flags at 1000
          late, expired: A
          v3 running B 1000..4000 | A 0+1000x1!1000 | B 3000+0x0
        at 1500 switch to A by A
          late, expired: A
        at 1600 switch to X
          refused: no participant X
        at 1600 switch to A
          refused: A has flagged
        at 1600 switch by X
          refused: conflict at v3
        ",
    );
}

#[test]
fn the_answer_to_a_late_switch_is_who_flagged_last() {
    check(
        "
        session per_participant advance A=1000 B=2000 C=9000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 2000+0x0 | C 9000+0x0
        at 3500 switch by A
          A flags at 1000, B flags at 3000
          late, expired: B
          v3 running C 3000..12000 | A 0+1000x1!1000 | B 0+2000x1!3000 | C 9000+0x0

        session per_participant advance C=1000 B=2000 A=3000
        at 0 start
          C starts
          v2 running C 0..1000 | C 1000+0x0 | B 2000+0x0 | A 3000+0x0
        at 9000 switch by C
          C flags at 1000, B flags at 3000, A flags at 6000
          expires at 6000
          late, expired: A
          v3 expired at 6000 | C 0+1000x1!1000 | B 0+2000x1!3000 | A 0+3000x1!6000

        session per_group advance A=1000/g B=2000 C=1000/g
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0 | C 2000+0x0
        -- C's clock flagged in A's turn
        at 2500 switch by C
          A flags at 2000
          late, expired: A
          v3 running B 2000..4000 | A 0+2000x1!2000 | B 2000+0x0 | C 0+0x0!

        session per_cycle advance A=1000 B=2000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 2000+0x0
        at 1500 switch by A
          A flags at 1000
          late, expired: A
          v3 running B 1000..3000 | A 1000+1000x1!1000 | B 2000+0x0
        -- A's mark cleared with A's next turn
        at 1600 switch
          B -> A
          v4 running A 1600..2600 | A 1000+1000x1 | B 2000+600x1
        at 1700 switch by B
          refused: conflict at v4
        ",
    );
}

#[test]
fn a_late_switch_need_not_be_after_a_flag() {
    check(
        "
        session per_cycle A=9000 B=9000 total=1000
        at 0 start
          A starts
          v2 running A 0..9000 | A 9000+0x0 | B 9000+0x0
        at 800 switch
          A -> B
          v3 running B 800..9800 | A 9000+800x1 | B 9000+0x0
        at 900 patch on_timeout=advance
          updated
          v4 running B 800..9800 | A 9000+800x1 | B 9000+0x0
        at 1600 switch
          B -> nobody, expires at 1600
          v5 expired at 1600 | A 9000+800x1 | B 9000+800x1
        -- time ran out although nobody flagged
        at 1700 switch
          late
        at 1700 switch by A if v1
          late
        ",
    );
}
