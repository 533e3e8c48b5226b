//! Controls as texts.

use super::{read, written};

/// What a text is written back as.
fn object(text: &str) -> Result<String, String> {
    let value = serde_json::Value::from(text).to_string();
    read(&value).map(|control| control.map_or_else(|| "none".to_owned(), |control| written(&control)))
}

#[track_caller]
fn same(text: &str, members: &str) {
    assert_eq!(object(text), Ok(members.replace('\'', "\"")), "{text}");
}

#[test]
fn each_notation_is_an_object() {
    let fischer = |base: u64, increment: u64, at: &str| {
        format!("{{'system':'fischer','base_ms':{base},'increment_ms':{increment},'increment_at':'{at}'}}")
    };
    same("5+3", &fischer(300_000, 3_000, "end"));
    same(" 5 + 3 ", &fischer(300_000, 3_000, "end"));
    same("½+1", &fischer(30_000, 1_000, "end"));
    same("1½+1", &fischer(90_000, 1_000, "end"));
    same("0.5+1", &fischer(30_000, 1_000, "end"));
    same("180+0", "{'system':'absolute','base_ms':10800000}");
    same("0+10", &fischer(0, 10_000, "start"));
    same(
        "40/7200:3600",
        "{'system':'stages','stages':[{'moves':40,'system':'absolute','base_ms':7200000},{'system':'absolute','base_ms':3600000}],'repeat':false}",
    );
    same(
        "40/7200+30:1800+30",
        "{'system':'stages','stages':[{'moves':40,'system':'fischer','base_ms':7200000,'increment_ms':30000,'increment_at':'end'},{'system':'fischer','base_ms':1800000,'increment_ms':30000,'increment_at':'end'}],'repeat':false}",
    );
    same(
        "40/7200:20/3600:900+30",
        "{'system':'stages','stages':[{'moves':40,'system':'absolute','base_ms':7200000},{'moves':20,'system':'absolute','base_ms':3600000},{'system':'fischer','base_ms':900000,'increment_ms':30000,'increment_at':'end'}],'repeat':false}",
    );
    same("40/9000", "{'system':'stages','stages':[{'moves':40,'system':'absolute','base_ms':9000000}],'repeat':true}");
    same("*180", "{'system':'hourglass','base_ms':180000,'delay_ms':0}");
    same("HG180", "{'system':'hourglass','base_ms':180000,'delay_ms':0}");
    same("pgn:300+3", &fischer(300_000, 3_000, "end"));
    same("pgn:300", "{'system':'absolute','base_ms':300000}");
    same("pgn:300+5d", "{'system':'delay','base_ms':300000,'delay_ms':5000}");
    same("-", "none");
    same("10m+5x30s", "{'system':'byoyomi','base_ms':600000,'period_ms':30000,'periods':5,'increment_ms':0}");
    same("5x30s", "{'system':'byoyomi','base_ms':0,'period_ms':30000,'periods':5,'increment_ms':0}");
    for text in ["1h+25/10m", "1h+10m/25"] {
        same(text, "{'system':'canadian','base_ms':3600000,'period_ms':600000,'moves':25}");
    }
    same("25/10m", "{'system':'canadian','base_ms':0,'period_ms':600000,'moves':25}");
    same(
        "3d+1d max 7d",
        "{'system':'fischer','base_ms':259200000,'increment_ms':86400000,'cap_ms':604800000,'increment_at':'end'}",
    );
    same("30s/move", "{'system':'per_move','move_ms':30000}");
    same("3d/move", "{'system':'per_move','move_ms':259200000}");
    same("90m+30s", &fischer(5_400_000, 30_000, "end"));
    same("1h30m+30s", &fischer(5_400_000, 30_000, "end"));
    same("90m d5s", "{'system':'delay','base_ms':5400000,'delay_ms':5000}");
    same("90m b5s", "{'system':'bronstein','base_ms':5400000,'delay_ms':5000,'flag_at':'delay'}");
    same("30s+130s bank", "{'system':'bank','move_ms':30000,'bank_ms':130000,'increment_ms':0}");
    same("G/60 d5", "{'system':'delay','base_ms':3600000,'delay_ms':5000}");
    same("G/90 inc30", &fischer(5_400_000, 30_000, "end"));
    same(
        "40/120 SD/60 d5",
        "{'system':'stages','stages':[{'moves':40,'system':'delay','base_ms':7200000,'delay_ms':5000},{'system':'delay','base_ms':3600000,'delay_ms':5000}],'repeat':false}",
    );
    same(
        "sgf:600;5x30 byo-yomi",
        "{'system':'byoyomi','base_ms':600000,'period_ms':30000,'periods':5,'increment_ms':0}",
    );
    same("sgf:600;15/300 canadian", "{'system':'canadian','base_ms':600000,'period_ms':300000,'moves':15}");
    same("sgf:600;30 fischer", &fischer(600_000, 30_000, "end"));
    same("sgf:0;60 simple", "{'system':'per_move','move_ms':60000}");
    same("lishogi:10|30", "{'system':'byoyomi','base_ms':600000,'period_ms':30000,'periods':1,'increment_ms':0}");
    same(
        "lishogi:5+10|20(2x)",
        "{'system':'byoyomi','base_ms':300000,'period_ms':20000,'periods':2,'increment_ms':10000}",
    );
}

#[test]
fn what_could_be_meant_in_two_ways_is_refused_with_both() {
    for (text, both) in [
        ("300+3", ["300m+3s", "pgn:300+3"]),
        ("181+0", ["181m+0s", "pgn:181+0"]),
        ("300", ["300m", "pgn:300"]),
        ("5m+3", ["3s", "3m"]),
        ("90m d5", ["5s", "5m"]),
    ] {
        let refused = object(text).expect_err(text);
        assert!(refused.starts_with("time_control invalid_format: "), "{refused}");
        assert!(both.iter().all(|one| refused.contains(one)), "{text}: {refused}");
    }
}

#[test]
fn what_is_none_is_refused() {
    let long = "1".repeat(65);
    for (text, code) in [
        ("", "invalid_format"),
        ("?", "invalid_format"),
        ("pgn:?", "invalid_format"),
        ("chess", "invalid_format"),
        ("5+", "invalid_format"),
        ("+3", "invalid_format"),
        ("5+3+1", "invalid_format"),
        ("300:40/9000", "invalid_format"),
        ("1.5x30s", "invalid_format"),
        ("G/60 G/30", "invalid_format"),
        ("30m1h", "invalid_format"),
        ("５+3", "invalid_format"),
        ("5⅓+3", "invalid_format"),
        ("99999999999999999999+1", "invalid_format"),
        ("sgf:600;60 simple", "invalid_format"),
        ("lishogi:10", "invalid_format"),
        ("0+0", "too_small"),
        ("0.5s", "too_small"),
        ("366d", "too_big"),
        ("101x30s", "too_big"),
        ("10m+0x30s", "too_small"),
        ("1001/10m", "too_big"),
        ("7d+1d max 3d", "conflict"),
        (&long, "too_big"),
    ] {
        let refused = object(text).expect_err(text);
        assert!(refused.starts_with(&format!("time_control {code}: ")), "{text}: {refused}");
    }
}
