//! Queries of URLs, percent-decoded (RFC 3986, section 2.1). Does not know what they ask for.

use std::borrow::Cow;

/// The value of the first parameter of a name.
pub fn parameter<'q>(query: &'q str, name: &str) -> Option<Cow<'q, str>> {
    parameters(query).find(|(key, _)| key == name).map(|(_, value)| value)
}

/// Every parameter, with an empty value when it has none.
pub(super) fn parameters(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(name, value)| (decoded(name), decoded(value)))
}

/// A percent sign that no two hex digits follow stands for itself, as does a plus. What is no UTF-8 is no text.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let byte = match (first, after) {
            (b'%', [high, low, ..]) => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        bytes.push(byte.unwrap_or(*first));
        rest = &after[if byte.is_some() { 2 } else { 0 }..];
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

fn digit(hex: u8) -> Option<u8> {
    char::from(hex).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::parameter;

    #[test]
    fn is_decoded_once() {
        for (query, value) in [
            ("a=1", Some("1")),
            ("b=2&a=1&a=3", Some("1")),
            ("%61=%31", Some("1")),
            ("a=1%2e2%2E3", Some("1.2.3")),
            ("a=%2531", Some("%31")),
            ("a=1+2", Some("1+2")),
            ("a=%c3%A9", Some("é")),
            ("a=%ff", Some("\u{fffd}")),
            ("a=%", Some("%")),
            ("a=%4", Some("%4")),
            ("a=%zz%31", Some("%zz1")),
            ("a=b=c", Some("b=c")),
            ("a", Some("")),
            ("a=", Some("")),
            ("&&a=1", Some("1")),
            ("b=a=1", None),
            ("", None),
        ] {
            assert_eq!(parameter(query, "a").as_deref(), value, "{query}");
        }
    }
}
