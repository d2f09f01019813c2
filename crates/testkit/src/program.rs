//! An example as a child process.

use std::env;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::limits::{DEADLINE, TICK, TREE_EXIT_TIMEOUT};
use crate::log::Log;
use crate::process::{Process, all_exit};
use crate::procfs;

/// Environment variable of every process of a program's tree; [`procfs::marked`] finds them by it.
const MARK: &str = "IMPRESARIO_TEST_TREE";

/// A built example that runs as a child process, with all processes that it forks.
///
/// `Drop` kills main. The test fails if a process of the tree outlives main by more than
/// [`TREE_EXIT_TIMEOUT`].
#[derive(Debug)]
pub struct Program {
    child: Child,
    process: Process,
    log: Log,
    mark: String,
    waited_for: bool,
}

/// Path of a built example: next to the folder of the test executables.
///
/// # Panics
///
/// If it has not been built. The text names the command.
#[must_use]
pub fn example_path(name: &str) -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in target/<profile>/deps");
    let path = profile.join("examples").join(name);
    assert!(
        path.is_file(),
        "{} does not exist: run `cargo test --workspace`, or `cargo build -p impresario-examples --examples` first",
        path.display()
    );
    path
}

impl Program {
    /// Starts an example. Returns without waiting for it.
    ///
    /// # Panics
    ///
    /// If it has not been built or cannot be started.
    #[must_use]
    pub fn start(example: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(example_path(example));
        command.args(arguments);
        Self::spawn(command)
    }

    /// Starts a prepared command. Its stdin, stdout and stderr are replaced.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn spawn(mut command: Command) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let mark = format!("{}-{:?}-{}", std::process::id(), thread::current().id(), now.as_nanos());
        command.env(MARK, &mark).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", command.get_program().display()));
        let log = Log::follow(child.stderr.take().expect("stderr is piped"));
        let process = Process::open(child.id()).expect("a child that was not waited for has a pid");
        Self { child, process, log, mark, waited_for: false }
    }

    /// Pid of main.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends a signal to main.
    ///
    /// # Panics
    ///
    /// If main was waited for.
    pub fn signal(&self, signal: Signal) {
        self.process
            .signal(signal)
            .unwrap_or_else(|error| panic!("cannot signal main {}: {error}", self.pid()));
    }

    /// Stops main until `SIGCONT`; see [`Process::freeze`].
    ///
    /// # Panics
    ///
    /// If main was waited for.
    #[track_caller]
    pub fn freeze(&self) {
        self.process.freeze();
    }

    /// Sends a signal to the process group of main, as a terminal does for Ctrl-C. The command needs
    /// `process_group(0)`.
    ///
    /// # Panics
    ///
    /// If main leads no process group.
    pub fn signal_group(&self, signal: Signal) {
        let group = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process_group(group, signal)
            .unwrap_or_else(|error| panic!("cannot signal group {group:?}: {error}"));
    }

    /// All lines on stderr so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.log.lines()
    }

    /// Waits for the first line on stderr for which `matches` returns true, and returns it.
    ///
    /// # Panics
    ///
    /// If main exits, or [`DEADLINE`] passes, without such a line.
    #[track_caller]
    pub fn wait_for_line(&self, description: &str, mut matches: impl FnMut(&str) -> bool) -> String {
        let found = self.log.wait_for(0, DEADLINE, |line| matches(line).then(|| line.to_owned()));
        found.unwrap_or_else(|| panic!("no line on stderr {description}; stderr:\n{}", self.stderr()))
    }

    /// The loopback address in the first line that contains `word` and such an address.
    ///
    /// # Panics
    ///
    /// If main exits, or [`DEADLINE`] passes, without such a line.
    #[track_caller]
    #[must_use]
    pub fn address_after(&self, word: &str) -> SocketAddr {
        let found =
            self.log.wait_for(0, DEADLINE, |line| line.contains(word).then(|| loopback_address(line))?);
        found.unwrap_or_else(|| {
            panic!("no line on stderr with {word:?} and an address on 127.0.0.1; stderr:\n{}", self.stderr())
        })
    }

    /// Returns whether main exits within `limit`.
    #[must_use]
    pub fn exits_within(&self, limit: Duration) -> bool {
        self.process.exits_within(limit)
    }

    /// Calls `look` every [`TICK`] until it returns `Some`.
    ///
    /// # Panics
    ///
    /// If main exits or [`DEADLINE`] passes first.
    #[track_caller]
    pub fn until<T>(&self, description: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(value) = look() {
                return value;
            }
            assert!(Instant::now() < end, "timeout before {description}; stderr:\n{}", self.stderr());
            let exited = self.exits_within(TICK);
            assert!(!exited, "main exited before {description}; stderr:\n{}", self.stderr());
        }
    }

    /// Waits for the exit of main and checks that all processes of its tree have exited.
    ///
    /// # Panics
    ///
    /// If main does not exit within [`DEADLINE`], or a process outlives it by more than
    /// [`TREE_EXIT_TIMEOUT`].
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let exited = self.exits_within(DEADLINE);
        assert!(exited, "main {} does not exit; stderr:\n{}", self.pid(), self.stderr());
        let left = self.survivors();
        let status = self.child.wait().expect("main is our child");
        self.waited_for = true;
        assert!(left.is_empty(), "{left:?} outlived main {}; stderr:\n{}", self.pid(), self.stderr());
        status
    }

    /// Pids of all running processes of the tree, main included.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        procfs::marked(MARK, &self.mark)
    }

    /// All of stderr so far, as text.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.lines().join("\n")
    }

    /// Pids of the processes that outlive main by more than [`TREE_EXIT_TIMEOUT`]; they are killed. Call it
    /// after the exit of main. Afterwards stderr is complete.
    fn survivors(&self) -> Vec<u32> {
        let deadline = Instant::now() + TREE_EXIT_TIMEOUT;
        while !self.has_exited() {
            if Instant::now() >= deadline {
                return self.kill_survivors();
            }
        }
        Vec::new()
    }

    /// Returns whether all processes of the tree have exited, after at most two [`TICK`]s. `/proc` is not
    /// enough: a process has no readable environment during its exit or `exec`. But every process of the tree
    /// holds stderr.
    fn has_exited(&self) -> bool {
        all_exit(&self.left(), TICK).is_empty() && self.log.ends_within(TICK)
    }

    fn left(&self) -> Vec<Process> {
        self.processes().into_iter().filter_map(Process::open).collect()
    }

    fn kill_survivors(&self) -> Vec<u32> {
        let deadline = Instant::now() + TREE_EXIT_TIMEOUT;
        let mut killed = Vec::new();
        loop {
            for process in self.left() {
                // `ESRCH`: it has exited meanwhile.
                process.signal(Signal::KILL).ok();
                if !killed.contains(&process.pid()) {
                    killed.push(process.pid());
                }
            }
            if self.has_exited() {
                return killed;
            }
            let late = Instant::now() >= deadline;
            assert!(
                !late || thread::panicking(),
                "a process without the mark still holds the stderr of main"
            );
            if late {
                return killed;
            }
        }
    }
}

impl Drop for Program {
    #[expect(
        clippy::print_stderr,
        reason = "a failed test shows the stderr of the program; the harness captures it"
    )]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- stderr of main {}:\n{}", self.pid(), self.stderr());
        }
        if self.waited_for {
            return;
        }
        // An error means that main has exited.
        self.process.signal(Signal::KILL).ok();
        let exited = self.exits_within(DEADLINE);
        let left = self.survivors();
        self.child.wait().ok();
        if !thread::panicking() {
            assert!(exited && left.is_empty(), "{left:?} outlived main {}, which was killed", self.pid());
        }
    }
}

/// Finds `127.0.0.1:<port>` in a line.
fn loopback_address(line: &str) -> Option<SocketAddr> {
    let start = line.find("127.0.0.1:")?;
    let text = line.get(start..)?;
    let host = "127.0.0.1:".len();
    let length = text.get(host..)?.bytes().take_while(u8::is_ascii_digit).count();
    text.get(..host + length)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Program::spawn(command)
    }

    #[test]
    fn loopback_address_is_found_in_log_lines() {
        for line in [
            "INFO listening, address: 127.0.0.1:4012, pid: 1",
            r#"{"msg":"listening","address":"127.0.0.1:4012"}"#,
        ] {
            assert_eq!(loopback_address(line), Some(SocketAddr::from(([127, 0, 0, 1], 4012))));
        }
        for line in ["", "127.0.0.1:", "127.0.0.1:99999", "10.0.0.1:1"] {
            assert_eq!(loopback_address(line), None, "{line:?}");
        }
    }

    #[test]
    fn lines_address_and_exit_code_of_a_program() {
        let mut program = shell("echo one >&2; echo listening 127.0.0.1:7 >&2; exit 3");
        assert_eq!(program.address_after("listening").port(), 7);
        assert_eq!(program.wait().code(), Some(3));
        assert_eq!(program.lines(), ["one", "listening 127.0.0.1:7"]);
    }

    #[test]
    #[should_panic(expected = "outlived main")]
    fn a_surviving_child_fails_wait_and_is_killed() {
        let mut program = shell("sleep 600 & echo started >&2");
        program.wait_for_line("that it has started", |line| line == "started");
        program.wait();
    }

    #[test]
    #[should_panic(expected = "main exited before")]
    fn until_fails_when_main_exits() {
        let program = shell("exit 0");
        program.until("the impossible happens", || None::<()>);
    }
}
