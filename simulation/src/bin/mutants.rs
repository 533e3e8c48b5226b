//! Runs mutants: builds the server with one bug at a time, in a copy of the project, and lets first the seeds and then the
//! unit tests find it. Prints a row of a table for each; fails when one is not found.
//!
//! ```text
//! cargo run -p simulation --bin mutants              all of them
//! cargo run -p simulation --bin mutants -- 2/5       the second of five parts
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Output};

use simulation::mutants::{MUTANTS, Mutant};

/// Seeds that are tried on each.
const SEEDS: &str = "3000";
/// What is not copied.
const LEFT_OUT: [&str; 2] = ["target", ".git"];

fn main() -> ExitCode {
    let Some((part, parts)) = part(std::env::args().nth(1).as_deref()) else {
        eprintln!("usage: mutants [PART/PARTS], such as 2/5");
        return ExitCode::from(2);
    };
    match run(part, parts) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(alive) => {
            eprintln!("{alive} were not found");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Which part of how many, from 1 on.
fn part(given: Option<&str>) -> Option<(usize, usize)> {
    let Some(given) = given else { return Some((1, 1)) };
    let (part, parts) = given.split_once('/')?;
    let (part, parts) = (part.parse().ok()?, parts.parse().ok()?);
    (1..=parts).contains(&part).then_some((part, parts))
}

/// Runs a part; returns how many were not found.
fn run(part: usize, parts: usize) -> io::Result<usize> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let work = root.join("target/mutants");
    let tree = work.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    copy(&root, &tree)?;
    println!("| mutant | found by | after so many seeds |\n|---|---|---|");
    let mut alive = 0;
    for mutant in MUTANTS.iter().skip(part - 1).step_by(parts) {
        let found = find(mutant, &tree, &work.join("build"))?;
        alive += usize::from(found.is_none());
        let found = found.unwrap_or_else(|| "**nothing** | ".to_owned());
        println!("| {} | {found} |", mutant.name);
    }
    Ok(alive)
}

/// What finds a mutant, as two cells of a table.
fn find(mutant: &Mutant, tree: &Path, build: &Path) -> io::Result<Option<String>> {
    let path = tree.join(mutant.file);
    let text = fs::read_to_string(&path)?;
    fs::write(&path, text.replacen(mutant.from, mutant.to, 1))?;
    let found = test(mutant, tree, build);
    fs::write(&path, text)?;
    found
}

fn test(mutant: &Mutant, tree: &Path, build: &Path) -> io::Result<Option<String>> {
    let cargo = |args: &[&str]| {
        let mut command = Command::new("cargo");
        command.args(args).current_dir(tree).env("CARGO_TARGET_DIR", build);
        // What only a mutant leaves unused is no fault.
        command.env("RUSTFLAGS", "--cap-lints allow").env("FIRST_FAILURE", "1").env("SEEDS", SEEDS).output()
    };
    let seeds = cargo(&["test", "--locked", "-p", "simulation", "--test", "seeds", "--", "--nocapture"])?;
    if let Some(found) = line_after(&seeds, "first failure: ") {
        let (check, seed) = found.split_once(' ').unwrap_or((&found, ""));
        return Ok(Some(format!("`{check}` | {seed}")));
    }
    let unit = cargo(&["test", "--locked", "--lib"])?;
    if let Some(name) = String::from_utf8_lossy(&unit.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED").map(str::to_owned))
    {
        return Ok(Some(format!("unit test `{name}` | ")));
    }
    if !seeds.status.success() || !unit.status.success() {
        let said = String::from_utf8_lossy(&unit.stderr).into_owned();
        return Err(io::Error::other(format!("{} cannot be built: {said}", mutant.name)));
    }
    Ok(None)
}

fn line_after(output: &Output, beginning: &str) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().find_map(|line| line.strip_prefix(beginning)).map(str::to_owned)
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, target): (_, PathBuf) = (entry.file_name(), to.join(entry.file_name()));
        if LEFT_OUT.iter().any(|left_out| name == *left_out) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
