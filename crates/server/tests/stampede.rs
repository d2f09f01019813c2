//! Any actor of the tree of a listener is killed at any moment, for 10 s and with 100 connections open. Each time the
//! listener comes back by itself, and in the end nothing is left behind. Alone in its process, because descriptors and
//! threads are counted.

mod support;

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use impresario_actor::{Intensity, NodeState, Pid, Strategy, Supervisor, Tree, TreeNode};
use impresario_server::{Listener, ListenerRef};
use support::{Client, Echo, log, run, until};
use tokio::io::AsyncReadExt;
use tokio::sync::watch;
use tokio::time::Instant;

/// How many connections are open, or about to be opened again, all the time; and how many there may be.
const CONNECTIONS: usize = 100;
/// For how long actors are killed. That bounds the load; nothing waits for it to pass.
const LOAD: Duration = Duration::from_secs(10);
/// How many are killed at once, at most.
const BURST: usize = 4;

/// What must be the same in the end as it was in the beginning.
#[derive(Debug, PartialEq, Eq)]
struct Belongings {
    descriptors: usize,
    threads: usize,
    actors: usize,
}

fn entries(folder: &str) -> usize {
    fs::read_dir(folder).expect("a Linux with /proc").count()
}

async fn belongings(tree: &Tree) -> Belongings {
    let actors = nodes(&tree.tree().await).len();
    Belongings { descriptors: entries("/proc/self/fd"), threads: entries("/proc/self/task"), actors }
}

/// Everything in a tree but its root.
fn nodes(tree: &TreeNode) -> Vec<&TreeNode> {
    tree.children().iter().flat_map(|child| [vec![child], nodes(child)].concat()).collect()
}

/// Those that run: what carries the listener, and its connections.
fn living(tree: &TreeNode) -> (Vec<Pid>, Vec<Pid>) {
    let actors =
        nodes(tree).into_iter().filter_map(|node| Some((node.below.is_some(), node, node.pid.clone()?)));
    let (carriers, connections): (Vec<_>, Vec<_>) = actors.partition(|(is_supervisor, node, _)| {
        *is_supervisor || node.id.starts_with("acceptor") || node.id == "drain"
    });
    let pids = |actors: Vec<(bool, &TreeNode, Pid)>| actors.into_iter().map(|(_, _, pid)| pid).collect();
    (pids(carriers), pids(connections))
}

/// Keeps one connection open, and replaces it whenever it is closed, until the end of the test.
async fn hold(address: SocketAddr, mut stop: watch::Receiver<()>) {
    let hold = async {
        loop {
            // Never refused: the socket stays open, whatever has died.
            let mut client = Client::connect(address).await;
            if client.try_echo("hello\n").await {
                // Until it is closed, in whatever way.
                let _ = client.0.read(&mut [0]).await;
            }
        }
    };
    tokio::select! {
        _ = stop.changed() => {}
        () = hold => {}
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}

/// Kills some at random, carriers as often as connections. Says how many.
async fn kill_some(tree: &Tree, random: &mut Random) -> usize {
    let (carriers, connections) = living(&tree.tree().await);
    let burst = 1 + random.below(BURST);
    for _ in 0..burst {
        let pids = if random.below(2) == 0 || connections.is_empty() { &carriers } else { &connections };
        pids[random.below(pids.len())].kill();
        // The next one dies at the same time, or while others do something about this.
        for _ in 0..random.below(20) {
            tokio::task::yield_now().await;
        }
    }
    burst
}

/// The server, with as many clients as it has room for.
async fn fill(outside: &ListenerRef, address: SocketAddr) -> watch::Sender<()> {
    let (stop, stopped) = watch::channel(());
    for _ in 0..CONNECTIONS {
        actix_rt::spawn(hold(address, stopped.clone()));
    }
    drop(stopped);
    outside.until_active(|active| active == CONNECTIONS).await;
    stop
}

/// Ends all clients, and waits until the server has noticed.
async fn empty(outside: &ListenerRef, stop: watch::Sender<()>) {
    stop.send_replace(());
    stop.closed().await;
    until(|| outside.metrics().all == 0).await;
}

#[test]
fn any_actor_killed_the_listener_restarts_without_leak() {
    run(async {
        let (logger, mut log) = log();
        // A leaked permit would keep one of the last connections out.
        let listener = Listener::tcp("127.0.0.1:0", || Echo).arbiters(2).max_connections(CONNECTIONS);
        let root = Supervisor::new(Strategy::OneForOne).intensity(Intensity::new(u32::MAX, LOAD));
        let tree =
            root.child(listener.child_spec("server")).logger(logger).start().await.expect("a free port");
        let (outside, address) = (listener.listener_ref(), listener.local_addr().expect("it listens"));
        empty(&outside, fill(&outside, address).await).await;
        let before = belongings(&tree).await;

        let stop = fill(&outside, address).await;
        let (mut random, mut killed, began) = (Random(0x5eed), 0, Instant::now());
        while began.elapsed() < LOAD {
            killed += kill_some(&tree, &mut random).await;
            outside.until_active(|active| active == CONNECTIONS).await;
        }
        assert!(killed > 0);
        // No death was taken for a shutdown, which would close all connections and refuse new ones.
        assert!(!log.so_far().iter().any(|line| line.contains("draining")));
        empty(&outside, stop).await;
        assert_eq!(listener.local_addr(), Some(address));

        // Now all of them at once, and all of them are served.
        empty(&outside, fill(&outside, address).await).await;
        let mut after = belongings(&tree).await;
        while after != before {
            tokio::task::yield_now().await;
            after = belongings(&tree).await;
        }
        let picture = tree.tree().await;
        assert!(nodes(&picture).iter().all(|node| node.state == NodeState::Running), "{picture}");
        // Each connection was served to some end, or refused; and counted once.
        until(|| {
            let metrics = outside.metrics();
            metrics.accepted == metrics.ended.total() + metrics.rejected.refused
        })
        .await;
        tree.stop();
        tree.stopped().await;
    });
}
