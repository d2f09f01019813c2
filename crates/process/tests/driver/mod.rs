//! Runs the example and waits for what it says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use impresario_sys::{Pid, PidFd, Signal};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// No event of these tests takes longer, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(20);

/// A running tree. Dropping it ends it.
pub(crate) struct Tree {
    child: Child,
    lines: Receiver<String>,
    /// What was said, for the message of a test that fails.
    said: Vec<String>,
    /// The pid that each name had last.
    pids: BTreeMap<String, i32>,
}

impl Tree {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(example()).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { child, lines, said: Vec::new(), pids: BTreeMap::new() }
    }

    /// Starts it and waits until all of it is up.
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

    /// The pid that this process said last.
    pub(crate) fn pid(&self, name: &str) -> i32 {
        *self.pids.get(name).unwrap_or_else(|| panic!("{name} said nothing yet: {:#?}", self.said))
    }

    /// The next line that contains this text.
    pub(crate) fn expect(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => {
                    self.note(&line);
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(_) => panic!("nobody said {text:?}: {:#?}", self.said),
            }
        }
    }

    /// Waits until each of these texts was said, in whatever order.
    pub(crate) fn expect_all(&mut self, texts: &[String]) {
        let mut missing: Vec<&String> = texts.iter().collect();
        while !missing.is_empty() {
            let Ok(line) = self.lines.recv_timeout(LIMIT) else {
                panic!("nobody said {missing:?}: {:#?}", self.said);
            };
            self.note(&line);
            missing.retain(|text| !line.contains(text.as_str()));
        }
    }

    /// All lines so far that contain this text, once there are so many.
    pub(crate) fn expect_so_far(&mut self, text: &str, count: usize) -> Vec<String> {
        loop {
            let found: Vec<String> = self.said.iter().filter(|line| line.contains(text)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            self.expect(text);
        }
    }

    /// Waits until a process with this name is up in this life; its pid.
    pub(crate) fn expect_up(&mut self, name: &str, life: u32) -> i32 {
        loop {
            let line = self.expect(&format!("up {name}"));
            if line.ends_with(&format!(" life {life}")) {
                return pid_after(&line, "up ").unwrap().1;
            }
        }
    }

    /// Waits until the parent of a process says that it is ready.
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
        self.said.push(line.to_owned());
    }

    pub(crate) fn signal_main(&self, signal: Signal) {
        nix::sys::signal::kill(Pid::from_raw(self.main()), signal).unwrap();
    }

    pub(crate) fn kill(&self, pid: i32) {
        nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }

    pub(crate) fn expect_dead(&self, pid: i32) {
        // If it cannot be opened, it is gone already.
        let Ok(pidfd) = PidFd::open(Pid::from_raw(pid)) else { return };
        let limit = PollTimeout::try_from(LIMIT).unwrap();
        let ready = poll(&mut [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)], limit);
        assert_eq!(ready, Ok(1), "process {pid} lives");
    }

    /// Waits until the last process that holds the common stdout has ended.
    pub(crate) fn expect_nobody(&mut self) {
        loop {
            match self.lines.recv_timeout(LIMIT) {
                Ok(line) => self.note(&line),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("somebody is left: {:#?}", self.said),
            }
        }
    }

    /// Waits until main has ended with this code, and everybody with it.
    pub(crate) fn expect_exit(&mut self, code: i32) {
        let found = self.exit_code();
        assert_eq!(found, Some(code), "{:#?}", self.said);
    }

    /// Waits until main has ended, and everybody with it.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.expect_nobody();
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
    if let Some(life) = words.iter().position(|word| *word == "life") {
        words.truncate(life);
    }
    let pid = words.pop()?.parse().ok()?;
    Some((words.join(" "), pid))
}

/// Cargo builds a package's examples before it runs its tests, next to them.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().and_then(|deps| deps.parent()).unwrap().join("examples").join("processes")
}
