//! What a process takes.

use std::{fs, io};

/// Its resident memory in bytes, that of shared libraries and files included.
pub(crate) fn resident(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().next()?.parse::<u64>().ok());
    kib.map(|kib| kib * 1024).ok_or_else(|| io::Error::other(format!("process {pid} tells no VmRSS")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_includes_written_pages() {
        // Other tests take and give memory meanwhile.
        let used = std::hint::black_box(vec![1_u8; 64 << 20]);
        let resident = resident(std::process::id()).expect("a Linux with /proc");
        assert!(resident >= used.len() as u64, "{resident}");
    }
}
