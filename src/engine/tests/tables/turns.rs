//! A turn: what it earns when it is completed in time, and what interrupts it.

use super::super::script::check;

#[test]
fn an_increment_is_earned_by_a_turn_completed_in_time() {
    check(
        "
        session per_participant notify A=1000 B=1000 increment=100
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        -- even by one that took no time, and beyond what was given
        at 0 switch
          A -> B
          v3 running B 0..1000 | A 1100+0x1 | B 1000+0x0
        at 999 switch
          B -> A
          v4 running A 999..2099 | A 1100+0x1 | B 101+999x1
        at 2099 switch
          A flags at 2099, A -> B
          expired: A
          v5 running B 2099..2200 | A 0+1100x2!2099 | B 101+999x1
        -- A flagged and earned nothing; what flags let pass earns neither
        at 2100 pause
          paused
          v6 paused B | A 0+1100x2!2099 | B 100+1000x1
        at 2200 complete
          completed
          v7 completed at 2200 | A 0+1100x2!2099 | B 100+1000x1

        session per_group notify A=1000/g B=1000/g C=1000/h increment=100
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0 | C 1000+0x0
        at 100 switch to B
          A -> B
          v3 running B 100..2000 | A 1900+100x1 | B 1900+0x0 | C 1000+0x0
        at 200 switch to C
          B -> C
          v4 running C 200..1200 | A 1900+100x1 | B 1900+100x1 | C 1000+0x0
        at 300 switch to A
          C -> A
          v5 running A 300..2200 | A 1900+100x1 | B 1900+100x1 | C 1000+100x1
        at 5000 switch to C
          A flags at 2200, A -> C
          expired: A
          v6 running C 5000..6000 | A 0+2000x2!2200 | B 0+100x1! | C 1000+100x1
        ",
    );
}

#[test]
fn pause_charges_and_keeps_the_turn() {
    check(
        "
        session per_participant A=5000 B=3000 increment=100
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 pause
          paused
          v3 paused A | A 3000+2000x0 | B 3000+0x0
        at 90000 settle
          nothing
        at 90000 resume
          resumed
          v4 running A 90000..93000 | A 3000+2000x0 | B 3000+0x0
        at 91000 pause
          paused
          v5 paused A | A 2000+3000x0 | B 3000+0x0
        at 91000 resume
          resumed
          v6 running A 91000..93000 | A 2000+3000x0 | B 3000+0x0
        -- one turn, however often interrupted: one increment, one turn counted
        at 92999 switch
          A -> B
          v7 running B 92999..95999 | A 101+4999x1 | B 3000+0x0

        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 4999 pause
          paused
          v3 paused A | A 1+4999x0 | B 3000+0x0
        at 5000 resume
          resumed
          v4 running A 5000..5001 | A 1+4999x0 | B 3000+0x0
        at 5000 pause
          paused
          v5 paused A | A 1+4999x0 | B 3000+0x0
        at 6000 resume
          resumed
          v6 running A 6000..6001 | A 1+4999x0 | B 3000+0x0
        at 6001 pause
          A flags at 6001, expires at 6001
          refused: cannot pause expired
          v7 expired at 6001 | A 0+5000x1!6001 | B 3000+0x0
        ",
    );
}
