//! A tree as a whole program. The test runs itself as that program.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::thread;

use actix::{Actor, Context};
use impresario_actor::{ChildSpec, Strategy, Supervisor};
use slog::{Discard, Logger, o};

/// Says in the environment that this is the program, and which.
const PROGRAM: &str = "IMPRESARIO_TEST_PROGRAM";

/// How the actor of the program behaves.
struct Stuck(String);

impl Actor for Stuck {
    type Context = Context<Self>;

    fn started(&mut self, _: &mut Context<Self>) {
        match self.0.as_str() {
            // The arbiter stands still, and never hears anything.
            "blocks" => {
                ready();
                loop {
                    thread::park();
                }
            }
            // The runtime cannot end before this does.
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

/// Not a test of its own: what the others run.
#[test]
fn program() {
    let Ok(what) = std::env::var(PROGRAM) else { return };
    let spec = ChildSpec::actor("stuck", move |_| Ok(Stuck(what.clone())));
    let tree = Supervisor::new(Strategy::OneForOne).logger(Logger::root(Discard, o!())).child(spec);
    assert_eq!(tree.run(), ExitCode::SUCCESS);
}

fn ready() {
    writeln!(std::io::stdout(), "ready").expect("somebody reads");
}

struct Program {
    child: Child,
    /// What it says has to go somewhere.
    _stdout: BufReader<ChildStdout>,
}

impl Program {
    fn start(what: &str) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("it runs"));
        command.args(["--exact", "run::program", "--nocapture"]).env(PROGRAM, what);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it can be started");
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut lines = stdout.by_ref().lines().map_while(Result::ok);
        assert!(lines.any(|line| line.ends_with("ready")));
        Self { child, _stdout: stdout }
    }

    fn tell(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("there is a shell").success());
    }

    fn ends(&mut self) -> Option<i32> {
        self.child.wait().expect("it is a child").code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may be over already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn one_signal_is_an_orderly_end() {
    for signal in ["TERM", "INT"] {
        let mut program = Program::start("obeys");
        program.tell(signal);
        assert_eq!(program.ends(), Some(0));
    }
}

#[test]
fn a_second_signal_ends_it_though_its_arbiter_stands_still() {
    for (first, second) in [("TERM", "INT"), ("INT", "TERM")] {
        let mut program = Program::start("blocks");
        program.tell(first);
        program.tell(second);
        assert_eq!(program.ends(), Some(130));
    }
}

#[test]
fn a_second_signal_ends_it_though_a_blocking_task_does_not_return() {
    let mut program = Program::start("blocking task");
    program.tell("TERM");
    program.tell("INT");
    assert_eq!(program.ends(), Some(130));
}
