//! How much memory this process may take: what the machine has, or less where a control group says so. Reads what the kernel
//! shows (proc(5), cgroups(7)); does not know what the memory is for.

use std::path::{Path, PathBuf};

/// What is assumed where the kernel shows nothing.
const UNKNOWN: usize = 1 << 30;

/// Bytes of memory that this process may take.
pub fn bytes() -> usize {
    within(Path::new("/"))
}

fn within(root: &Path) -> usize {
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    let machine = read(root.join("proc/meminfo")).and_then(|text| total(&text));
    let group = read(root.join("proc/self/cgroup")).and_then(|text| group_path(&text).map(str::to_owned));
    let tree = root.join("sys/fs/cgroup");
    let own = tree.join(group.unwrap_or_default().trim_start_matches('/'));
    // A group has no more than those that it is in. Of version 1 there is a tree for memory alone.
    let unified = own.ancestors().take_while(|path| path.starts_with(&tree)).map(|path| path.join("memory.max"));
    let first = std::iter::once(tree.join("memory/memory.limit_in_bytes"));
    let groups = unified.chain(first).filter_map(|path| read(path)?.trim().parse::<usize>().ok());
    machine.into_iter().chain(groups).min().unwrap_or(UNKNOWN)
}

/// The machine's memory, which the kernel shows in kB.
fn total(meminfo: &str) -> Option<usize> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1_024)
}

/// The group that this process is in.
fn group_path(groups: &str) -> Option<&str> {
    groups.lines().find_map(|line| line.strip_prefix("0::"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{UNKNOWN, bytes, within};

    #[test]
    fn the_least_that_anybody_says_counts() {
        let root = std::env::temp_dir().join(format!("synckairos-memory-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().expect("it is in a directory")).expect("there is room");
            fs::write(path, text).expect("there is room");
        };
        assert_eq!(within(&root), UNKNOWN);
        write("proc/meminfo", "MemTotal:        8000000 kB\nMemFree:  1 kB\n");
        assert_eq!(within(&root), 8_000_000 * 1_024);
        write("proc/self/cgroup", "0::/a/b\n");
        write("sys/fs/cgroup/a/b/memory.max", "max\n");
        assert_eq!(within(&root), 8_000_000 * 1_024);
        write("sys/fs/cgroup/a/memory.max", "536870912\n");
        assert_eq!(within(&root), 536_870_912);
        write("sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n");
        assert_eq!(within(&root), 268_435_456);
        fs::remove_dir_all(&root).expect("it is ours");
        assert!(bytes() > 1 << 20);
    }
}
