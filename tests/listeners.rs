//! Tests of the `listeners` example: status, suspend, resume and drain by commands on its unix socket. And of
//! the listener options of `echo`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use impresario_testkit::{Connection, Program, Signal, procfs};

/// The example on a free port, and the path of its command socket.
struct Listeners {
    program: Program,
    address: std::net::SocketAddr,
    admin: PathBuf,
}

impl Listeners {
    fn start(name: &str) -> Self {
        let admin = std::env::temp_dir().join(format!("impresario-{}-{name}", std::process::id()));
        let path = admin.to_str().expect("a path that is text");
        let program = Program::start("listeners", &["--listen", "127.0.0.1:0", "--admin", path]);
        let address = program.address_after("listening");
        program.wait_for_line("with the address of commands", |line| line.contains(&format!("unix:{path}")));
        Self { program, address, admin }
    }

    /// Sends a command and returns the answer.
    fn command(&self, command: &str) -> String {
        let mut admin = UnixStream::connect(&self.admin).expect("the program listens");
        admin.write_all(command.as_bytes()).expect("the peer reads");
        let mut answer = String::new();
        admin.read_to_string(&mut answer).expect("the peer answers");
        answer
    }

    fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the program listens")
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        // A killed program leaves its socket file. An error means that the file is removed.
        let _ = std::fs::remove_file(&self.admin);
    }
}

/// Sends these bytes and expects them back.
fn echoes(connection: &mut Connection, bytes: &[u8]) {
    connection.send(bytes).expect("the peer reads");
    assert_eq!(connection.receive(bytes.len()).expect("the peer answers"), bytes);
}

#[test]
fn commands_query_suspend_resume_and_drain() {
    let listeners = Listeners::start("commands");
    let mut old = listeners.connect();
    echoes(&mut old, b"hello\n");
    let status = listeners.command("status\n");
    assert!(status.starts_with("Running") && status.contains("active: 1"), "{status}");
    // The client may receive the bytes before the server counts them.
    listeners.program.until("the bytes are counted", || {
        listeners.command("connections").contains("received: 6, sent: 6").then_some(())
    });
    assert!(listeners.command("what?").starts_with("status, connections"));

    assert_eq!(listeners.command("suspend"), "suspended\n");
    assert!(Connection::open(listeners.address).is_err(), "connects are refused");
    echoes(&mut old, b"still here\n");
    assert_eq!(listeners.command("resume"), "resumed\n");
    echoes(&mut listeners.connect(), b"new\n");

    assert_eq!(listeners.command("drain"), "Drained { closed: 0 }\n");
    assert!(old.until_closed().expect("the connection is drained").is_empty());
    assert!(listeners.command("status").starts_with("Suspended"));
    assert_eq!(listeners.command("resume"), "resumed\n");
    echoes(&mut listeners.connect(), b"again\n");
}

#[test]
fn socket_file_is_removed_and_second_start_fails() {
    let mut listeners = Listeners::start("file");
    let path = listeners.admin.to_str().expect("a path that is text");
    let mut second = Program::start("listeners", &["--listen", "127.0.0.1:0", "--admin", path]);
    assert_ne!(second.wait().code(), Some(0));
    second.wait_for_line("with the cause", |line| {
        line.contains("another process listens on it; stop that process")
    });
    assert!(listeners.command("status").starts_with("Running"));
    listeners.program.signal(Signal::TERM);
    assert_eq!(listeners.program.wait().code(), Some(0));
    assert!(!listeners.admin.exists());
}

#[test]
fn a_stale_socket_file_is_replaced() {
    let mut first = Listeners::start("killed");
    first.program.signal(Signal::KILL);
    first.program.wait();
    assert!(first.admin.exists());
    let second = Listeners::start("killed");
    assert!(second.command("status").starts_with("Running"));
    second.program.signal(Signal::TERM);
}

#[test]
fn echo_threads_option_sets_the_number_of_threads() {
    let program = Program::start("echo", &["--listen", "127.0.0.1:0", "--arbiters", "3"]);
    let address = program.address_after("listening");
    let mut connections: Vec<Connection> =
        (0..9).map(|_| Connection::open(address).expect("the program listens")).collect();
    for connection in &mut connections {
        echoes(connection, b"hello\n");
    }
    let tasks = std::fs::read_dir(format!("/proc/{}/task", program.pid())).expect("the process runs");
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    assert_eq!(names.filter(|name| name.starts_with("actix-rt")).count(), 3);
}

#[test]
fn echo_max_connections_option_limits_connections() {
    let program = Program::start("echo", &["--listen", "127.0.0.1:0", "--max-connections", "2"]);
    let address = program.address_after("listening");
    let open = || Connection::open(address).expect("the kernel answers");
    let (mut one, mut two, mut three) = (open(), open(), open());
    echoes(&mut one, b"one\n");
    three.send(b"three\n").expect("the kernel takes it");
    echoes(&mut two, b"two\n");
    // An idle process has handled everything that has reached it.
    program.until("it has nothing to do", || procfs::is_idle(program.pid())?.then_some(()));
    assert!(three.is_silent().expect("the connection is open"), "the connection waits for a permit");
    drop(one);
    assert_eq!(three.receive(6).expect("a permit is free"), b"three\n");
}
