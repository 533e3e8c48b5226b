//! A flag that advances: who goes on, and when nobody can. What nobody attends to is not replayed.

use super::super::script::check;

#[test]
fn advance_goes_on_with_who_has_time_left() {
    check(
        "
        session per_participant advance A=1000 B=3000 C=2000 increment=100
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0 | C 2000+0x0
        at 1500 settle
          A flags at 1000
          v3 running B 1000..4000 | A 0+1000x1!1000 | B 3000+0x0 | C 2000+0x0
        at 2000 switch
          B -> C
          v4 running C 2000..4000 | A 0+1000x1!1000 | B 2100+1000x1 | C 2000+0x0
        -- A is out, so C gives way to B
        at 2500 switch
          C -> B
          v5 running B 2500..4600 | A 0+1000x1!1000 | B 2100+1000x1 | C 1600+500x1
        at 5000 settle
          B flags at 4600
          v6 running C 4600..6200 | A 0+1000x1!1000 | B 0+3100x2!4600 | C 1600+500x1
        at 9000 settle
          C flags at 6200, expires at 6200
          v7 expired at 6200 | A 0+1000x1!1000 | B 0+3100x2!4600 | C 0+2100x2!6200

        session per_group advance A=1000/g B=3000 C=1000/g D=1000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 3000+0x0 | C 2000+0x0 | D 1000+0x0
        -- the whole group is out
        at 2000 settle
          A flags at 2000
          v3 running B 2000..5000 | A 0+2000x1!2000 | B 3000+0x0 | C 0+0x0! | D 1000+0x0
        at 2500 switch
          B -> D
          v4 running D 2500..3500 | A 0+2000x1!2000 | B 2500+500x1 | C 0+0x0! | D 1000+0x0
        at 2600 switch
          D -> B
          v5 running B 2600..5100 | A 0+2000x1!2000 | B 2500+500x1 | C 0+0x0! | D 900+100x1
        at 90000 settle
          B flags at 5100, D flags at 6000, expires at 6000
          v6 expired at 6000 | A 0+2000x1!2000 | B 0+3000x2!5100 | C 0+0x0! | D 0+1000x2!6000

        session global advance A=1000 B=3000 total=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 500 switch
          A -> B
          v3 running B 500..2000 | A 1500+500x1 | B 1500+0x0
        -- nobody has time left
        at 5000 settle
          B flags at 2000, expires at 2000
          v4 expired at 2000 | A 0+500x1! | B 0+1500x1!2000

        session count_up advance A=1000 B=3000 max=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 500 switch
          A -> B
          v3 running B 500..2500 | A 1500+500x1 | B 2000+0x0
        at 2700 switch
          B flags at 2500, A -> A
          v4 running A 2700..4000 | A 1300+700x2 | B 0+2000x1!2500
        at 4000 settle
          A flags at 4000, expires at 4000
          v5 expired at 4000 | A 0+2000x3!4000 | B 0+2000x1!2500

        session per_participant advance A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        -- however many flags, one change
        at 4000 pause
          A flags at 1000, B flags at 4000, expires at 4000
          refused: cannot pause expired
          v3 expired at 4000 | A 0+1000x1!1000 | B 0+3000x1!4000
        ",
    );
}

#[test]
fn advance_in_per_cycle_leaves_nobody_out() {
    check(
        "
        session per_cycle advance A=1000 B=3000 total=60000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1200 settle
          A flags at 1000
          v3 running B 1000..4000 | A 1000+1000x1!1000 | B 3000+0x0
        -- the mark stays until the next turn and bars nobody
        at 1300 switch to B
          B -> B
          v4 running B 1300..4000 | A 1000+1000x1!1000 | B 2700+300x0
        at 1400 switch to A
          B -> A
          v5 running A 1400..2400 | A 1000+1000x1 | B 3000+400x1
        at 1500 switch
          A -> B
          v6 running B 1500..4500 | A 1000+1100x2 | B 3000+400x1
        at 4500 switch by B
          B flags at 4500
          late, expired: B
          v7 running A 4500..5500 | A 1000+1100x2 | B 3000+3400x2!4500
        at 4600 switch by A
          A -> B
          v8 running B 4600..7600 | A 1000+1200x3 | B 3000+3400x2
        ",
    );
}

#[test]
fn advance_in_per_cycle_ends_with_the_sessions_time() {
    check(
        "
        session per_cycle advance A=1000 B=3000 total=6500
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 500 switch
          A -> B
          v3 running B 500..3500 | A 1000+500x1 | B 3000+0x0
        at 3500 settle
          B flags at 3500
          v4 running A 3500..4500 | A 1000+500x1 | B 3000+3000x1!3500
        at 4500 settle
          A flags at 4500
          v5 running B 4500..6500 | A 1000+1500x2!4500 | B 2000+3000x1
        -- B's turn has the 2000 that the session has left
        at 6000 pause
          paused
          v6 paused B | A 1000+1500x2!4500 | B 500+4500x1
        at 7000 resume
          resumed
          v7 running B 7000..7500 | A 1000+1500x2!4500 | B 500+4500x1
        at 7499 settle
          nothing
        at 7500 settle
          B flags at 7500, expires at 7500
          v8 expired at 7500 | A 1000+1500x2!4500 | B 3000+5000x2!7500

        session per_cycle advance A=1000 B=3000 total=4500
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 4200 switch
          A flags at 1000, B flags at 4000, A -> B
          v3 running B 4200..4500 | A 1000+1200x2 | B 300+3000x1
        at 4499 switch
          B -> A
          v4 running A 4499..4500 | A 1+1200x2 | B 3000+3299x2
        -- one millisecond is a turn
        at 4500 switch
          A flags at 4500, expires at 4500
          late, expired: A
          v5 expired at 4500 | A 1000+1201x3!4500 | B 3000+3299x2

        session per_cycle advance A=1000 B=3000 total=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1000 settle
          A flags at 1000, expires at 1000
          v3 expired at 1000 | A 1000+1000x1!1000 | B 3000+0x0
        ",
    );
}

#[test]
fn an_unattended_round_is_not_replayed() {
    check(
        "
        session per_cycle advance A=1000 B=3000 C=2000 total=864000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0 | C 2000+0x0
        at 500 switch
          A -> B
          v3 running B 500..3500 | A 1000+500x1 | B 3000+0x0 | C 2000+0x0
        -- 142 whole rounds of C, A, B at once, then one turn by turn
        at 86400000 settle
          B flags at 3500, 142 rounds until 855500, C flags at 857500
          A flags at 858500, B flags at 861500, C flags at 863500
          A flags at 864000, expires at 864000
          v4 expired at 864000 | A 1000+144000x145!864000 | B 3000+432000x144!861500 | C 2000+288000x144!863500

        session per_cycle advance A=1000 B=3000 C=2000 total=100500
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0 | C 2000+0x0
        at 61500 settle
          A flags at 1000, 9 rounds until 55000, B flags at 58000
          C flags at 60000, A flags at 61000
          v3 running B 61000..64000 | A 1000+11000x11!61000 | B 3000+30000x10 | C 2000+20000x10!60000
        at 86400000 settle
          B flags at 64000, 5 rounds until 94000, C flags at 96000
          A flags at 97000, B flags at 100000, C flags at 100500
          expires at 100500
          v4 expired at 100500 | A 1000+17000x17!97000 | B 3000+51000x17!100000 | C 2000+32500x17!100500

        session per_cycle advance A=1000 total=86400000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0
        at 3600500 switch
          A flags at 1000, 3598 rounds until 3599000, A flags at 3600000
          A -> A
          v3 running A 3600500..3601500 | A 1000+3600500x3601
        ",
    );
}
