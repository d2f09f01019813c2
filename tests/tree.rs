//! Tests of the `tree` example: commands on stdin, text on stdout, log on stderr.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Instant;

use impresario_testkit::{DEADLINE, example_path};

struct Console {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    log: Receiver<String>,
}

/// The lines of a pipe. A thread reads them until the child exits.
fn follow(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    // Reads on after the receiver is dropped, because a full pipe would block the child.
    let read =
        move || BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| drop(sender.send(line)));
    thread::spawn(read);
    lines
}

impl Console {
    fn start() -> Self {
        let mut command = Command::new(example_path("tree"));
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the example can be started");
        let lines = follow(child.stdout.take().expect("the stream is piped"));
        let log = follow(child.stderr.take().expect("the stream is piped"));
        let stdin = child.stdin.take();
        Self { child, stdin, lines, log }
    }

    /// Waits for a log line that contains all of these texts.
    #[track_caller]
    fn logs(&self, all: &[&str]) {
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| all.iter().all(|part| line.contains(part))) {
            match self.log.recv_timeout(DEADLINE) {
                Ok(line) => seen.push(line),
                Err(_) => panic!("no line with {all:?} in the log: {seen:#?}"),
            }
        }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("the peer answers")
    }

    /// Sends a command. Returns the lines of the answer, which ends with an empty line.
    fn ask(&mut self, command: &str) -> Vec<String> {
        writeln!(self.stdin.as_ref().expect("the connection is open"), "{command}").expect("the peer reads");
        std::iter::from_fn(|| Some(self.line()).filter(|line| !line.is_empty())).collect()
    }

    /// The tree without the uptimes, which differ in each run.
    fn tree(&mut self) -> Vec<String> {
        let is_age = |part: &str| part.strip_suffix(" s").is_some_and(|age| age.parse::<u64>().is_ok());
        let without =
            |line: String| line.split(", ").filter(|part| !is_age(part)).collect::<Vec<_>>().join(", ");
        self.ask("tree").into_iter().map(without).collect()
    }

    /// Requests the tree until the condition holds: a restart takes a moment.
    fn tree_when(&mut self, holds: impl Fn(&[String]) -> bool) -> Vec<String> {
        let start = Instant::now();
        loop {
            let tree = self.tree();
            if holds(&tree) {
                return tree;
            }
            assert!(start.elapsed() < DEADLINE, "the condition does not become true: {tree:#?}");
        }
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        // The child may have exited.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn commands_on_children_are_seen_in_the_tree() {
    let mut console = Console::start();
    assert_eq!(console.ask("tree").len(), 6, "the root, three children, and two below");
    assert!(console.ask("help").iter().any(|line| line.starts_with("crash CHILD")));

    let output = console.ask("crash database").concat();
    assert!(output.starts_with("database <") && output.ends_with("exited: crashed by command"), "{output}");
    let restarted = |tree: &[String], id: &str| {
        tree.iter().any(|line| line.contains(id) && line.contains("running") && line.ends_with("restarts 1"))
    };
    let tree = console.tree_when(|tree| restarted(tree, "orders"));
    assert!(restarted(&tree, "database"), "it and what was started after it: {tree:?}");
    assert!(!tree.iter().any(|line| line.contains("cache") && line.contains("restarts")));

    assert_eq!(console.ask("suspend cache"), ["done"]);
    assert!(console.tree().iter().any(|line| line.contains("cache") && line.contains("suspended")));
    assert_eq!(console.ask("suspend shop"), ["done"]);
    let tree = console.tree();
    assert!(tree.iter().any(|line| line.contains("shop") && line.contains("suspended")), "{tree:?}");
    assert!(restarted(&tree, "orders"), "the tree of a suspended supervisor is known: {tree:?}");
    for id in ["cache", "shop"] {
        assert_eq!(console.ask(&format!("resume {id}")), ["done"]);
    }
    console.tree_when(|tree| !tree.iter().any(|line| line.contains("suspended")));

    assert_eq!(console.ask("stop orders"), ["done"]);
    assert!(console.tree().iter().any(|line| line.contains("orders down")));
    assert_eq!(console.ask("restart orders"), ["done"]);
    assert!(console.ask("restart orders").concat().starts_with("error: "), "the process runs");
    assert!(console.ask("crash nobody").concat().starts_with("error: "));

    for _ in 0..2 {
        assert_eq!(console.ask("session"), ["done"]);
    }
    let tree = console.tree_when(|tree| tree.iter().filter(|line| line.contains("─ sessions")).count() == 3);
    assert!(tree.iter().any(|line| line.contains("sessions") && line.contains("dynamic")), "{tree:?}");

    writeln!(console.stdin.as_ref().expect("the connection is open"), "quit").expect("the peer reads");
    assert_eq!(console.line(), "exited: shutdown");
    assert!(console.child.wait().expect("the child can be waited for").success());
}

#[test]
fn restart_limit_exits_supervisor_and_parent_restarts_it() {
    let mut console = Console::start();
    for _ in 0..4 {
        console
            .tree_when(|tree| tree.iter().any(|line| line.contains("database") && line.contains("running")));
        console.ask("crash database");
    }
    let again =
        |line: &String| line.contains("shop") && line.contains("running") && line.ends_with("restarts 1");
    console.tree_when(|tree| tree.iter().any(again));
}

#[test]
fn a_trace_and_a_blocked_thread_are_logged() {
    let mut console = Console::start();
    assert_eq!(console.ask("trace database"), ["done"]);
    assert_eq!(console.ask("suspend database"), ["done"]);
    console.logs(&["INFO suspended", "missed: 0"]);
    assert_eq!(console.ask("resume database"), ["done"]);
    console.logs(&["INFO resumed"]);
    console.ask("crash database");
    console.logs(&["INFO exited: crashed by command"]);

    assert!(console.ask("hang shop").concat().starts_with("error: "), "it is a supervisor");
    assert_eq!(console.ask("hang cache"), ["done"]);
    console.logs(&["WARN", "is blocked for", "a tree::Idle"]);
    console.logs(&["WARN", "was blocked for", "a tree::Idle"]);
}

#[test]
fn a_command_to_a_suspended_supervisor_times_out() {
    let mut console = Console::start();
    assert!(console.ask("crash shop").concat().starts_with("error: shop goes on"), "it ignores exit signals");
    assert_eq!(console.ask("suspend shop"), ["done"]);
    assert_eq!(console.ask("stop database"), ["error: no answer"]);
    assert_eq!(console.ask("suspend database"), ["done"], "the next command is executed");
    assert_eq!(console.ask("resume shop"), ["done"]);
    // The supervisor now handles the request that came while it was suspended.
    console.tree_when(|tree| tree.iter().any(|line| line.contains("database down")));
}

#[test]
fn end_of_stdin_stops_the_tree() {
    let mut console = Console::start();
    assert_eq!(console.ask("session"), ["done"]);
    console.stdin = None;
    assert_eq!(console.line(), "exited: shutdown");
}
