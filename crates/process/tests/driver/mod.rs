//! Runs the example and waits for the lines it prints.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use impresario_sys::{Pid, PidFd, Signal, wait_readable};

/// Upper bound of every wait. On a busy machine an event may take seconds.
const TIMEOUT: Duration = Duration::from_secs(20);

/// A running tree. Drop kills main; the kernel then kills all its descendants.
pub(crate) struct Tree {
    child: Child,
    lines: Receiver<String>,
    /// All lines so far; a failing test prints them.
    seen: Vec<String>,
    /// The last pid of each process name.
    pids: BTreeMap<String, i32>,
}

impl Tree {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(example()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, seen: Vec::new(), pids: BTreeMap::new() }
    }

    /// Starts the example and waits until all its processes are up.
    pub(crate) fn ready(arguments: &[&str]) -> Self {
        let mut tree = Self::start(arguments);
        tree.expect("tree is ready");
        for name in ["shop worker 0", "shop worker 1", "router"] {
            if !tree.pids.contains_key(name) {
                tree.expect(&format!("up {name} "));
            }
        }
        tree
    }

    pub(crate) fn main(&self) -> i32 {
        self.child.id() as i32
    }

    /// The last pid that was printed for this name.
    pub(crate) fn pid(&self, name: &str) -> i32 {
        *self.pids.get(name).unwrap_or_else(|| panic!("no pid of {name} yet: {:#?}", self.seen))
    }

    /// Waits for the next line that contains this text.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) => {
                    self.note(&line);
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("no line contains {text:?}: {:#?}", self.seen),
            }
        }
    }

    /// Waits until each of these texts was printed, in any order.
    pub(crate) fn expect_all(&mut self, texts: &[String]) {
        let mut missing: Vec<&String> = texts.iter().collect();
        while !missing.is_empty() {
            let Ok(line) = self.lines.recv_timeout(TIMEOUT) else {
                panic!("no lines contain {missing:?}: {:#?}", self.seen);
            };
            self.note(&line);
            missing.retain(|text| !line.contains(text.as_str()));
        }
    }

    /// Waits until `count` lines contain this text and returns them.
    pub(crate) fn expect_so_far(&mut self, text: &str, count: usize) -> Vec<String> {
        loop {
            let found: Vec<String> = self.seen.iter().filter(|line| line.contains(text)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            self.expect(text);
        }
    }

    /// Whether a line so far contains this text.
    pub(crate) fn has_seen(&self, text: &str) -> bool {
        self.seen.iter().any(|line| line.contains(text))
    }

    /// Waits until a process with this name and incarnation is up, and returns its pid.
    pub(crate) fn expect_up(&mut self, name: &str, incarnation: u32) -> i32 {
        loop {
            let line = self.expect(&format!("up {name}"));
            if line.ends_with(&format!(" incarnation {incarnation}")) {
                return pid_after(&line, "up ").unwrap().1;
            }
        }
    }

    /// Waits until the parent of a process logs that it is ready.
    pub(crate) fn expect_ready(&mut self, name: &str) {
        self.expect(&format!("ready, child: {name}, child_pid: "));
    }

    fn note(&mut self, line: &str) {
        if let Some((name, pid)) = pid_after(line, "up ") {
            self.pids.insert(name, pid);
        }
        if let Some((_, child)) = line.split_once("ready, child: ")
            && let Some((name, pid)) = child.split_once(", child_pid: ")
        {
            let digits: String = pid.chars().take_while(char::is_ascii_digit).collect();
            self.pids.insert(name.to_owned(), digits.parse().unwrap());
        }
        self.seen.push(line.to_owned());
    }

    pub(crate) fn signal_main(&self, signal: Signal) {
        PidFd::open(Pid::from_raw(self.main())).unwrap().send_signal(signal).unwrap();
    }

    pub(crate) fn kill(&self, pid: i32) {
        PidFd::open(Pid::from_raw(pid)).unwrap().send_signal(Signal::SIGKILL).unwrap();
    }

    pub(crate) fn expect_dead(&self, pid: i32) {
        // ESRCH: the process has been reaped already.
        let Ok(pidfd) = PidFd::open(Pid::from_raw(pid)) else { return };
        assert!(wait_readable(&pidfd, Some(TIMEOUT)).unwrap(), "process {pid} has not exited");
    }

    /// Waits until all processes that share the stdout have exited.
    pub(crate) fn expect_all_exited(&mut self) {
        loop {
            match self.lines.recv_timeout(TIMEOUT) {
                Ok(line) => self.note(&line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("a process has not exited: {:#?}", self.seen),
            }
        }
    }

    /// Waits until all processes have exited, main with this code.
    pub(crate) fn expect_exit(&mut self, code: i32) {
        let found = self.exit_code();
        assert_eq!(found, Some(code), "{:#?}", self.seen);
    }

    /// Waits until all processes have exited, and returns the code of main.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.expect_all_exited();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The name and pid in `up shop worker 0 123 ...`.
fn pid_after(line: &str, word: &str) -> Option<(String, i32)> {
    let mut words: Vec<&str> = line.strip_prefix(word)?.split(' ').collect();
    if let Some(index) = words.iter().position(|word| *word == "incarnation") {
        words.truncate(index);
    }
    let pid = words.pop()?.parse().ok()?;
    Some((words.join(" "), pid))
}

/// The path of the example. Cargo builds it before it runs the tests of the package.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join("processes")
}
