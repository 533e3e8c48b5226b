//! Settings that change while a session lives: from when each of them counts, and when they may not.

use super::super::script::check;

#[test]
fn an_increment_counts_from_the_next_switch() {
    check(
        "
        session per_participant A=5000 B=3000 increment=100
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1000 patch increment=700
          updated
          v3 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 switch
          A -> B
          v4 running B 2000..5000 | A 3700+2000x1 | B 3000+0x0
        at 2500 patch increment=null
          updated
          v5 running B 2000..5000 | A 3700+2000x1 | B 3000+0x0
        at 3000 switch
          B -> A
          v6 running A 3000..6700 | A 3700+2000x1 | B 2000+1000x1
        at 3000 settings
          increment=0 turn=null max=null on_timeout=expire warn= metadata=null
        ",
    );
}

#[test]
fn a_turns_time_counts_from_the_next_turn() {
    check(
        "
        session per_cycle A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1000 patch turn=1000
          updated
          v3 running A 0..5000 | A 5000+0x0 | B 1000+0x0
        -- the turn in progress keeps what it has, through a pause as well
        at 1500 pause
          paused
          v4 paused A | A 3500+1500x0 | B 1000+0x0
        at 2000 resume
          resumed
          v5 running A 2000..5500 | A 3500+1500x0 | B 1000+0x0
        at 3000 switch
          A -> B
          v6 running B 3000..4000 | A 1000+2500x1 | B 1000+0x0
        at 3500 patch turn=null
          updated
          v7 running B 3000..4000 | A 5000+2500x1 | B 1000+0x0
        at 3700 switch
          B -> A
          v8 running A 3700..8700 | A 5000+2500x1 | B 3000+700x1
        at 3700 settings
          increment=0 turn=null max=null on_timeout=expire warn= metadata=null

        -- a flag begins the next turn too
        session per_cycle advance A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1000 patch turn=2000
          updated
          v3 running A 0..5000 | A 5000+0x0 | B 2000+0x0
        at 7500 settle
          A flags at 5000, B flags at 7000
          v4 running A 7000..9000 | A 2000+5000x1 | B 2000+2000x1!7000
        ",
    );
}

#[test]
fn what_a_flag_does_counts_from_the_next_flag() {
    check(
        "
        session per_participant A=1000 B=1000 C=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0 | C 1000+0x0
        at 500 patch on_timeout=notify
          updated
          v3 running A 0..1000 | A 1000+0x0 | B 1000+0x0 | C 1000+0x0
        at 1500 patch on_timeout=advance
          A flags at 1000, updated
          v4 running A 0.. | A 0+1000x0!1000 | B 1000+0x0 | C 1000+0x0
        -- the flag that was, was one of notify
        at 1600 switch
          A -> B
          expired: A
          v5 running B 1600..2600 | A 0+1000x1!1000 | B 1000+0x0 | C 1000+0x0
        at 2700 patch on_timeout=null
          B flags at 2600, updated
          v6 running C 2600..3600 | A 0+1000x1!1000 | B 0+1000x1!2600 | C 1000+0x0
        at 9000 settle
          C flags at 3600, expires at 3600
          v7 expired at 3600 | A 0+1000x1!1000 | B 0+1000x1!2600 | C 0+1000x1!3600

        -- a flag that is due at the patch's arrival comes before it
        session per_participant A=1000 B=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        at 1000 patch on_timeout=advance
          A flags at 1000, expires at 1000
          refused: cannot update expired
          v3 expired at 1000 | A 0+1000x1!1000 | B 1000+0x0
        ",
    );
}

#[test]
fn per_cycle_has_the_sessions_limit_from_the_next_turn_on() {
    check(
        "
        session per_cycle A=3000 B=3000 total=4000
        at 0 start
          A starts
          v2 running A 0..3000 | A 3000+0x0 | B 3000+0x0
        at 2000 switch
          A -> B
          v3 running B 2000..5000 | A 3000+2000x1 | B 3000+0x0
        at 2500 patch on_timeout=advance
          updated
          v4 running B 2000..5000 | A 3000+2000x1 | B 3000+0x0
        -- the turn in progress keeps its 3000, the next finds nothing left
        at 4500 switch
          B -> nobody, expires at 4500
          v5 expired at 4500 | A 3000+2000x1 | B 3000+2500x1

        session per_cycle A=3000 B=3000 total=4000
        at 0 start
          A starts
          v2 running A 0..3000 | A 3000+0x0 | B 3000+0x0
        at 2000 switch
          A -> B
          v3 running B 2000..5000 | A 3000+2000x1 | B 3000+0x0
        at 2500 patch on_timeout=advance
          updated
          v4 running B 2000..5000 | A 3000+2000x1 | B 3000+0x0
        at 5000 settle
          B flags at 5000, expires at 5000
          v5 expired at 5000 | A 3000+2000x1 | B 3000+3000x1!5000

        session per_cycle A=3000 B=3000 total=4000
        at 0 start
          A starts
          v2 running A 0..3000 | A 3000+0x0 | B 3000+0x0
        at 2000 switch
          A -> B
          v3 running B 2000..5000 | A 3000+2000x1 | B 3000+0x0
        at 2500 patch on_timeout=advance
          updated
          v4 running B 2000..5000 | A 3000+2000x1 | B 3000+0x0
        at 3500 switch
          B -> A
          v5 running A 3500..4000 | A 500+2000x1 | B 3000+1500x1
        at 3600 patch on_timeout=notify
          updated
          v6 running A 3500..4000 | A 500+2000x1 | B 3000+1500x1
        at 3800 switch
          A -> B
          v7 running B 3800..6800 | A 3000+2300x2 | B 3000+1500x1
        ",
    );
}

#[test]
fn a_patch_never_moves_the_turns_start() {
    check(
        "
        session per_participant A=5000 B=3000
        at 0 start
          A starts
          v2 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1000 patch increment=100 turn=2000 max=9000 on_timeout=notify warn=1000,500 metadata={}
          updated
          v3 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 1000 settings
          increment=100 turn=2000 max=9000 on_timeout=notify warn=1000,500 metadata={}
        at 2000 patch increment=null turn=null max=null on_timeout=null warn=null metadata=null
          updated
          v4 running A 0..5000 | A 5000+0x0 | B 3000+0x0
        at 2000 settings
          increment=0 turn=null max=null on_timeout=expire warn= metadata=null
        ",
    );
}

#[test]
fn what_changes_nothing_makes_no_version() {
    check(
        "
        session per_participant A=5000 B=3000 increment=100 warn=1000,500
        at 0 patch
          nothing
        at 0 patch increment=100 turn=null max=null on_timeout=expire warn=1000,500 metadata=null
          nothing
        at 0 patch metadata={}
          updated
          v2 pending | A 5000+0x0 | B 3000+0x0
        at 0 patch metadata={}
          nothing
        at 0 patch increment=100 metadata=null
          updated
          v3 pending | A 5000+0x0 | B 3000+0x0
        ",
    );
}

#[test]
fn an_ended_session_takes_metadata_only() {
    check(
        "
        session per_participant A=1000 B=3000 metadata={}
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 500 complete
          completed
          v3 completed at 500 | A 500+500x0 | B 3000+0x0
        at 600 patch increment=100
          refused: cannot update completed
        at 600 patch turn=null
          refused: cannot update completed
        at 600 patch max=null
          refused: cannot update completed
        at 600 patch on_timeout=expire
          refused: cannot update completed
        at 600 patch warn=null
          refused: cannot update completed
        at 600 patch metadata={1} increment=100
          refused: cannot update completed
        at 600 settings
          increment=0 turn=null max=null on_timeout=expire warn= metadata={}
        at 600 patch metadata={1}
          updated
          v4 completed at 500 | A 500+500x0 | B 3000+0x0
        at 700 patch metadata={1}
          nothing
        at 700 patch
          nothing
        at 800 patch metadata=null
          updated
          v5 completed at 500 | A 500+500x0 | B 3000+0x0
        at 800 settings
          increment=0 turn=null max=null on_timeout=expire warn= metadata=null

        session per_participant A=1000 B=3000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 3000+0x0
        at 1500 patch metadata={1} increment=100
          A flags at 1000, expires at 1000
          refused: cannot update expired
          v3 expired at 1000 | A 0+1000x1!1000 | B 3000+0x0
        at 1600 patch metadata={1}
          updated
          v4 expired at 1000 | A 0+1000x1!1000 | B 3000+0x0
        ",
    );
}

#[test]
fn turns_cannot_begin_to_advance_when_the_sessions_time_is_used_up() {
    check(
        "
        session per_cycle A=9000 B=9000 total=1000
        at 0 patch on_timeout=advance
          updated
          v2 pending | A 9000+0x0 | B 9000+0x0
        at 0 patch on_timeout=notify
          updated
          v3 pending | A 9000+0x0 | B 9000+0x0
        at 0 start
          A starts
          v4 running A 0..9000 | A 9000+0x0 | B 9000+0x0
        at 800 switch
          A -> B
          v5 running B 800..9800 | A 9000+800x1 | B 9000+0x0
        -- the running turn counts
        at 1000 patch on_timeout=advance increment=5
          refused: all of 1000 is used
        at 1000 patch on_timeout=expire increment=5
          updated
          v6 running B 800..9800 | A 9000+800x1 | B 9000+0x0
        at 1600 pause
          paused
          v7 paused B | A 9000+800x1 | B 8200+800x0
        at 1600 patch on_timeout=advance
          refused: all of 1000 is used

        session global A=1000 B=1000 total=1000
        at 0 start
          A starts
          v2 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        at 999 patch on_timeout=advance
          updated
          v3 running A 0..1000 | A 1000+0x0 | B 1000+0x0
        ",
    );
}
