//! Listeners: one with limits, and one on a unix socket that takes commands to inspect and change the first.
//! Try `nc 127.0.0.1 7007`, and meanwhile `echo status | nc -U -q1 /tmp/listeners.sock`.

#![allow(clippy::print_stderr, reason = "start errors go to stderr")]

use std::time::Duration;

use clap::Parser;
use impresario::prelude::*;
use impresario::server::{Alarm, Endpoint, ListenerRef, Policy, Rate, Suspend, inherited};

#[derive(Parser)]
struct Args {
    /// Listening address: HOST:PORT. Sockets in LISTEN_FDS are added to it.
    #[arg(long, default_value = "127.0.0.1:7007")]
    listen: String,
    /// Path of the unix socket for commands.
    #[arg(long, default_value = "/tmp/listeners.sock")]
    admin: String,
}

struct Echo;

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        socket.send(data).await?;
        Ok(Next::Continue)
    }
}

// ANCHOR: admin
/// Executes commands on a listener and sends their results.
struct Admin(ListenerRef);

impl Handler for Admin {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        let Admin(listener) = self;
        let deadline = Duration::from_secs(10);
        let result = match data.trim_ascii() {
            b"status" => Ok(format!("{:?}, {:?}", listener.status(), listener.metrics())),
            b"connections" => Ok(format!("{:?}", listener.connections())),
            b"suspend" => listener.suspend(Suspend::CloseSockets).await.map(|()| "suspended".into()),
            b"resume" => listener.resume().map(|()| "resumed".into()),
            b"drain" => listener.drain(deadline).await.map(|drained| format!("{drained:?}")),
            _ => Ok("status, connections, suspend, resume, or drain".into()),
        };
        let line = result.unwrap_or_else(|error| error.to_string());
        socket.send(format!("{line}\n")).await?;
        Ok(Next::Close)
    }
}
// ANCHOR_END: admin

fn main() -> ExitCode {
    let Args { listen, admin } = Args::parse();
    // ANCHOR: limits
    let mut echo = Listener::on(listen, || Echo)
        .arbiters(2)
        .max_connections(10_000)
        .policy(Policy::Reject)
        .max_connections_per_peer(100)
        .max_rate(Rate::per_second(1_000).burst(5_000))
        .alarm(Alarm::at(9_000).cooldown(Duration::from_secs(60)))
        .drain_deadline(Duration::from_secs(30));
    // ANCHOR_END: limits
    // ANCHOR: inherited
    match inherited() {
        Ok(sockets) => {
            echo = sockets.into_iter().fold(echo, |echo, inherited| echo.add_endpoint(inherited.socket));
        }
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    }
    // ANCHOR_END: inherited
    let echo_ref = echo.listener_ref();
    let admin = Listener::on(Endpoint::unix(admin).mode(0o600), move || Admin(echo_ref.clone()));
    Supervisor::new(Strategy::OneForOne).child(echo.child_spec("echo")).child(admin.child_spec("admin")).run()
}
