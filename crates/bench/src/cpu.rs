//! Processor time of a server with all its processes.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

/// Processor time of a process and its running descendants. Exited ones are not counted.
pub(crate) fn used(root: u32) -> Duration {
    let parents = parents();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(child, _)| *child));
        next += 1;
    }
    family.into_iter().map(of_process).sum()
}

/// The parent of each process.
fn parents() -> BTreeMap<u32, u32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may contain anything, so it ends with the last parenthesis. State and parent follow.
        let (_, rest) = stat.rsplit_once(')')?;
        Some((pid, rest.split_ascii_whitespace().nth(1)?.parse().ok()?))
    })
    .collect()
}

/// Processor time of the threads of a process: the first number of each `schedstat`, in nanoseconds.
fn of_process(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    let nanos = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn used_grows_with_processor_time() {
        let before = used(std::process::id());
        let mut sum = 0_u64;
        while used(std::process::id()) < before + Duration::from_millis(5) {
            sum = std::hint::black_box((0..100_000).fold(sum, u64::wrapping_add));
        }
        assert!(
            parents()
                .get(&std::process::id())
                .is_some_and(|parent| *parent == std::os::unix::process::parent_id())
        );
    }
}
