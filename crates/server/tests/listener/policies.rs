//! Policies above a limit, connections that are excluded from it, limits of peer and rate, and alarms.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use impresario_server::{Alarm, Bytes, Handler, Listener, Next, Policy, Rate, Socket};
use tokio::net::TcpSocket;
use tokio::sync::mpsc::unbounded_channel;

use crate::support::{Client, Echo, Server, run, until};

/// Longer than any test.
const HOUR: Duration = Duration::from_secs(3600);

/// A client that has been served, so that its connection is counted.
async fn served<P: impresario_server::Protocol>(server: &Server<P>) -> Client {
    let mut client = server.client().await;
    client.echo("hello\n").await;
    client
}

#[test]
fn policy_reject_closes_connections_above_the_limit() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", || Echo).max_connections(2).policy(Policy::Reject);
        let server = Server::of(listener).await;
        let (mut one, two) = (served(&server).await, served(&server).await);
        for rejected in 1..=20 {
            server.client().await.closed().await;
            assert_eq!(server.outside.metrics().rejected.full, rejected);
        }
        one.echo("unhurt\n").await;
        drop(two);
        server.outside.until_active(|active| active == 1).await;
        let mut next = served(&server).await;
        // From here on connections above the limit wait.
        server.outside.set_policy(Policy::Queue);
        assert_eq!(server.outside.policy(), Policy::Queue);
        let mut waiting = server.client().await;
        waiting.send("later\n").await;
        for _ in 0..10 {
            next.echo("meanwhile\n").await;
        }
        assert_eq!(server.outside.active(), 2);
        drop(one);
        waiting.expect("later\n").await;
        drop((next, waiting));
        server.tree.stop().await;
    });
}

#[test]
fn queued_connections_are_rejected_after_a_policy_change() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(1)).await;
        let mut one = served(&server).await;
        let waiting = server.client().await;
        one.echo("meanwhile\n").await;
        server.outside.set_policy(Policy::Reject);
        waiting.closed().await;
        assert_eq!(server.outside.metrics().rejected.full, 1);
        drop(one);
        server.tree.stop().await;
    });
}

/// Ranch's `tcp_max_connections_infinity` and `tcp_set_max_connections`.
#[test]
fn a_higher_limit_admits_queued_a_lower_closes_none() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(10)).await;
        let mut clients = Vec::new();
        for _ in 0..30 {
            let mut client = server.client().await;
            client.send("hello\n").await;
            clients.push(client);
        }
        let outside = &server.outside;
        outside.until_active(|active| active == 10).await;
        outside.set_max_connections(20);
        outside.until_active(|active| active == 20).await;
        outside.set_max_connections(usize::MAX);
        outside.until_active(|active| active == 30).await;
        outside.set_max_connections(10);
        for client in &mut clients {
            client.expect("hello\n").await;
            client.echo("still here\n").await;
        }
        let mut waiting = server.client().await;
        waiting.send("later\n").await;
        clients.truncate(10);
        outside.until_active(|active| active == 10).await;
        clients[0].echo("no room yet\n").await;
        assert_eq!(outside.metrics().accepted, 30);
        clients.truncate(9);
        waiting.expect("later\n").await;
        drop((clients, waiting));
        server.tree.stop().await;
    });
}

/// Ranch's `tcp_set_max_connections_clean`.
#[test]
fn a_changing_limit_loses_and_restarts_nothing() {
    const CLIENTS: usize = 100;
    run(async {
        let mut server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(1)).await;
        let clients = futures::future::join_all((0..CLIENTS).map(|_| async {
            let mut client = server.client().await;
            client.echo("hello\n").await;
        }));
        let changes = async {
            let mut random = 7_usize;
            for _ in 0..80 {
                random = random.wrapping_mul(1_103_515_245).wrapping_add(12_345) % (1 << 31);
                // Zero is among the limits.
                server.outside.set_max_connections((random >> 8) % 20);
                tokio::task::yield_now().await;
            }
            server.outside.set_max_connections(2);
        };
        tokio::join!(clients, changes);
        let outside = server.outside.clone();
        outside.until_active(|active| active == 0).await;
        assert_eq!(outside.metrics().accepted, CLIENTS as u64);
        let lines = server.tree.log.so_far();
        assert!(!lines.iter().any(|line| line.starts_with("ERRO") || line.starts_with("WARN")), "{lines:#?}");
        server.tree.stop().await;
    });
}

/// Echoes, and is excluded from the limit at the line `leave`.
struct Leaver;

impl Handler for Leaver {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        if &*data == b"leave\n" {
            socket.exclude_from_limit();
            socket.exclude_from_limit();
        }
        socket.send(&data).await?;
        Ok(Next::Continue)
    }

    async fn shutdown(&mut self, socket: &mut Socket) -> io::Result<()> {
        socket.send("bye\n").await
    }
}

/// Ranch's `tcp_max_connections_and_beyond`, `tcp_remove_connections_acceptor_wakeup`, `misc_repeated_remove`.
#[test]
fn excluded_from_limit_frees_capacity_and_is_drained() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Leaver).max_connections(1)).await;
        let mut removed = Vec::new();
        for number in 1..=10 {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            for _ in 0..5 {
                client.echo("leave\n").await;
            }
            removed.push(client);
            let metrics = server.outside.metrics();
            assert_eq!((metrics.active, metrics.all), (0, number));
        }
        let counted = served(&server).await;
        let metrics = server.outside.metrics();
        assert_eq!((metrics.active, metrics.all, server.listener.active()), (1, 11, 1));
        let mut waiting = server.client().await;
        waiting.send("later\n").await;
        // The end of one that does not count makes no room.
        drop(removed.pop());
        until(|| server.outside.metrics().all == 10).await;
        removed[0].echo("still here\n").await;
        assert_eq!(server.outside.metrics().accepted, 11);
        drop(counted);
        waiting.expect("later\n").await;
        let ((), last, waiting) =
            tokio::join!(server.tree.stop(), removed.pop().expect("nine").rest(), waiting.rest());
        assert_eq!((last, waiting), (b"bye\n".to_vec(), b"bye\n".to_vec()));
        assert_eq!((server.outside.metrics().all, server.outside.active()), (0, 0));
    });
}

/// A client with an address of its own.
async fn client_from(last: u8, to: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().expect("a free descriptor");
    socket.bind(([127, 0, 0, last], 0).into()).expect("an address of this machine");
    Client(socket.connect(to).await.expect("it listens"))
}

#[test]
fn one_peer_cannot_take_all_permits() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", || Echo).max_connections_per_peer(2);
        let server = Server::of(listener).await;
        let (mut one, two) = (client_from(2, server.addr()).await, client_from(2, server.addr()).await);
        one.echo("one\n").await;
        for _ in 0..5 {
            client_from(2, server.addr()).await.closed().await;
        }
        let mut other = client_from(3, server.addr()).await;
        other.echo("other\n").await;
        one.echo("unhurt\n").await;
        assert_eq!(server.outside.metrics().rejected.peer, 5);
        drop(two);
        server.outside.until_active(|active| active == 2).await;
        client_from(2, server.addr()).await.echo("again\n").await;
        server.outside.until_active(|active| active == 2).await;
        server.outside.set_max_connections_per_peer(3);
        let (mut two, mut three) = (client_from(2, server.addr()).await, client_from(2, server.addr()).await);
        two.echo("two\n").await;
        three.echo("three\n").await;
        client_from(2, server.addr()).await.closed().await;
        drop((one, two, three, other));
        server.tree.stop().await;
    });
}

#[test]
fn a_peer_over_its_limit_costs_no_token_under_both_policies() {
    run(async {
        for policy in [Policy::Queue, Policy::Reject] {
            // One token an hour, so that no token is added while this test runs.
            let rate = Rate::per(1, HOUR).burst(3);
            let listener = Listener::tcp("127.0.0.1:0", || Echo).max_connections_per_peer(1);
            let server = Server::of(listener.max_rate(rate).policy(policy)).await;
            let mut clients = Vec::new();
            for peer in 2..5 {
                let mut client = client_from(peer, server.addr()).await;
                client.echo("hello\n").await;
                clients.push(client);
                // After the last token the queue holds these connections, without a look at their peer.
                for _ in 0..if peer < 4 { 5 } else { 0 } {
                    client_from(peer, server.addr()).await.closed().await;
                }
            }
            let rejected = server.outside.metrics().rejected;
            assert_eq!((rejected.peer, rejected.rate, server.outside.active()), (10, 0, 3));
            drop(clients);
            server.tree.stop().await;
        }
    });
}

#[test]
fn above_the_rate_connections_are_rejected_or_wait() {
    run(async {
        // One token an hour, so that no token is added while this test runs.
        let rate = Rate::per(1, HOUR).burst(3);
        let listener = Listener::tcp("127.0.0.1:0", || Echo).max_rate(rate).policy(Policy::Reject);
        let server = Server::of(listener).await;
        let mut clients = Vec::new();
        for _ in 0..3 {
            clients.push(served(&server).await);
        }
        for _ in 0..5 {
            server.client().await.closed().await;
        }
        assert_eq!(server.outside.metrics().rejected.rate, 5);
        clients[0].echo("unhurt\n").await;
        server.outside.set_max_rate(None);
        served(&server).await;
        // Under `Queue` connections wait and are served later.
        server.outside.set_policy(Policy::Queue);
        server.outside.set_max_rate(Rate::per_second(100).burst(1));
        for _ in 0..20 {
            served(&server).await;
        }
        assert_eq!(server.outside.metrics().rejected.total(), 5);
        drop(clients);
        server.tree.stop().await;
    });
}

#[test]
fn a_lifted_rate_limit_admits_waiting_connections() {
    run(async {
        let rate = Rate::per(1, HOUR).burst(1);
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_rate(rate)).await;
        let mut one = served(&server).await;
        let mut waiting = server.client().await;
        waiting.send("later\n").await;
        for _ in 0..10 {
            one.echo("meanwhile\n").await;
        }
        assert_eq!(server.outside.active(), 1);
        server.outside.set_max_rate(None);
        waiting.expect("later\n").await;
        drop((one, waiting));
        server.tree.stop().await;
    });
}

/// Ranch's `misc_connection_alarms`.
#[test]
fn alarms_fire_from_their_threshold_on() {
    run(async {
        let (sender, mut reports) = unbounded_channel();
        let other = sender.clone();
        let listener = Listener::tcp("127.0.0.1:0", || Echo)
            .alarm(
                Alarm::at(2)
                    .cooldown(Duration::ZERO)
                    .call(move |report| sender.send(report).expect("the test listens")),
            )
            .alarm(
                Alarm::at(3).cooldown(HOUR).call(move |report| other.send(report).expect("the test listens")),
            )
            .alarm(Alarm::at(5).cooldown(HOUR))
            .alarm(Alarm::at(5).cooldown(HOUR).call(|_| panic!("asked to")));
        let mut server = Server::of(listener).await;
        let mut clients = Vec::new();
        for _ in 0..5 {
            clients.push(served(&server).await);
        }
        let mut fired = Vec::new();
        while fired.len() < 5 {
            let report = reports.recv().await.expect("it fires");
            fired.push((report.threshold, report.active));
        }
        fired.sort_unstable();
        assert_eq!(fired, [(2, 2), (2, 3), (2, 4), (2, 5), (3, 3)]);
        server.tree.log.wait_for(&["WARN", "many connections", "active=5", "threshold=5"]).await;
        server.outside.set_alarms([]);
        clients.push(served(&server).await);
        assert!(reports.try_recv().is_err());
        drop(clients);
        server.tree.stop().await;
    });
}

/// Thousand Island's `too many connections`.
#[test]
fn a_limit_of_one_serves_one_connection_after_the_other() {
    run(async {
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(1)).await;
        let addr = server.addr();
        let clients = (0..20).map(|number| async move {
            let mut client = Client::connect(addr).await;
            client.echo(&format!("{number}\n")).await;
        });
        futures::future::join_all(clients).await;
        server.outside.until_active(|active| active == 0).await;
        assert_eq!(server.outside.metrics().accepted, 20);
        server.tree.stop().await;
    });
}
