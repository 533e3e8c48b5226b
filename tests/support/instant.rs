//! Instants as clients read them.

/// Milliseconds since 1970 of an instant such as `2026-01-31T12:00:00.000Z`.
pub fn ms(iso: &serde_json::Value) -> u64 {
    let text = iso.as_str().unwrap_or_else(|| panic!("not an instant: {iso}"));
    assert!(text.len() == 24 && text.ends_with('Z'), "not an instant: {text}");
    let number = |from: usize, to: usize| -> u64 { text[from..to].parse().expect("digits") };
    let (year, month) = (number(0, 4), number(5, 7));
    // Years begin in March, so that the day that some have more is their last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + number(8, 10) - 1;
    let hours = (days - 719_468) * 24 + number(11, 13);
    ((hours * 60 + number(14, 16)) * 60 + number(17, 19)) * 1_000 + number(20, 23)
}

#[test]
fn reads_instants() {
    for (iso, ms) in [
        ("1970-01-01T00:00:00.000Z", 0),
        ("2000-02-29T23:59:59.999Z", 951_868_799_999),
        ("2026-01-31T12:00:00.005Z", 1_769_860_800_005),
    ] {
        assert_eq!(self::ms(&iso.into()), ms, "{iso}");
    }
}
