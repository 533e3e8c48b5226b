//! The flag: when it is one, what it records, and that by itself it ends the session.

use super::super::script::check;

#[test]
fn exactly_zero_is_a_flag() {
    check(
        "
        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 4999 switch
          A -> B
          v3 running B 4999..7999 | A 1+4999x1 | B 3000+0x0

        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 5000 switch
          A flags at 5000, expires at 5000
          late, expired: A
          v3 expired at 5000 | A 0+5000x1!5000 | B 3000+0x0

        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 5001 pause
          A flags at 5000, expires at 5000
          refused: cannot pause expired
          v3 expired at 5000 | A 0+5000x1!5000 | B 3000+0x0
        ",
    );
}

#[test]
fn a_flag_is_recorded_at_its_deadline_whenever_noticed() {
    check(
        "
        session per_participant A=5000 B=3000
        at 1000 start
          A starts
          v2 running A 1000..6000 | A 5000+0x0 | B 3000+0x0
        at 6000 settle
          A flags at 6000, expires at 6000
          v3 expired at 6000 | A 0+5000x1!6000 | B 3000+0x0

        session per_participant A=5000 B=3000
        at 1000 start
          A starts
          v2 running A 1000..6000 | A 5000+0x0 | B 3000+0x0
        at 86400000 settle
          A flags at 6000, expires at 6000
          v3 expired at 6000 | A 0+5000x1!6000 | B 3000+0x0

        session per_participant A=5000 B=3000
        at 1000 start
          A starts
          v2 running A 1000..6000 | A 5000+0x0 | B 3000+0x0
        at 2000 pause
          paused
          v3 paused A | A 4000+1000x0 | B 3000+0x0
        at 3000 resume
          resumed
          v4 running A 3000..7000 | A 4000+1000x0 | B 3000+0x0
        at 50000 complete
          A flags at 7000, expires at 7000
          v5 expired at 7000 | A 0+5000x1!7000 | B 3000+0x0
        ",
    );
}

#[test]
fn expire_ends_the_session() {
    check(
        "
        session per_participant expire A=1000 B=3000 increment=100
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 settle
          A flags at 1000, expires at 1000
          v3 expired at 1000 | A 0+1000x1!1000 | B 3000+0x0

        session per_cycle expire A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 500 switch
          A -> B
          v3 running B 500..3500 | A 1000+500x1 | B 3000+0x0
        at 5000 settle
          B flags at 3500, expires at 3500
          v4 expired at 3500 | A 1000+500x1 | B 3000+3000x1!3500

        session per_group expire A=1000/g B=3000 C=1000/g
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 3000+0x0 | C 2000+0x0
        at 5000 settle
          A flags at 2000, expires at 2000
          v3 expired at 2000 | A 0+2000x1!2000 | B 3000+0x0 | C 0+0x0!

        session global expire A=1000 B=3000 total=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 500 switch
          A -> B
          v3 running B 500..2000 | A 1500+500x1 | B 1500+0x0
        at 5000 settle
          B flags at 2000, expires at 2000
          v4 expired at 2000 | A 0+500x1! | B 0+1500x1!2000

        session count_up expire A=1000 B=3000 max=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 500 switch
          A -> B
          v3 running B 500..2500 | A 1500+500x1 | B 2000+0x0
        at 5000 settle
          B flags at 2500, expires at 2500
          v4 expired at 2500 | A 1500+500x1 | B 0+2000x1!2500
        ",
    );
}
