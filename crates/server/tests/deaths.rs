//! Whatever dies in the tree of a listener, in whatever order: afterwards connections work, the old ones too, and
//! nothing is left behind. Alone in its process, because descriptors are counted.

mod support;

use std::io;

use actix::Arbiter;
use impresario_actor::{Intensity, Strategy, Supervisor, Tree};
use impresario_server::{Bytes, Handler, Listener, ListenerRef, Next, Socket};
use support::{Client, Lines, log, run, until};

/// How many connections are open all the time.
const CONNECTIONS: usize = 100;
/// How many deaths there are.
const DEATHS: usize = 120;
/// How many of them are those of a thread, which is restarted by the rules and so not without end.
const THREADS: usize = 4;

/// Echoes; panics at `panic`, and at `thread` stops its arbiter.
struct Mortal;

impl Handler for Mortal {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        match &*data {
            b"panic\n" => panic!("asked to"),
            b"thread\n" => {
                Arbiter::current().stop();
                std::future::pending::<()>().await;
            }
            _ => socket.send(&data).await?,
        }
        Ok(Next::Continue)
    }
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a Linux with /proc").count()
}

/// A server under attack.
struct Stampede {
    tree: Tree,
    log: Lines,
    listener: Listener<fn() -> Mortal>,
    outside: ListenerRef,
    clients: Vec<Client>,
    random: u64,
}

impl Stampede {
    async fn start() -> Self {
        let (logger, log) = log();
        let mortal: fn() -> Mortal = || Mortal;
        let listener = Listener::tcp("127.0.0.1:0", mortal).arbiters(3);
        let root =
            Supervisor::new(Strategy::OneForOne).intensity(Intensity::new(0, std::time::Duration::MAX));
        let tree =
            root.child(listener.child_spec("server")).logger(logger).start().await.expect("a free port");
        let outside = listener.listener_ref();
        Self { tree, log, listener, outside, clients: Vec::new(), random: 0x5eed }
    }

    fn random(&mut self, below: usize) -> usize {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as usize % below
    }

    /// Opens connections until there are enough. One that is handed to a thread that is just dying is closed.
    async fn fill(&mut self) {
        while self.clients.len() < CONNECTIONS {
            let addr = self.listener.local_addr().expect("it listens");
            let mut client = Client::connect(addr).await;
            if client.try_echo("hello\n").await {
                self.clients.push(client);
            }
        }
    }

    fn victim(&mut self) -> Client {
        let victim = self.random(self.clients.len());
        self.clients.swap_remove(victim)
    }

    /// One death, seen to its end.
    async fn kill(&mut self, kind: usize) {
        let supervisor = self.outside.supervisor().clone();
        match kind {
            0 | 1 => {
                let mut victim = self.victim();
                victim.send("panic\n").await;
                victim.closed().await;
            }
            2 => {
                self.victim().0.set_zero_linger().expect("an open socket");
            }
            3 => {
                let connections = self.outside.connections();
                let victim = connections[self.random(connections.len())].id;
                assert!(self.outside.close(victim));
                until(|| self.outside.connections().iter().all(|connection| connection.id != victim)).await;
                self.sweep().await;
            }
            4 => {
                supervisor.terminate_child("acceptor").await.expect("there is one");
                supervisor.restart_child("acceptor").await.expect("it starts");
            }
            5 => {
                // A drain: all connections finish, and the acceptor returns with the next start.
                supervisor.terminate_child("drain").await.expect("there is one");
                supervisor.restart_child("drain").await.expect("it starts");
                assert_eq!(self.outside.connections().len(), 0);
                self.clients.clear();
            }
            6 => {
                // With all connections, and with those that arrive meanwhile.
                supervisor.terminate_child("connections").await.expect("there is one");
                assert_eq!(self.outside.connections().len(), 0);
                let addr = self.listener.local_addr().expect("it listens");
                Client::connect(addr).await.closed().await;
                supervisor.restart_child("connections").await.expect("it starts");
                self.clients.clear();
            }
            _ => {
                let mut victim = self.victim();
                victim.send("thread\n").await;
                victim.closed().await;
                self.log.wait_for(&["ERRO", "arbiter"]).await;
                self.sweep().await;
            }
        }
    }

    /// Drops connections that were closed.
    async fn sweep(&mut self) {
        let mut living = Vec::new();
        for mut client in self.clients.drain(..) {
            if client.try_echo("there?\n").await {
                living.push(client);
            }
        }
        self.clients = living;
    }
}

#[test]
fn whatever_dies_the_next_connection_works() {
    run(async {
        let mut stampede = Stampede::start().await;
        stampede.fill().await;
        stampede.clients.clear();
        stampede.outside.until_active(|active| active == 0).await;
        let before = descriptors();
        for death in 0..DEATHS {
            stampede.fill().await;
            let kind =
                if death % (DEATHS / THREADS) == DEATHS / THREADS / 2 { 7 } else { stampede.random(7) };
            stampede.kill(kind).await;
        }
        stampede.fill().await;
        for client in &mut stampede.clients {
            client.echo("still here\n").await;
        }
        stampede.outside.until_active(|active| active == CONNECTIONS).await;
        stampede.clients.clear();
        stampede.outside.until_active(|active| active == 0).await;
        until(|| descriptors() == before).await;
        // Each was served to some end, or refused; and counted once.
        let is_whole = || {
            let metrics = stampede.outside.metrics();
            metrics.accepted == metrics.ended.total() + metrics.rejected.refused
        };
        until(is_whole).await;
        stampede.tree.stop();
        stampede.tree.stopped().await;
    });
}
