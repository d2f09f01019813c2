//! A listener with a socket that fails, and its alarms.

use std::io;
use std::time::Duration;

use impresario_actor::{Strategy, Supervisor, Tree};
use rustix::net::{Shutdown, shutdown};
use slog::{Discard, Logger, o};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Listener;
use crate::address::Address;
use crate::listen::listen_socket::ListenSocket;
use crate::protocol::{Protocol, serve};
use crate::socket::Socket;
use crate::tracker::alarm::Alarm;

fn echo() -> impl Protocol {
    serve(|mut socket: Socket| async move {
        while let Some(data) = socket.recv().await? {
            socket.send(data).await?;
        }
        io::Result::Ok(())
    })
}

fn quiet() -> Logger {
    Logger::root(Discard, o!())
}

async fn start<P: Protocol>(listener: &Listener<P>) -> Tree {
    let root = Supervisor::new(Strategy::OneForOne).logger(quiet()).child(listener.child_spec("server"));
    root.start().await.expect("a free port")
}

/// Makes accept(2) fail with `EINVAL` from now on.
fn break_socket<P: Protocol>(listener: &Listener<P>) {
    let held = &listener.listener_ref().sockets[0];
    let socket = held.open(&quiet()).expect("it is open");
    shutdown(&*socket, Shutdown::Both).expect("it listens");
}

async fn echoes(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 5];
    stream.write_all(b"hello").await.is_ok() && stream.read_exact(&mut bytes).await.is_ok()
}

fn run<T>(test: impl Future<Output = T>) -> T {
    let bounded =
        async { tokio::time::timeout(Duration::from_secs(30), test).await.expect("the test hangs") };
    actix_rt::System::new().block_on(bounded)
}

/// Ranch's `supervisor_clean_child_restart` and `supervisor_conns_alive`.
#[test]
fn a_broken_socket_is_bound_again_and_connections_stay_open() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", echo());
        let tree = start(&listener).await;
        let addr = listener.local_addr().expect("it listens");
        let mut old = TcpStream::connect(addr).await.expect("it listens");
        assert!(echoes(&mut old).await);
        break_socket(&listener);
        let mut new = loop {
            match TcpStream::connect(addr).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        assert!(echoes(&mut new).await && echoes(&mut old).await);
        drop((old, new));
        tree.stop();
        tree.stopped().await;
    });
}

#[test]
fn a_broken_socket_that_was_inherited_ends_the_listener() {
    run(async {
        let socket = ListenSocket::bind("127.0.0.1:0").expect("a free port");
        let listener = Listener::on(socket, echo());
        let tree = start(&listener).await;
        break_socket(&listener);
        let end = tree.stopped().await.to_string();
        assert!(end.contains("restart") || end.contains("gave up"), "{end}");
    });
}

#[test]
fn an_added_alarm_keeps_those_set_through_the_reference() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", echo()).alarm(Alarm::at(1));
        listener.listener_ref().set_alarms([Alarm::at(2)]);
        let tracker = listener.alarm(Alarm::at(3)).listener_ref().tracker;
        let _three = [(); 3].map(|()| tracker.check_admission(&Address::unnamed()).expect("there is room"));
        let fired: Vec<usize> = tracker.fire_alarms().iter().map(|alarm| alarm.report.threshold).collect();
        assert_eq!(fired, [2, 3]);
    });
}
