//! Connections on several arbiters: they are balanced, stay on their thread, and survive the exit of another arbiter.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use actix::Arbiter;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use impresario_server::{Bytes, Handler, Listener, Next, Socket};

use crate::support::{Client, Echo, Running, Server, run, until};

/// The most connections that are handed to one arbiter and not claimed.
const IN_FLIGHT: usize = 16;

/// The number of connections that each thread has served.
type Served = Arc<Mutex<HashMap<ThreadId, usize>>>;

/// Echoes, checks that its thread stays the same, and stops its arbiter at the line `die`.
struct Here {
    served: Served,
    thread: Option<ThreadId>,
}

impl Handler for Here {
    async fn connected(&mut self, _: &mut Socket) -> io::Result<Next> {
        let thread = thread::current().id();
        self.thread = Some(thread);
        *self.served.lock().expect("no panic").entry(thread).or_default() += 1;
        Ok(Next::Continue)
    }

    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        assert_eq!(self.thread, Some(thread::current().id()), "a connection has moved");
        if &*data == b"die\n" {
            Arbiter::current().stop();
            std::future::pending::<()>().await;
        }
        socket.send(&data).await?;
        Ok(Next::Continue)
    }

    async fn shutdown(&mut self, socket: &mut Socket) -> io::Result<()> {
        socket.send("bye\n").await
    }
}

fn here(served: &Served) -> impl Fn() -> Here + Send + Sync + 'static {
    let served = Arc::clone(served);
    move || Here { served: Arc::clone(&served), thread: None }
}

/// The most and the fewest connections that a thread has served.
fn extremes(served: &Served, arbiters: usize) -> (usize, usize) {
    let served = served.lock().expect("no panic");
    assert_eq!(served.len(), arbiters, "{served:?}");
    assert!(!served.contains_key(&thread::current().id()), "the acceptor's thread has served");
    (served.values().max().copied().unwrap_or_default(), served.values().min().copied().unwrap_or_default())
}

/// Ranch's `supervisor_*_acceptors_*_conns_sup*`.
#[test]
fn held_connections_are_balanced_exactly() {
    run(async {
        for arbiters in [1, 2, 4] {
            let served = Served::default();
            let server = Server::of(Listener::tcp("127.0.0.1:0", here(&served)).arbiters(arbiters)).await;
            let mut clients = Vec::new();
            for number in 0..100 {
                let mut client = server.client().await;
                client.echo(&format!("{number}\n")).await;
                clients.push(client);
            }
            assert_eq!(extremes(&served, arbiters), (100 / arbiters, 100 / arbiters));
            assert_eq!(server.outside.loads(), vec![100 / arbiters; arbiters]);
            for client in &mut clients {
                client.echo("again\n").await;
            }
            // The other half stays open and gets the bytes of the drain.
            let keep = clients.split_off(clients.len() / 2);
            drop(clients);
            server.outside.until_active(|active| active == 50).await;
            until(|| server.outside.loads().iter().sum::<usize>() == 50).await;
            let ((), rests) = tokio::join!(
                server.tree.stop(),
                futures::future::join_all(keep.into_iter().map(crate::support::Client::rest))
            );
            assert!(rests.iter().all(|rest| rest == b"bye\n"));
        }
    });
}

#[test]
fn a_burst_of_connections_is_balanced_exactly() {
    run(async {
        let served = Served::default();
        let server = Server::of(Listener::tcp("127.0.0.1:0", here(&served)).arbiters(4)).await;
        let addr = server.addr();
        let mut clients = Vec::new();
        // As many at once as four arbiters may have in flight, so none is full before all are.
        for _ in 0..6 {
            let burst = (0..4 * IN_FLIGHT).map(|number| served_client(addr, number));
            clients.extend(futures::future::join_all(burst).await);
        }
        assert_eq!(extremes(&served, 4), (6 * IN_FLIGHT, 6 * IN_FLIGHT));
        drop(clients);
        server.tree.stop().await;
    });
}

#[test]
fn later_connections_even_out_a_burst_above_the_capacity() {
    run(async {
        let served = Served::default();
        let server = Server::of(Listener::tcp("127.0.0.1:0", here(&served)).arbiters(4)).await;
        let addr = server.addr();
        let burst = (0..400).map(|number| served_client(addr, number));
        let mut clients = futures::future::join_all(burst).await;
        // While one arbiter is full, the others get its share.
        let (most, _) = extremes(&served, 4);
        for number in clients.len()..4 * most {
            clients.push(served_client(addr, number).await);
        }
        assert_eq!(extremes(&served, 4), (most, most));
        drop(clients);
        server.tree.stop().await;
    });
}

/// A client that has been served.
async fn served_client(addr: SocketAddr, number: usize) -> Client {
    let mut client = Client::connect(addr).await;
    client.echo(&format!("{number}\n")).await;
    client
}

#[test]
fn short_connections_are_balanced_within_a_tenth() {
    run(async {
        let served = Served::default();
        let server = Server::of(Listener::tcp("127.0.0.1:0", here(&served)).arbiters(4)).await;
        for number in 0..1000 {
            server.client().await.echo(&format!("{number}\n")).await;
        }
        let (most, least) = extremes(&served, 4);
        assert!(most <= 275 && least >= 225, "{served:?}");
        server.tree.stop().await;
    });
}

#[test]
fn new_connections_go_to_the_arbiter_with_the_fewest() {
    run(async {
        let served = Served::default();
        let server = Server::of(Listener::tcp("127.0.0.1:0", here(&served)).arbiters(2)).await;
        let mut clients = Vec::new();
        for _ in 0..20 {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            clients.push(client);
        }
        // The arbiters got connections alternately, so these are all connections of one arbiter.
        let mut number = 0;
        clients.retain(|_| {
            number += 1;
            number % 2 == 0
        });
        server.outside.until_active(|active| active == 10).await;
        until(|| server.outside.loads().contains(&0)).await;
        for _ in 0..10 {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            clients.push(client);
        }
        let loads = server.outside.loads();
        assert!(loads.iter().all(|load| (9..=11).contains(load)), "{loads:?}");
        drop(clients);
        server.tree.stop().await;
    });
}

#[test]
fn the_limit_is_one_number_for_all_arbiters() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", || Echo).arbiters(3).max_connections(4);
        let server = Server::of(listener).await;
        let mut clients = Vec::new();
        for _ in 0..8 {
            let mut client = server.client().await;
            client.send("hello\n").await;
            clients.push(client);
        }
        for client in clients.iter_mut().take(4) {
            client.expect("hello\n").await;
        }
        assert_eq!(server.outside.metrics().accepted, 4);
        // Each close admits one connection, on any arbiter.
        for mut late in clients.split_off(4) {
            clients.remove(0);
            late.expect("hello\n").await;
            clients.push(late);
        }
        assert_eq!((server.outside.active(), server.outside.metrics().accepted), (4, 8));
        drop(clients);
        server.tree.stop().await;
    });
}

/// Echoes; at the line `block` it blocks its thread until the sender is dropped.
struct Blocks(Arc<Mutex<Receiver<()>>>);

impl Handler for Blocks {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        if &*data == b"block\n" {
            let _ = self.0.lock().expect("no panic").recv();
        }
        socket.send(&data).await?;
        Ok(Next::Continue)
    }
}

#[test]
fn a_stuck_arbiter_keeps_16_others_serve_the_rest() {
    run(async {
        let (go, blocked) = channel();
        let blocked = Arc::new(Mutex::new(blocked));
        let listener = Listener::tcp("127.0.0.1:0", move || Blocks(Arc::clone(&blocked))).arbiters(2);
        let server = Server::of(listener).await;
        let mut held = Vec::new();
        for _ in 0..40 {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            held.push(client);
        }
        held[0].send("block\n").await;
        let clients = (0..100).map(|_| async {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            client
        });
        let mut clients: FuturesUnordered<_> = clients.collect();
        for _ in 0..100 - IN_FLIGHT {
            held.push(clients.next().await.expect("one more"));
        }
        drop(go);
        while let Some(client) = clients.next().await {
            held.push(client);
        }
        held[0].expect("block\n").await;
        drop((clients, held));
        server.tree.stop().await;
    });
}

#[test]
fn more_than_1024_arbiters_are_refused() {
    run(async {
        for count in [1025, usize::MAX] {
            let listener = Listener::tcp("127.0.0.1:0", || Echo).arbiters(count);
            let error = Running::start([listener.child_spec("server")]).await.err().expect("too many");
            let line = format!("{count} arbiters are too many; ask for 1024 at most");
            assert!(error.to_string().contains(&line), "{error}");
        }
    });
}

/// Ranch's `super_clean_restart`. Here the connections on other arbiters also stay open.
#[test]
fn a_dead_arbiter_loses_its_connections_and_restarts() {
    run(async {
        let served = Served::default();
        let mut server = Server::of(Listener::tcp("127.0.0.1:0", here(&served)).arbiters(2)).await;
        let (mut victim, mut other) = (server.client().await, server.client().await);
        victim.echo("hello\n").await;
        other.echo("hello\n").await;
        victim.send("die\n").await;
        victim.closed().await;
        server.tree.log.wait_for(&["ERRO", "arbiter"]).await;
        other.echo("still here\n").await;
        until(|| server.outside.active() == 1).await;
        // Until the third thread, the one of the restarted arbiter, has served.
        let mut clients = Vec::new();
        while served.lock().expect("no panic").len() < 3 {
            let mut client = server.client().await;
            if client.try_echo("hello\n").await {
                clients.push(client);
            }
        }
        other.echo("still here\n").await;
        drop((clients, other));
        server.tree.stop().await;
    });
}
