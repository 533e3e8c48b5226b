//! Whose turn comes next.

use super::super::script::check;

#[test]
fn rotation_follows_the_index_and_ties_the_order_given() {
    check(
        "
        session per_participant A=9000#7 B=9000#2 C=9000#90 D=9000#2 E=9000#0
        at 0 start
          E starts
          v2 running E 0..9000 | A 9000+0x0 | B 9000+0x0 | C 9000+0x0 | D 9000+0x0 | E 9000+0x0
        at 1 switch
          E -> B
          v3 running B 1..9001 | A 9000+0x0 | B 9000+0x0 | C 9000+0x0 | D 9000+0x0 | E 8999+1x1
        at 2 switch
          B -> D
          v4 running D 2..9002 | A 9000+0x0 | B 8999+1x1 | C 9000+0x0 | D 9000+0x0 | E 8999+1x1
        at 3 switch
          D -> A
          v5 running A 3..9003 | A 9000+0x0 | B 8999+1x1 | C 9000+0x0 | D 8999+1x1 | E 8999+1x1
        at 4 switch
          A -> C
          v6 running C 4..9004 | A 8999+1x1 | B 8999+1x1 | C 9000+0x0 | D 8999+1x1 | E 8999+1x1
        at 5 switch
          C -> E
          v7 running E 5..9004 | A 8999+1x1 | B 8999+1x1 | C 8999+1x1 | D 8999+1x1 | E 8999+1x1
        -- from wherever a target took it
        at 6 switch to A
          E -> A
          v8 running A 6..9005 | A 8999+1x1 | B 8999+1x1 | C 8999+1x1 | D 8999+1x1 | E 8998+2x2
        at 7 switch
          A -> C
          v9 running C 7..9006 | A 8998+2x2 | B 8999+1x1 | C 8999+1x1 | D 8999+1x1 | E 8998+2x2
        at 8 switch
          C -> E
          v10 running E 8..9006 | A 8998+2x2 | B 8999+1x1 | C 8998+2x2 | D 8999+1x1 | E 8998+2x2
        at 9 switch to A
          E -> A
          v11 running A 9..9007 | A 8998+2x2 | B 8999+1x1 | C 8998+2x2 | D 8999+1x1 | E 8997+3x3
        at 10 switch to A
          A -> A
          v12 running A 10..9007 | A 8997+3x2 | B 8999+1x1 | C 8998+2x2 | D 8999+1x1 | E 8997+3x3
        ",
    );
}

#[test]
fn rotation_leaves_out_who_flagged() {
    check(
        "
        session per_participant notify A=9000#2 B=1000#1 C=1000#2 D=9000#3
        at 0 start
          B starts
          v2 running B 0..1000 | A 9000+0x0 | B 1000+0x0 | C 1000+0x0 | D 9000+0x0
        at 1000 switch
          B flags at 1000, B -> A
          expired: B
          v3 running A 1000..10000 | A 9000+0x0 | B 0+1000x1!1000 | C 1000+0x0 | D 9000+0x0
        at 1001 switch
          A -> C
          v4 running C 1001..2001 | A 8999+1x1 | B 0+1000x1!1000 | C 1000+0x0 | D 9000+0x0
        at 2001 switch
          C flags at 2001, C -> D
          expired: C
          v5 running D 2001..11001 | A 8999+1x1 | B 0+1000x1!1000 | C 0+1000x1!2001 | D 9000+0x0
        at 2002 switch
          D -> A
          v6 running A 2002..11001 | A 8999+1x1 | B 0+1000x1!1000 | C 0+1000x1!2001 | D 8999+1x1
        at 2003 switch
          A -> D
          v7 running D 2003..11002 | A 8998+2x2 | B 0+1000x1!1000 | C 0+1000x1!2001 | D 8999+1x1
        ",
    );
}

#[test]
fn one_alone_goes_to_itself() {
    check(
        "
        session per_participant A=2000 increment=100
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0
        at 1000 switch
          A -> A
          v3 running A 1000..2100 | A 1100+1000x1

        session per_group A=2000/g increment=100
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0
        at 1000 switch
          A -> A
          v3 running A 1000..2000 | A 1000+1000x1

        session per_cycle A=2000
        at 0 start
          A starts
          v2 running A 0..2000 | A 2000+0x0
        at 1000 switch to A by A
          A -> A
          v3 running A 1000..3000 | A 2000+1000x1

        session global A=2000 total=3000
        at 0 start
          A starts
          v2 running A 0..3000 | A 3000+0x0
        at 1000 switch
          A -> A
          v3 running A 1000..3000 | A 2000+1000x1

        session count_up A=2000
        at 0 start
          A starts
          v2 running A 0.. | A 2000+0x0
        at 1000 switch
          A -> A
          v3 running A 1000.. | A 2000+1000x1
        ",
    );
}

#[test]
fn to_oneself_earns_nothing_while_others_could_be_next() {
    check(
        "
        session per_participant A=5000 B=3000 increment=200
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1000 switch to A
          A -> A
          v3 running A 1000..5000 | A 4000+1000x0 | B 3000+0x0
        at 1500 switch to A by A
          A -> A
          v4 running A 1500..5000 | A 3500+1500x0 | B 3000+0x0
        at 2000 switch
          A -> B
          v5 running B 2000..5000 | A 3200+2000x1 | B 3000+0x0
        at 2100 complete
          completed
          v6 completed at 2100 | A 3200+2000x1 | B 2900+100x0

        session per_cycle A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1000 switch to A
          A -> A
          v3 running A 1000..5000 | A 4000+1000x0 | B 3000+0x0
        at 4999 switch to A
          A -> A
          v4 running A 4999..5000 | A 1+4999x0 | B 3000+0x0
        at 5000 settle
          A flags at 5000, expires at 5000
          v5 expired at 5000 | A 5000+5000x1!5000 | B 3000+0x0

        -- a turn that flagged is not filled up by who had it
        session per_cycle notify A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 switch to A
          A flags at 1000
          late, expired: A
          v3 running A 0.. | A 0+1000x0!1000 | B 3000+0x0
        at 1600 switch to B
          A -> B
          expired: A
          v4 running B 1600..4600 | A 1000+1000x1!1000 | B 3000+0x0

        session per_group A=1000/g B=3000/g C=3000 increment=200
        at 0 start
          A starts
          v2 running A 0..4000 | A 4000+0x0 | B 4000+0x0 | C 3000+0x0
        at 1000 switch to A
          A -> A
          v3 running A 1000..4000 | A 3000+1000x0 | B 3000+0x0 | C 3000+0x0

        session global A=1000 B=2000 total=5000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 5000+0x0
        at 1000 switch to A
          A -> A
          v3 running A 1000..5000 | A 4000+1000x0 | B 4000+0x0

        session count_up A=1000 B=2000 max=5000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 5000+0x0
        at 1000 switch to A
          A -> A
          v3 running A 1000..5000 | A 4000+1000x0 | B 5000+0x0
        ",
    );
}

#[test]
fn who_is_the_last_one_completes_turns() {
    check(
        "
        session per_participant advance A=1000 B=9000 increment=200
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 9000+0x0
        at 1500 settle
          A flags at 1000
          v3 running B 1000..10000 | A 0+1000x1!1000 | B 9000+0x0
        at 2000 switch
          B -> B
          v4 running B 2000..10200 | A 0+1000x1!1000 | B 8200+1000x1
        at 3000 switch to B
          B -> B
          v5 running B 3000..10400 | A 0+1000x1!1000 | B 7400+2000x2
        ",
    );
}
