//! Reads settings one by one: from what was given by itself, from the file that `NAME_FILE` names, or the default; collects
//! what is wrong with them. Does not know what the values do.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::{self, SecretSource};

use super::settings::{SETTINGS, Setting, SettingKind};

/// Reads settings through a function, and collects what is wrong with them.
pub(super) struct SettingsReader<L> {
    lookup: L,
    problems: Vec<String>,
}

impl<L: Fn(&str) -> Option<String>> SettingsReader<L> {
    pub(super) fn new(lookup: L) -> Self {
        Self { lookup, problems: Vec::new() }
    }

    /// What was read, if nothing was wrong with it.
    pub(super) fn end<T>(self, read: T) -> Result<T, Vec<String>> {
        if self.problems.is_empty() { Ok(read) } else { Err(self.problems) }
    }

    /// Something is wrong with a setting.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// How many problems there are so far.
    pub(super) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// A value without white space around it; an empty one is none.
    fn value(&self, name: &str) -> Option<String> {
        let value = (self.lookup)(name)?;
        let value = value.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    /// In whichever way.
    pub(super) fn is_given(&self, name: &str) -> bool {
        self.value(name).or_else(|| self.value(&format!("{name}_FILE"))).is_some()
    }

    /// The file that holds a setting, if one does.
    fn file_of(&mut self, name: &str) -> Option<PathBuf> {
        let is_file = |setting: &Setting| setting.name == name && setting.kind == SettingKind::File;
        if SETTINGS.iter().any(is_file) {
            return None;
        }
        let path = self.value(&format!("{name}_FILE"))?;
        if self.value(name).is_some() {
            self.problems.push(format!("{name}_FILE: {name} is given too; unset one"));
            return None;
        }
        Some(PathBuf::from(path))
    }

    /// A setting, as it was given by itself or in a file.
    pub(super) fn given(&mut self, name: &str) -> Option<String> {
        let Some(path) = self.file_of(name) else { return self.value(name) };
        let text = secret::read(&path);
        text.map(|text| text.to_string()).map_err(|why| self.problems.push(format!("{name}_FILE: {why}"))).ok()
    }

    /// A secret, and where it comes from.
    pub(super) fn secret(&mut self, name: &str) -> Option<SecretSource> {
        let Some(path) = self.file_of(name) else { return self.value(name).map(|text| SecretSource::given(&text)) };
        let source = SecretSource::file(&path);
        source.map_err(|why| self.problems.push(format!("{name}_FILE: {why}"))).ok()
    }

    pub(super) fn parse<T>(&mut self, name: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let default = || SETTINGS.iter().find(|setting| setting.name == name).map(|setting| setting.default.to_owned());
        let text = self.given(name).or_else(default)?;
        let value = parse(&text);
        if value.is_none() {
            self.problems.push(format!("{name}: {text:?} is not {expected}"));
        }
        value
    }

    /// The same, without a default.
    pub(super) fn parse_given<T>(
        &mut self,
        name: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.given(name)?;
        let value = parse(&text);
        if value.is_none() {
            self.problems.push(format!("{name}: {text:?} is not {expected}"));
        }
        value
    }

    pub(super) fn count(&mut self, name: &str, least: u32) -> u32 {
        const MOST: u32 = 100_000_000;
        let expected = format!("a whole number from {least} to {MOST}");
        let within = |count: &u32| (least..=MOST).contains(count);
        self.parse(name, &expected, |text| text.parse::<u32>().ok().filter(within)).unwrap_or_default()
    }

    pub(super) fn lifetime(&mut self, name: &str) -> Duration {
        const MOST: u64 = 31_536_000;
        let expected = format!("a whole number of seconds from 1 to {MOST}");
        let within = |seconds: &u64| (1..=MOST).contains(seconds);
        let seconds = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(within));
        Duration::from_secs(seconds.unwrap_or_default())
    }

    pub(super) fn seconds(&mut self, name: &str) -> Duration {
        const MOST: u64 = 3_600;
        let expected = format!("a whole number of seconds from 0 to {MOST}");
        let seconds = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(|s| *s <= MOST));
        Duration::from_secs(seconds.unwrap_or_default())
    }

    pub(super) fn millis(&mut self, name: &str) -> Duration {
        const MOST: u64 = 3_600_000;
        let expected = format!("a whole number of milliseconds from 1 to {MOST}");
        let within = |ms: &u64| (1..=MOST).contains(ms);
        let ms = self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(within));
        Duration::from_millis(ms.unwrap_or_default())
    }

    pub(super) fn bytes(&mut self, name: &str, least: u64) -> u64 {
        let expected = format!("a whole number of bytes, at least {least}");
        let is_enough = |bytes: &u64| *bytes >= least;
        self.parse(name, &expected, |text| text.parse::<u64>().ok().filter(is_enough)).unwrap_or_default()
    }

    /// A file that can be read.
    pub(super) fn file(&mut self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.given(name)?);
        if let Err(error) = std::fs::File::open(&path) {
            self.problems.push(format!("{name}: {}: {error}", path.display()));
        }
        Some(path)
    }
}
