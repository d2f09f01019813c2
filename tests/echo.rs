//! Tests of the `echo` example: bytes come back, and a panic closes one connection.

use std::thread;

use impresario_testkit::{Connection, Pattern, Program, Signal};

/// The example on a free port.
struct Echo {
    program: Program,
    address: std::net::SocketAddr,
}

impl Echo {
    fn start(more: &[&str]) -> Self {
        let program = Program::start("echo", &[&["--listen", "127.0.0.1:0"], more].concat());
        let address = program.address_after("listening");
        Self { program, address }
    }

    fn connect(&self) -> Connection {
        Connection::open(self.address).expect("the program listens")
    }
}

/// Sends these bytes and expects them back.
fn echoes(connection: &mut Connection, bytes: &[u8]) {
    connection.send(bytes).expect("the peer reads");
    assert_eq!(connection.receive(bytes.len()).expect("the peer answers"), bytes);
}

#[test]
fn random_payloads_are_echoed_unchanged() {
    let echo = Echo::start(&[]);
    for length in [0, 1, 63, 64, 4_096, 65_537, 5 << 20] {
        let mut connection = echo.connect();
        let mut writer = connection.try_clone().expect("a free descriptor");
        let pattern = Pattern::new(length, length);
        let bytes = pattern.clone().bytes();
        let sending = thread::spawn(move || writer.send(&bytes).and_then(|()| writer.finish()));
        assert!(
            pattern.matches(&mut connection).expect("the peer answers"),
            "{length} bytes came back changed"
        );
        sending.join().expect("no panic").expect("the peer reads");
    }
}

#[test]
fn parallel_connections_get_their_own_bytes() {
    let echo = Echo::start(&[]);
    let mut connections: Vec<Connection> = (0..64).map(|_| echo.connect()).collect();
    for round in 0..10 {
        for (number, connection) in (0..).zip(&mut connections) {
            connection.send(&Pattern::new(number + 1, 100 + round).bytes()).expect("the peer reads");
        }
        for (number, connection) in (0..).zip(&mut connections) {
            let expected = Pattern::new(number + 1, 100 + round).bytes();
            assert_eq!(connection.receive(expected.len()).expect("the peer answers"), expected);
        }
    }
}

#[test]
fn a_panic_closes_only_its_connection_and_is_logged() {
    let echo = Echo::start(&["--panic-on", "boom"]);
    let mut witness = echo.connect();
    echoes(&mut witness, b"before\n");

    let mut victim = echo.connect();
    echoes(&mut victim, b"hello\n");
    victim.send(b"boom\n").expect("the peer reads");
    victim.until_closed().expect("the connection of a handler that panicked is closed");

    echoes(&mut witness, b"after\n");
    echoes(&mut echo.connect(), b"new\n");
    echo.program.wait_for_line("that reports the panic and its place", |line| {
        line.contains("panic") && line.contains("echo.rs:") && !line.starts_with("thread '")
    });
}

#[test]
fn a_split_panic_line_is_recognised() {
    let echo = Echo::start(&["--panic-on", "boom"]);
    let mut victim = echo.connect();
    echoes(&mut victim, b"hello\nbo");
    victim.send(b"om\n").expect("the peer reads");
    victim.until_closed().expect("the connection of a handler that panicked is closed");
}

#[test]
fn only_the_exact_panic_line_panics() {
    let echo = Echo::start(&["--panic-on", "boom"]);
    for line in ["boomer\n", "a boom\n", "Boom\n", "boo\nm\n"] {
        echoes(&mut echo.connect(), line.as_bytes());
    }
}

#[test]
fn many_panics_do_not_stop_the_listener() {
    let echo = Echo::start(&["--panic-on", "boom"]);
    let mut witness = echo.connect();
    for _ in 0..50 {
        let mut victim = echo.connect();
        victim.send(b"boom\n").expect("the peer reads");
        victim.until_closed().expect("the peer closes");
    }
    echoes(&mut witness, b"still here\n");
    echoes(&mut echo.connect(), b"new\n");
}

#[test]
fn a_vanishing_client_disturbs_no_other() {
    let echo = Echo::start(&[]);
    let mut witness = echo.connect();
    for _ in 0..20 {
        let mut client = echo.connect();
        client.send(&Pattern::new(1, 256 * 1024).bytes()).ok();
        client.reset().expect("the connection is open");
    }
    echoes(&mut witness, b"still here\n");
}

#[test]
fn sigterm_and_sigint_exit_with_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut echo = Echo::start(&[]);
        let mut idle = echo.connect();
        echoes(&mut idle, b"hello\n");
        echo.program.signal(signal);
        assert!(idle.until_closed().expect("an idle connection is closed").is_empty());
        assert_eq!(echo.program.wait().code(), Some(0), "after {signal:?}");
        assert!(Connection::open(echo.address).is_err(), "connects are refused");
    }
}

#[test]
fn echo_runs_as_one_process() {
    let echo = Echo::start(&[]);
    echoes(&mut echo.connect(), b"hello\n");
    assert_eq!(echo.program.processes(), [echo.program.pid()]);
}
