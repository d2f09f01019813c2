//! `Tree::run` and its signals. The test starts its own executable as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::thread;

use actix::{Actor, Context};
use impresario_actor::{ChildSpec, Strategy, Supervisor};
use slog::{Discard, Logger, o};

/// Environment variable: set in the child process, its value selects the behavior of the actor.
const PROGRAM: &str = "IMPRESARIO_TEST_PROGRAM";

/// The actor of the child process. Its text selects what blocks.
struct Stuck(String);

impl Actor for Stuck {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        match self.0.as_str() {
            // Blocks the arbiter's thread, so it handles no stop.
            "blocks" => {
                ready();
                loop {
                    thread::park();
                }
            }
            // The runtime's shutdown waits for this blocking task.
            "blocking task" => {
                let forever = || loop {
                    thread::park();
                };
                drop(actix_rt::task::spawn_blocking(forever));
                ready();
            }
            _ => ready(),
        }
    }
}

/// Entry point of the child process. Without the environment variable it does nothing.
#[test]
fn program() {
    let Ok(what) = std::env::var(PROGRAM) else { return };
    let spec = ChildSpec::actor("stuck", move |_| Ok(Stuck(what.clone())));
    let tree = Supervisor::new(Strategy::OneForOne).logger(Logger::root(Discard, o!())).child(spec);
    assert_eq!(tree.run(), ExitCode::SUCCESS);
}

fn ready() {
    writeln!(std::io::stdout(), "ready").expect("stdout is open");
}

struct Program {
    child: Child,
    /// Kept open: the child process would fail to write to a closed pipe.
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(what: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("the actor is running"));
        command.args(["--exact", "run::program", "--nocapture"]).env(PROGRAM, what);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let mut lines = stdout.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("ready")));
        Self { child, _stdout: stdout }
    }

    fn send_signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("the shell runs").success());
    }

    fn ends(&mut self) -> Option<i32> {
        self.child.wait().expect("the process is a child").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // The process may have exited already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn sigterm_or_sigint_exits_with_0() {
    for signal in ["TERM", "INT"] {
        let mut program = Program::start("obeys");
        program.send_signal(signal);
        assert_eq!(program.ends(), Some(0));
    }
}

#[test]
fn second_signal_exits_with_130_on_a_blocked_arbiter() {
    for (first, second) in [("TERM", "INT"), ("INT", "TERM")] {
        let mut program = Program::start("blocks");
        program.send_signal(first);
        program.send_signal(second);
        assert_eq!(program.ends(), Some(130));
    }
}

#[test]
fn second_signal_exits_with_130_on_a_blocking_task() {
    let mut program = Program::start("blocking task");
    program.send_signal("TERM");
    program.send_signal("INT");
    assert_eq!(program.ends(), Some(130));
}
