//! An instance's lease as text: a name and a value on each line. Unknown names are ignored, so that newer versions may add
//! some. Does not know where it is stored.

use std::collections::BTreeMap;
use std::fmt::Write;

/// An instance's lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Where it listens.
    pub name: String,
    /// The program's.
    pub version: String,
    /// The newest format of states that it reads, and all before it.
    pub formats_max: u8,
    /// What must be equal on all.
    pub fingerprint: Fingerprint,
}

/// Settings that must be equal on all instances, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fingerprint(BTreeMap<String, String>);

impl<const N: usize> From<[(&str, String); N]> for Fingerprint {
    fn from(all: [(&str, String); N]) -> Self {
        let mut fingerprint = Self::default();
        all.into_iter().for_each(|(name, value)| fingerprint.set(name, value));
        fingerprint
    }
}

impl Fingerprint {
    /// Adds a setting. A name ends with the first space of its line, so that it has none itself.
    pub(super) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.replace(char::is_whitespace, "_"), value);
    }

    /// What both know and is not the same.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let (name, here, there) = self.0.iter().find_map(|(name, here)| {
            let there = other.0.get(name).filter(|there| *there != here)?;
            Some((name, here, there))
        })?;
        Some(format!("{name} is {here} here and {there} there"))
    }
}

const EQUAL: &str = "equal.";

impl Lease {
    /// As it is kept.
    pub(super) fn text(&self) -> String {
        let Self { name, version, formats_max, fingerprint } = self;
        let mut text = format!("name {}\nversion {}\nformats_max {formats_max}\n", line(name), line(version));
        for (name, value) in &fingerprint.0 {
            let _ = writeln!(text, "{EQUAL}{name} {}", line(value));
        }
        text
    }

    /// What was kept.
    pub(super) fn read(text: &str) -> Self {
        let mut lease = Self { formats_max: 1, ..Self::default() };
        for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            match name {
                "name" => value.clone_into(&mut lease.name),
                "version" => value.clone_into(&mut lease.version),
                "formats_max" => lease.formats_max = value.parse().unwrap_or(1),
                _ => {
                    if let Some(name) = name.strip_prefix(EQUAL) {
                        lease.fingerprint.set(name, value.to_owned());
                    }
                }
            }
        }
        lease
    }
}

fn line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::{Fingerprint, Lease};

    #[test]
    fn what_is_written_is_read_and_what_is_not_known_is_passed_over() {
        let fingerprint = Fingerprint::from([("AUDIT", "on".to_owned()), ("in a zone", "7 / 16384".to_owned())]);
        let lease = Lease { name: "a:1".into(), version: "2.0.0".into(), formats_max: 2, fingerprint };
        assert_eq!(Lease::read(&lease.text()), lease);
        assert_eq!(Lease::read(&format!("{}zone eu\nnonsense\n", lease.text())), lease);
        assert_eq!(Lease::read("garbage").formats_max, 1);
    }
}
