//! Pages in Markdown: their blocks of code, their links and headings. Does not know what they are about.

use std::fs;
use std::path::{Path, PathBuf};

/// A block of code.
#[derive(Clone, Debug)]
pub struct Block {
    /// The page's path in the repository.
    pub page: String,
    /// Of its first line, from 1.
    pub line: usize,
    pub text: String,
    /// What a fence says of it; nothing of an indented one.
    pub language: Option<String>,
}

impl Block {
    /// Whether it is typed into a shell, and not something that a program prints or reads.
    pub fn is_typed(&self) -> bool {
        const PROGRAMS: [&str; 17] = [
            "brew",
            "cargo",
            "createdb",
            "curl",
            "docker",
            "export",
            "helm",
            "kubectl",
            "nix",
            "npm",
            "pip",
            "psql",
            "redis-cli",
            "redis-server",
            "sudo",
            "synckairos",
            "systemctl",
        ];
        match self.language.as_deref() {
            Some("sh" | "bash" | "shell" | "console") => true,
            Some(_) => false,
            None => {
                let is_value = |word: &str| {
                    word.split_once('=').is_some_and(|(name, _)| {
                        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                    })
                };
                let word = self.text.split_whitespace().find(|word| !is_value(word));
                let first = self.text.split_whitespace().next().is_some_and(is_value);
                match word {
                    Some(word) => {
                        PROGRAMS.contains(&word) || word.starts_with("tests/") || word.starts_with("packaging/")
                    }
                    None => first,
                }
            }
        }
    }

    pub fn is(&self, page: &str, start: &str) -> bool {
        self.page == page && self.text.starts_with(start)
    }
}

fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.ancestors().nth(2).expect("it is in the repository").to_owned()
}

/// A page of the repository.
pub fn text(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every page that belongs to the repository.
pub fn all() -> Vec<String> {
    let mut pages = Vec::new();
    add(&root(), &mut pages);
    pages.sort();
    assert!(pages.len() > 8, "{pages:?}");
    pages
}

fn add(directory: &Path, pages: &mut Vec<String>) {
    for entry in fs::read_dir(directory).expect("it can be read") {
        let path = entry.expect("it can be read").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("it is text");
        if path.is_dir() && !["target", "node_modules"].contains(&name) && !name.starts_with('.') {
            add(&path, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let path = path.strip_prefix(root()).expect("it is inside");
            pages.push(path.to_str().expect("it is text").to_owned());
        }
    }
}

/// The blocks of a page, in order.
pub fn blocks(page: &str) -> Vec<Block> {
    let text = text(page);
    let mut blocks: Vec<Block> = Vec::new();
    let (mut is_open, mut was_blank) = (false, true);
    let mut fence = None;
    for (at, line) in text.lines().enumerate() {
        let new = |text: &str, language| Block { page: page.to_owned(), line: at + 1, text: text.to_owned(), language };
        if let Some(language) = line.strip_prefix("```") {
            fence = match fence {
                Some(()) => None,
                None => {
                    blocks.push(new("", Some(language.trim().to_owned())));
                    Some(())
                }
            };
            is_open = false;
        } else if fence.is_some() {
            let block = blocks.last_mut().expect("it was opened");
            block.text += line;
            block.text.push('\n');
        } else if let Some(code) = line.strip_prefix("    ").filter(|_| is_open || was_blank) {
            match blocks.last_mut().filter(|_| is_open) {
                Some(block) => block.text += &format!("{code}\n"),
                None => blocks.push(new(&format!("{code}\n"), None)),
            }
            is_open = true;
        } else {
            // A list's paragraphs are indented too, and are no code.
            is_open = false;
        }
        was_blank = line.trim().is_empty();
    }
    blocks
}

/// Where a page's links lead that are not to other places: the target, such as `../run/redis.md#how-large`.
pub fn links(text: &str) -> Vec<String> {
    let mut is_code = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with("    ")
    });
    let targets = prose.flat_map(|line| line.split("](").skip(1)).filter_map(|rest| rest.split([')', ' ']).next());
    let targets = targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"));
    targets.map(str::to_owned).collect()
}

/// What a heading is called in a link.
pub fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| -> String {
        let kept = heading.chars().filter(|next| next.is_alphanumeric() || " -_".contains(*next));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(anchor).collect()
}
