//! Content negotiation: how much a client wants each of several forms, by weights (RFC 9110, section 12.4.2). Does not know
//! which forms there are.

use hyper::header::{HeaderMap, HeaderName};

/// How much a client wants each of several, in thousandths: an entry of the list `name` for it, or what `any` matches.
/// `None` when nothing in the list is about it.
pub(super) fn weight(headers: &HeaderMap, name: &HeaderName, is_it: impl Fn(&str) -> Option<u8>) -> Option<u16> {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let entries = values.flat_map(|value| value.split(',')).filter_map(|entry| {
        // How exactly an entry is about it: the most exact one counts.
        let exactness = is_it(entry.trim())?;
        Some((exactness, quality(entry)))
    });
    entries.max_by_key(|(exactness, _)| *exactness).map(|(_, weight)| weight)
}

/// The `q` of an entry; 1 when it has none, 0 when it makes no sense.
fn quality(entry: &str) -> u16 {
    let mut parameters = entry.split(';').skip(1).filter_map(|parameter| parameter.trim().split_once('='));
    match parameters.find(|(name, _)| name.eq_ignore_ascii_case("q")) {
        Some((_, value)) => {
            let number = value.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
            number.map_or(0, |number| (number * 1_000.0) as u16)
        }
        None => 1_000,
    }
}

#[cfg(test)]
mod tests {
    use super::weight;
    use hyper::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

    #[test]
    fn the_most_exact_entry_counts() {
        for (value, expected) in [
            ("gzip", Some(1_000)),
            ("br, gzip;q=0.5", Some(500)),
            ("*;q=0.3", Some(300)),
            ("gzip;q=0, *", Some(0)),
            ("*, gzip ; Q=0.25", Some(250)),
            ("gzip;q=x", Some(0)),
            ("gzip;q=2", Some(0)),
            ("br", None),
            ("", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(value))]);
            let found = weight(&headers, &ACCEPT_ENCODING, |entry| match entry.split(';').next().map(str::trim) {
                Some("gzip") => Some(1),
                Some("*") => Some(0),
                _ => None,
            });
            assert_eq!(found, expected, "{value}");
        }
    }
}
