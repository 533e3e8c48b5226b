//! Each mode: whose clock runs, what a turn costs, and what everybody shows meanwhile.

use super::super::script::check;

#[test]
fn per_participant_everybody_has_a_clock() {
    check(
        "
        session per_participant A=5000 B=3000 increment=200
        at 100 start
          A starts
          v2 running A 100..5100 | A 5000+0x0 | B 3000+0x0
        at 1100 switch
          A -> B
          v3 running B 1100..4100 | A 4200+1000x1 | B 3000+0x0
        -- B's turn shows what B had when it began
        at 1600 settle
          nothing
        at 3100 switch
          B -> A
          v4 running A 3100..7300 | A 4200+1000x1 | B 1200+2000x1
        at 9299 switch
          A flags at 7300, expires at 7300
          late, expired: A
          v5 expired at 7300 | A 0+5200x2!7300 | B 1200+2000x1
        at 10000 complete
          nothing
        ",
    );
}

#[test]
fn per_cycle_every_turn_is_full() {
    check(
        "
        session per_cycle A=5000 B=3000 total=9000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 4999 switch
          A -> B
          v3 running B 4999..7999 | A 5000+4999x1 | B 3000+0x0
        at 7998 switch
          B -> A
          v4 running A 7998..12998 | A 5000+4999x1 | B 3000+2999x1
        -- the session's time does not limit turns unless flags advance
        at 12000 switch
          A -> B
          v5 running B 12000..15000 | A 5000+9001x2 | B 3000+2999x1
        at 13000 pause
          paused
          v6 paused B | A 5000+9001x2 | B 2000+3999x1
        at 20000 resume
          resumed
          v7 running B 20000..22000 | A 5000+9001x2 | B 2000+3999x1
        at 21999 switch
          B -> A
          v8 running A 21999..26999 | A 5000+9001x2 | B 3000+5998x2

        session per_cycle A=5000 B=3000 turn=2000 increment=700
        at 0 state
          v1 pending | A 2000+0x0 | B 2000+0x0
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0 | B 2000+0x0
        at 1999 switch
          A -> B
          v3 running B 1999..3999 | A 2000+1999x1 | B 2000+0x0
        at 3998 switch
          B -> A
          v4 running A 3998..5998 | A 2000+1999x1 | B 2000+1999x1
        at 5998 settle
          A flags at 5998, expires at 5998
          v5 expired at 5998 | A 2000+3999x2!5998 | B 2000+1999x1
        ",
    );
}

#[test]
fn per_group_members_share_a_clock() {
    check(
        "
        session per_group A=2000/g B=3000 C=4000/g increment=100
        at 0 start
          A starts
          v2 running A 0..6000 | A 6000+0x0 | B 3000+0x0 | C 6000+0x0
        at 500 switch
          A -> B
          v3 running B 500..3500 | A 5600+500x1 | B 3000+0x0 | C 5600+0x0
        at 1500 switch
          B -> C
          v4 running C 1500..7100 | A 5600+500x1 | B 2100+1000x1 | C 5600+0x0
        -- inside the group: no increment
        at 2500 switch
          C -> A
          v5 running A 2500..7100 | A 4600+500x1 | B 2100+1000x1 | C 4600+1000x1
        at 3000 switch to C
          A -> C
          v6 running C 3000..7100 | A 4100+1000x2 | B 2100+1000x1 | C 4100+1000x1
        at 4000 switch to C
          C -> C
          v7 running C 4000..7100 | A 3100+1000x2 | B 2100+1000x1 | C 3100+2000x1
        -- B is a group of one, and goes on with itself inside it
        at 5000 switch to B
          C -> B
          v8 running B 5000..7100 | A 2200+1000x2 | B 2100+1000x1 | C 2200+3000x2
        at 6000 switch to B
          B -> B
          v9 running B 6000..7100 | A 2200+1000x2 | B 1100+2000x1 | C 2200+3000x2
        at 8099 switch to A
          B flags at 7100, expires at 7100
          late, expired: B
          v10 expired at 7100 | A 2200+1000x2 | B 0+3100x2!7100 | C 2200+3000x2
        at 8100 cancel
          nothing
        ",
    );
}

#[test]
fn global_the_clock_runs_on_through_switches() {
    check(
        "
        session global A=1000 B=2000 total=5000 increment=100
        at 0 state
          v1 pending | A 5000+0x0 | B 5000+0x0
        at 1000 start
          A starts
          v2 running A 1000..6000 | A 5000+0x0 | B 5000+0x0
        at 2000 switch
          A -> B
          v3 running B 2000..6000 | A 4000+1000x1 | B 4000+0x0
        at 4500 switch
          B -> A
          v4 running A 4500..6000 | A 1500+1000x1 | B 1500+2500x1
        at 5000 pause
          paused
          v5 paused A | A 1000+1500x1 | B 1000+2500x1
        at 6000 resume
          resumed
          v6 running A 6000..7000 | A 1000+1500x1 | B 1000+2500x1
        at 6999 settle
          nothing
        at 7000 settle
          A flags at 7000, expires at 7000
          v7 expired at 7000 | A 0+2500x2!7000 | B 0+2500x1!
        ",
    );
}

#[test]
fn count_up_counts_what_everybody_uses() {
    check(
        "
        session count_up A=1000 B=2000 increment=100
        at 0 start
          A starts
          v2 running A 0.. | A 1000+0x0 | B 2000+0x0
        -- without a maximum there is no deadline
        at 86400000 switch
          A -> B
          v3 running B 86400000.. | A 1000+86400000x1 | B 2000+0x0
        at 86400500 switch
          B -> A
          v4 running A 86400500.. | A 1000+86400000x1 | B 2000+500x1
        at 86400600 pause
          paused
          v5 paused A | A 1000+86400100x1 | B 2000+500x1
        at 86401000 complete
          completed
          v6 completed at 86401000 | A 1000+86400100x1 | B 2000+500x1

        session count_up A=1000 B=2000 max=3000
        at 0 start
          A starts
          v2 running A 0..3000 | A 3000+0x0 | B 3000+0x0
        at 1000 switch
          A -> B
          v3 running B 1000..4000 | A 2000+1000x1 | B 3000+0x0
        at 3999 switch
          B -> A
          v4 running A 3999..5999 | A 2000+1000x1 | B 1+2999x1
        at 4999 pause
          paused
          v5 paused A | A 1000+2000x1 | B 1+2999x1
        at 9000 resume
          resumed
          v6 running A 9000..10000 | A 1000+2000x1 | B 1+2999x1
        at 9999 settle
          nothing
        at 10000 settle
          A flags at 10000, expires at 10000
          v7 expired at 10000 | A 0+3000x2!10000 | B 1+2999x1
        ",
    );
}
