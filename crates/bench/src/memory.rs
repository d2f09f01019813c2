//! Memory of a process.

use std::{fs, io};

/// Resident memory in bytes (`VmRSS`), with shared libraries and mapped files.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("process {pid} has no VmRSS in /proc")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_includes_written_pages() {
        // Other tests allocate and free at the same time, so only a lower bound is checked.
        let used = std::hint::black_box(vec![1_u8; 64 << 20]);
        let resident = resident(std::process::id()).expect("a Linux with /proc");
        assert!(resident >= used.len() as u64, "{resident}");
    }
}
