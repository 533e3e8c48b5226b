//! The fields of requests, for clients that want unknown ones refused
//! (`Prefer: handling=strict`, RFC 7240). Does not know what is in a field.

use super::json_object::{self, Object};
use super::json_values;
use super::validation::{self, FieldProblem, FieldProblems, ProblemCode};

/// The longest name of an unknown field that is quoted, in bytes.
const NAME_LEN_MAX: usize = 128;

/// The fields of a request, and of the objects in its arrays.
#[derive(Clone, Copy, Debug)]
pub struct KnownFields {
    names: &'static [&'static str],
    inside: &'static [(&'static str, &'static [&'static str])],
}

impl KnownFields {
    /// A request that has no fields.
    pub const NONE: Self = Self { names: &[], inside: &[] };

    /// Of a request to create a session.
    pub const CREATE: Self = Self {
        names: &[
            "session_id",
            "sync_mode",
            "participants",
            "total_time_ms",
            "time_per_cycle_ms",
            "increment_ms",
            "max_time_ms",
            "metadata",
            "on_timeout",
            "warn_at_ms",
            "groups",
            "time_control",
        ],
        inside: &[
            (
                "participants",
                &[
                    "participant_id",
                    "participant_index",
                    "total_time_ms",
                    "group_id",
                    "time_control",
                    "multiplier_pct",
                    "extra_ms",
                ],
            ),
            ("groups", &["group_id", "total_time_ms", "time_control", "multiplier_pct", "extra_ms"]),
        ],
    };

    /// Of a switch.
    pub const SWITCH: Self =
        Self { names: &["next_participant_id", "current_participant_id", "expected_version"], inside: &[] };
}

/// Adds a problem for each field that a request does not have.
pub fn unknown_fields(body: &Object<'_>, known: KnownFields, problems: &mut FieldProblems) {
    unknown(body, known.names, "", problems);
    for (array, names) in known.inside {
        let Some(Ok(values)) = body.member(array).map(|value| json_values::array_of(value, 0, usize::MAX)) else {
            continue;
        };
        for (position, value) in values.into_iter().enumerate() {
            if let Ok(object) = json_object::object(value) {
                unknown(&object, names, &format!("{array}.{position}."), problems);
            }
        }
    }
}

fn unknown(object: &Object<'_>, names: &[&str], before: &str, problems: &mut FieldProblems) {
    for name in object.names().filter(|name| !names.contains(&&**name)).take(validation::ENOUGH) {
        validation::add(problems, || {
            let field = format!("{before}{}", told(&name));
            FieldProblem { field, message: "Unknown field".into(), code: ProblemCode::InvalidValue }
        });
    }
}

/// As much of a name as is quoted.
pub(super) fn told(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_LEN_MAX)]
}

#[cfg(test)]
mod tests {
    use super::{KnownFields, unknown_fields};
    use crate::wire::Object;

    fn unknown(body: &str, known: KnownFields) -> Vec<String> {
        let mut problems = Vec::new();
        let object = Object::parse(body.as_bytes(), &mut problems).expect("it is JSON");
        unknown_fields(&object, known, &mut problems);
        problems.into_iter().map(|problem| problem.field).collect()
    }

    #[test]
    fn each_is_told_wherever_it_is() {
        let create = r#"{"session_id":1,"start_at":1,"participants":[{"participant_id":1},{"increment_ms":1,"total_time_ms":1},3],
            "groups":[{"group_id":1,"name":""}],"metadata":{"any":1},"é":1}"#;
        assert_eq!(
            unknown(create, KnownFields::CREATE),
            ["start_at", "é", "participants.1.increment_ms", "groups.0.name"]
        );
        let switch = r#"{"next_participant_id":1,"current_participant_id":1,"expected_version":1,"delay_ms":1}"#;
        assert_eq!(unknown(switch, KnownFields::SWITCH), ["delay_ms"]);
        assert_eq!(unknown(switch, KnownFields::NONE).len(), 4);
        assert!(unknown("", KnownFields::NONE).is_empty());
        let long = format!("{{\"{}\":1}}", "é".repeat(1_000));
        assert_eq!(unknown(&long, KnownFields::NONE)[0].len(), 128);
    }
}
