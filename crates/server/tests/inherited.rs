//! Sockets that the environment speaks of. This program is started again, as systemd would start it.

mod support;

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use impresario_server::{InheritError, Listener, inherited};
use support::{Echo, Server, run};

/// Runs the test `child` of this program in a process that has the socket as descriptor 3 and these variables; what it
/// says.
fn started(socket: OwnedFd, variables: &str) -> String {
    let program = std::env::current_exe().expect("it runs");
    let script = format!("{variables} CHILD=1 exec \"$0\" --exact child --nocapture 3<&0 </dev/null");
    let output = Command::new("sh")
        .args(["-c", &script])
        .arg(program)
        .stdin(Stdio::from(socket))
        .output()
        .expect("a shell");
    String::from_utf8(output.stdout).expect("text")
}

fn socket() -> (OwnedFd, std::net::SocketAddr) {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = socket.local_addr().expect("bound");
    (socket.into(), addr)
}

#[test]
fn what_systemd_passes_is_served() {
    let (socket, addr) = socket();
    let said = started(socket, "LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=web");
    assert!(said.contains(&format!("served web on {addr}, before: descriptor 3 was taken before")), "{said}");
}

#[test]
fn what_is_for_another_process_is_left_alone() {
    let said = started(socket().0, "LISTEN_PID=1 LISTEN_FDS=1");
    assert!(said.contains("nothing inherited"), "{said}");
}

#[test]
fn what_is_not_there_is_said() {
    let said = started(socket().0, "LISTEN_PID=$$ LISTEN_FDS=2");
    assert!(said.contains("LISTEN_FDS speaks of descriptor 4, which is not open"), "{said}");
    let said = started(socket().0, "LISTEN_PID=$$ LISTEN_FDS=lots");
    assert!(said.contains("LISTEN_FDS=lots is not a number"), "{said}");
}

#[test]
fn what_does_not_listen_is_said() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let said = started(socket.into(), "LISTEN_PID=$$ LISTEN_FDS=1");
    assert!(said.contains("the inherited descriptor unknown cannot be used"), "{said}");
}

/// What the process does that was started; in the one that runs all tests, nothing.
#[test]
#[allow(clippy::print_stdout, reason = "it is read by the test that started it")]
fn child() {
    if std::env::var_os("CHILD").is_none() {
        return;
    }
    match take() {
        Ok(line) => println!("{line}"),
        Err(error) => println!("{error}"),
    }
}

fn take() -> Result<String, InheritError> {
    let Some(first) = inherited()?.into_iter().next() else { return Ok("nothing inherited".to_owned()) };
    let name = first.name;
    let again = inherited().expect_err("it is taken");
    let addr = run(async {
        let server = Server::of(Listener::on(first.socket, || Echo)).await;
        server.client().await.echo("hello\n").await;
        let addr = server.addr();
        server.tree.stop().await;
        addr
    });
    Ok(format!("served {name} on {addr}, before: {again}"))
}
