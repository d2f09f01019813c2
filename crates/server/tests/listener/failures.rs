//! The failure of one connection does not affect the others.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use impresario_server::{Bytes, DisconnectReason, Handler, Mailbox, Next, Socket};

use crate::support::{Echo, Server, run, until};

#[test]
fn a_panic_closes_one_connection_and_is_reported() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let (mut victim, mut other) = (server.client().await, server.client().await);
        other.echo("before\n").await;
        victim.echo("before\n").await;
        victim.send("panic\n").await;
        victim.closed().await;
        let line = server.tree.log.wait_for(&["ERRO", "asked to"]).await;
        assert!(line.contains("support/mod.rs:"), "the location of the panic is not in {line:?}");
        other.echo("after\n").await;
        let mut next = server.client().await;
        next.echo("after\n").await;
        assert_eq!(server.listener.active(), 2);
        server.tree.stop().await;
    });
}

#[test]
fn a_panic_in_the_handler_factory_closes_one_connection() {
    run(async {
        let calls = Arc::new(Mutex::new(0));
        let mut server = Server::start(move || {
            let mut calls = calls.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            *calls += 1;
            assert!(*calls != 2, "the second call fails");
            Echo
        })
        .await;
        let mut first = server.client().await;
        first.echo("one\n").await;
        server.client().await.closed().await;
        server.tree.log.wait_for(&["ERRO", "the second call fails"]).await;
        first.echo("still there\n").await;
        server.client().await.echo("three\n").await;
        server.tree.stop().await;
    });
}

/// Panics in the callback of this name.
struct Bomb(&'static str);

impl Bomb {
    fn tick(&self, callback: &str) {
        assert!(self.0 != callback, "a bomb in {callback}");
    }
}

impl Handler for Bomb {
    fn init(&mut self, _: &mut Mailbox<Self>) {
        self.tick("init");
    }

    async fn connected(&mut self, socket: &mut Socket) -> io::Result<Next> {
        self.tick("connected");
        if self.0 == "idle" {
            socket.set_read_timeout(Duration::from_millis(1));
        }
        Ok(Next::Continue)
    }

    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        self.tick("data");
        socket.send(data).await?;
        Ok(if self.0 == "closed" { Next::Close } else { Next::Continue })
    }

    async fn idle(&mut self, _: &mut Socket) -> io::Result<Next> {
        self.tick("idle");
        Ok(Next::Continue)
    }

    async fn shutdown(&mut self, _: &mut Socket) -> io::Result<()> {
        self.tick("shutdown");
        Ok(())
    }

    async fn closed(&mut self, _: &DisconnectReason) {
        self.tick("closed");
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        // A panic during a panic aborts the process.
        if self.0 == "drop" && !std::thread::panicking() {
            self.tick("drop");
        }
    }
}

#[test]
fn a_panic_in_any_callback_closes_only_its_connection() {
    run(async {
        for callback in ["init", "connected", "data", "idle", "shutdown", "closed", "drop"] {
            let mut server = Server::start(move || Bomb(callback)).await;
            let mut victim = server.client().await;
            // The connection may be closed already.
            victim.try_echo("hello\n").await;
            if callback == "drop" {
                victim.finish().await;
            }
            if callback == "shutdown" {
                until(|| server.outside.metrics().sent > 0).await;
                server.tree.root.stop();
            }
            let line = server.tree.log.wait_for(&["ERRO", "a bomb in"]).await;
            assert!(line.contains(&format!("a bomb in {callback}")), "{line}");
            victim.closed().await;
            until(|| server.outside.metrics().all == 0).await;
            assert_eq!(server.outside.metrics().ended.crashed, 1, "{callback}");
            server.tree.stop().await;
        }
    });
}

#[test]
fn a_panic_is_reported_with_listener_peer_and_handler() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let mut client = server.client().await;
        let peer = client.0.local_addr().expect("bound").to_string();
        client.send("panic\n").await;
        client.closed().await;
        let line = server.tree.log.wait_for(&["ERRO", "child terminated", "asked to"]).await;
        let expected = [
            "child=connection",
            "listener=server",
            &format!("peer={peer}"),
            &format!("handler={}", std::any::type_name::<Echo>()),
        ];
        for field in expected {
            assert_eq!(line.matches(field).count(), 1, "{field} in {line:?}");
        }
        server.tree.stop().await;
    });
}

#[test]
fn an_error_of_the_handler_is_reported_with_the_peer() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let mut client = server.client().await;
        let peer = client.0.local_addr().expect("bound").to_string();
        client.send("fail\n").await;
        client.closed().await;
        server.tree.log.wait_for(&["ERRO", "asked to fail", &peer]).await;
        server.client().await.echo("after\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn a_peer_that_resets_is_no_failure() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let mut client = server.client().await;
        client.echo("hello\n").await;
        client.0.set_zero_linger().expect("an open socket");
        drop(client);
        until(|| server.listener.active() == 0).await;
        server.client().await.echo("after\n").await;
        let lines = server.tree.log.so_far();
        assert!(!lines.iter().any(|line| line.contains("ERRO")), "{lines:?}");
        server.tree.stop().await;
    });
}

#[test]
fn sent_bytes_arrive_though_unread_bytes_were_left_at_close() {
    run(async {
        let server = Server::start(|| Echo).await;
        let mut client = server.client().await;
        client.send("close\n").await;
        client.expect("closing\n").await;
        // The server does not read these bytes. A plain close(2) would make the kernel send a reset.
        let _ = client.0.try_write(&[0; 100]);
        assert_eq!(client.rest().await, b"");
        server.tree.stop().await;
    });
}

/// Records the reasons for which its connections ended.
struct Witness(Arc<Mutex<Vec<String>>>);

impl Handler for Witness {
    async fn data(&mut self, data: Bytes, _: &mut Socket) -> io::Result<Next> {
        match &*data {
            b"fail" => Err(io::Error::other("no")),
            b"close" => Ok(Next::Close),
            _ => Ok(Next::Continue),
        }
    }

    async fn closed(&mut self, why: &DisconnectReason) {
        self.0.lock().expect("no panic").push(format!("{why:?}"));
    }
}

#[test]
fn closed_gets_the_reason() {
    run(async {
        let reasons = Arc::new(Mutex::new(Vec::new()));
        let witness = Arc::clone(&reasons);
        let server = Server::start(move || Witness(Arc::clone(&witness))).await;
        let last = || reasons.lock().expect("no panic").pop().unwrap_or_default();

        let mut client = server.client().await;
        client.finish().await;
        client.closed().await;
        until(|| server.listener.active() == 0).await;
        assert_eq!(last(), "ByPeer");

        let mut client = server.client().await;
        client.send("close").await;
        client.closed().await;
        until(|| server.listener.active() == 0).await;
        assert_eq!(last(), "ByHandler");

        let mut client = server.client().await;
        client.send("fail").await;
        client.closed().await;
        until(|| server.listener.active() == 0).await;
        assert!(last().starts_with("Failed("));

        let client = server.client().await;
        until(|| server.listener.active() == 1).await;
        let (stopped, ()) = tokio::join!(server.tree.stop(), client.closed());
        assert_eq!((stopped, last().as_str()), ((), "ByShutdown"));
    });
}

#[test]
fn a_client_that_says_nothing_costs_only_its_connection() {
    run(async {
        let listener = impresario_server::Listener::tcp("127.0.0.1:0", || Echo);
        let server = Server::of(listener.drain_deadline(Duration::from_secs(20))).await;
        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(server.client().await);
        }
        server.client().await.echo("hello\n").await;
        for client in silent {
            drop(client);
        }
        until(|| server.listener.active() == 0).await;
        server.tree.stop().await;
    });
}
