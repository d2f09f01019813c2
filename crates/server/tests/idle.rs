//! Many connections that do nothing, while one does. Alone in its process, because it takes as many descriptors as may
//! be had.

mod support;

use impresario_server::Listener;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, Echo, Server, run};

/// How many are wanted.
const CONNECTIONS: usize = 10_000;
/// Descriptors that are no connections.
const RESERVED: usize = 100;
/// How many connections come at a time: fewer than wait in the kernel's queue.
const AT_ONCE: usize = 500;

/// As many as the limit allows, once it is as high as may be; each takes two descriptors, one at each end.
fn possible() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit is allowed");
    let limit = limit.maximum.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    CONNECTIONS.min((limit.saturating_sub(RESERVED)) / 2)
}

#[test]
fn ten_thousand_idle_connections_cost_the_others_nothing() {
    run(async {
        let count = possible();
        let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).max_connections(count)).await;
        let addr = server.addr();
        let mut idle = Vec::with_capacity(count);
        while idle.len() < count - 1 {
            let more = (0..AT_ONCE.min(count - 1 - idle.len())).map(|_| async move {
                let mut client = Client::connect(addr).await;
                client.echo("hello\n").await;
                client
            });
            idle.extend(futures::future::join_all(more).await);
        }
        let mut busy = server.client().await;
        for _ in 0..1000 {
            busy.echo("hello\n").await;
        }
        assert_eq!((server.outside.active(), server.outside.connections().len()), (count, count));
        // One too many waits until there is room.
        let mut late = server.client().await;
        late.send("late\n").await;
        busy.echo("hello\n").await;
        assert_eq!(server.outside.active(), count);
        drop(idle.pop());
        late.expect("late\n").await;
        let drained = server.outside.drain(None);
        let idle = futures::future::join_all(idle.into_iter().map(Client::rest));
        let (drained, rests, busy, late) = tokio::join!(drained, idle, busy.rest(), late.rest());
        assert_eq!(drained.expect("it runs").closed, 0);
        assert!(rests.iter().chain([&busy, &late]).all(|rest| rest == b"bye\n"));
        assert_eq!(server.outside.metrics().ended.completed, count as u64 + 1);
        server.tree.stop().await;
    });
}
