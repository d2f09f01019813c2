//! What this process takes.

use std::{fs, io};

/// Its resident memory in bytes, that of shared libraries and files included.
pub(super) fn resident() -> io::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes
        .map(|kilobytes| kilobytes * 1024)
        .ok_or_else(|| io::Error::other("/proc/self/status has no VmRSS"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_to_is_seen() {
        const SIZE: usize = 64 * 1024 * 1024;
        let before = resident().expect("it can be read");
        let used = std::hint::black_box(vec![1_u8; SIZE]);
        let after = resident().expect("it can be read");
        assert!(after >= before + SIZE as u64 / 2, "{before} {after}");
        drop(used);
    }
}
