//! Process data of `/proc`. Every function returns an `Option` or an empty list, because a process may exit
//! at any time.

use std::collections::HashSet;
use std::fs;

/// The pids of all processes with this environment variable: a program and all its descendants, even after a
/// change of parent. A zombie has no environment, so it is not listed.
#[must_use]
pub fn marked(name: &str, value: &str) -> Vec<u32> {
    let mark = format!("{name}={value}");
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut pids: Vec<u32> = entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| has_variable(*pid, mark.as_bytes()))
        .collect();
    pids.sort_unstable();
    pids
}

fn has_variable(pid: u32, mark: &[u8]) -> bool {
    fs::read(format!("/proc/{pid}/environ"))
        .is_ok_and(|environment| environment.split(|byte| *byte == 0).any(|variable| variable == mark))
}

/// Pid of the parent.
#[must_use]
pub fn parent(pid: u32) -> Option<u32> {
    field(pid, 1)?.parse().ok()
}

/// Returns whether it has exited and its parent has not waited for it.
#[must_use]
pub fn is_zombie(pid: u32) -> bool {
    field(pid, 0).is_some_and(|state| state == "Z")
}

/// Number of open descriptors.
#[must_use]
pub fn descriptors(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
}

/// Number of its TCP connections with this local port.
#[must_use]
pub fn connections(pid: u32, port: u16) -> Option<usize> {
    let held: HashSet<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .ok()?
        .filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.to_str()?.to_owned()))
        .collect();
    let local = format!(":{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").ok()?;
    let is_held = |line: &&str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // Columns of `/proc/net/tcp`: 2 is the local address, 4 the state (0A is LISTEN), 10 the inode.
        let [_, address, _, state, _, _, _, _, _, inode, ..] = fields.as_slice() else { return false };
        address.ends_with(&local) && *state != "0A" && held.contains(&format!("socket:[{inode}]"))
    };
    Some(table.lines().filter(is_held).count())
}

/// Returns whether all threads sleep, so everything that reached it has been handled.
#[must_use]
pub fn is_idle(pid: u32) -> Option<bool> {
    all_threads_are(pid, 'S')
}

/// Returns whether a signal has stopped all threads.
#[must_use]
pub fn is_frozen(pid: u32) -> Option<bool> {
    all_threads_are(pid, 'T')
}

/// Returns whether all threads are in this state (`proc_pid_stat(5)`).
fn all_threads_are(pid: u32, state: char) -> Option<bool> {
    let mut threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    Some(threads.all(|thread| {
        let stat = thread.and_then(|thread| fs::read_to_string(thread.path().join("stat")));
        let after_name = stat.as_ref().ok().and_then(|stat| stat.rsplit_once(") "));
        after_name.is_some_and(|(_, rest)| rest.starts_with(state))
    }))
}

/// Number of threads.
#[must_use]
pub fn threads(pid: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{pid}/task")).ok()?.count())
}

/// Processor time of it and of the children that it waited for, in clock ticks of 1/100 s.
#[must_use]
pub fn ticks(pid: u32) -> Option<u64> {
    // `utime`, `stime`, `cutime` and `cstime` are fields 14 to 17 of `stat(5)`. `field` counts from field 3,
    // the state.
    (11..=14).map(|index| field(pid, index)?.parse::<u64>().ok()).sum()
}

/// A field of `/proc/<pid>/stat`, counted from the one after the name. The name may contain spaces.
fn field(pid: u32, index: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    Some(after_name.split_ascii_whitespace().nth(index)?.to_owned())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::parent_id;
    use std::process::{Command, Stdio, id};
    use std::time::Instant;

    use super::*;

    #[test]
    fn procfs_describes_this_process() {
        assert_eq!(parent(id()), Some(parent_id()));
        assert!(!is_zombie(id()));
        assert!(descriptors(id()).is_some_and(|count| count >= 3));
        assert!(threads(id()).is_some_and(|count| count >= 2), "the harness has a thread for each test");
        assert!(ticks(id()).is_some());
    }

    #[test]
    fn connections_counts_accepted_ones_of_the_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the socket is bound");
        assert_eq!(connections(id(), address.port()), Some(0), "a listening socket is none");
        let client = std::net::TcpStream::connect(address).expect("the program listens");
        let accepted = listener.accept().expect("it was connected to");
        assert_eq!(connections(id(), address.port()), Some(1));
        drop((client, accepted));
        assert_eq!(connections(id(), address.port()), Some(0));
        assert_eq!(is_idle(id()), Some(false), "this very thread runs");
    }

    #[test]
    fn marked_finds_children_and_grandchildren() {
        let value = format!("procfs-{}", id());
        let mut child = Command::new("sh")
            .args(["-c", "sleep 600 & echo started; wait"])
            .env("IMPRESARIO_TESTKIT", &value)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh runs");
        let mut line = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().expect("piped"));
        std::io::BufRead::read_line(&mut stdout, &mut line).expect("the script prints a line");

        // During its `exec`, the grandchild has no readable environment.
        let end = Instant::now() + crate::limits::DEADLINE;
        let mut found = Vec::new();
        while found.len() != 2 && Instant::now() < end {
            found = marked("IMPRESARIO_TESTKIT", &value);
        }
        assert!(found.contains(&child.id()) && found.len() == 2, "found {found:?}");
        for pid in found {
            let process = crate::process::Process::open(pid).expect("the process runs");
            process.signal(rustix::process::Signal::KILL).expect("SIGKILL can be sent");
            assert!(process.exits_within(crate::limits::DEADLINE));
        }
        assert!(is_zombie(child.id()));
        child.wait().expect("the child can be waited for");
        assert!(marked("IMPRESARIO_TESTKIT", &value).is_empty());
    }
}
