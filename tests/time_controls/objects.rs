//! Controls as objects.

use super::{read, written};

#[track_caller]
fn refused(json: &str, problems: &[&str]) {
    let json = json.replace('\'', "\"");
    let told = read(&json).expect_err(&json);
    let told: Vec<_> = told.split(" | ").map(|one| one.split(": ").next().unwrap_or_default()).collect();
    assert_eq!(told, problems, "{json}");
}

#[test]
fn defaults_are_filled_in() {
    for (given, whole) in [
        (
            "{'system':'fischer','base_ms':6e4,'increment_ms':1}",
            "{'system':'fischer','base_ms':60000,'increment_ms':1,'increment_at':'end'}",
        ),
        ("{'system':'correspondence','move_ms':86400000}", "{'system':'per_move','move_ms':86400000}"),
        (
            "{'system':'correspondence','move_ms':86400000,'cap_ms':604800000}",
            "{'system':'fischer','base_ms':604800000,'increment_ms':86400000,'cap_ms':604800000,'increment_at':'end'}",
        ),
        (
            "{'system':'overtime','base_ms':60000}",
            "{'system':'overtime','base_ms':60000,'overtime_ms':null,'increment_ms':0}",
        ),
        ("{'system':'stages','stages':[{'system':'absolute','base_ms':5000}]}", "{'system':'absolute','base_ms':5000}"),
    ] {
        let [given, whole] = [given, whole].map(|json| json.replace('\'', "\""));
        assert_eq!(read(&given).map(|control| written(&control.expect("there is one"))), Ok(whole));
    }
}

#[test]
fn each_problem_is_at_its_member() {
    refused("7", &["time_control invalid_type"]);
    refused("null", &["time_control invalid_type"]);
    refused("{}", &["time_control.system invalid_type"]);
    refused("{'system':'blitz'}", &["time_control.system invalid_value"]);
    refused("{'system':'absolute'}", &["time_control.base_ms invalid_type"]);
    refused("{'system':'absolute','base_ms':999}", &["time_control too_small"]);
    refused("{'system':'absolute','base_ms':31536000001}", &["time_control.base_ms too_big"]);
    refused("{'system':'absolute','base_ms':1000,'delay_ms':1}", &["time_control.delay_ms invalid_value"]);
    refused(
        "{'system':'fischer','base_ms':5000,'increment_ms':604800001,'cap_ms':4999}",
        &["time_control.increment_ms too_big", "time_control.cap_ms conflict"],
    );
    refused(
        "{'system':'overtime','base_ms':5000,'penalty':{'per_ms':0,'points':1}}",
        &["time_control.penalty.per_ms too_small"],
    );
    refused(
        "{'system':'bronstein','base_ms':5000,'delay_ms':1,'flag_at':'end'}",
        &["time_control.flag_at invalid_value"],
    );
}

#[test]
fn stages_stand_where_they_may() {
    let stages = |stages: &str| format!("{{'system':'stages','stages':[{stages}]}}");
    let last = "{'system':'absolute','base_ms':5000}";
    refused(&stages(""), &["time_control.stages too_small"]);
    refused(&stages(&[last; 9].join(",")), &["time_control.stages too_big"]);
    for system in [
        "'byoyomi','base_ms':5000,'period_ms':1000,'periods':1",
        "'canadian','base_ms':5000,'period_ms':1000,'moves':1",
        "'per_move','move_ms':5000",
        "'overtime','base_ms':5000",
        "'hourglass','base_ms':5000",
    ] {
        let first = stages(&format!("{{'system':{system}}},{last}"));
        refused(&first, &["time_control.stages.0.system conflict"]);
    }
    refused(&stages("{'moves':3,'system':'absolute','base_ms':5000}"), &["time_control.stages.0.moves conflict"]);
    refused(
        &stages(&format!("{last},{{'moves':3,'system':'absolute','base_ms':5000}}")),
        &["time_control.stages.1.moves conflict"],
    );
    refused(
        "{'system':'stages','repeat':true,'stages':[{'system':'absolute','base_ms':5000}]}",
        &["time_control.stages.0.moves conflict"],
    );
    refused(
        &stages(&format!("{{'system':'absolute','base_ms':999}},{last}")),
        &["time_control.stages.0.base_ms too_small"],
    );
    refused(&stages(&format!("{},{last}", stages(last))), &["time_control.stages.0.system invalid_value"]);
}
