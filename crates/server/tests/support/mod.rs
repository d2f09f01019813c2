//! A tree with a server in it, a client, and a log that can be waited for.
#![allow(dead_code, reason = "every test file uses its own part")]

pub(crate) mod faulty;
pub(crate) mod owner;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use impresario_actor::{ChildSpec, ExitReason, StartError, Strategy, Supervisor, Tree};
use impresario_server::{Bytes, Handler, Listener, ListenerRef, Next, Protocol, Socket};
use slog::{Drain, KV, Logger, OwnedKVList, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The longest time that any test may take. Not a measure of anything: it ends a test that hangs.
const TEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Runs a test inside a `System`.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let bounded = async { tokio::time::timeout(TEST_TIMEOUT, test).await.expect("the test hangs") };
    actix_rt::System::new().block_on(bounded)
}

/// Echoes; panics at the line `panic`, fails at `fail`, closes at `close`, says `bye` when the server goes down.
pub(crate) struct Echo;

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        match &*data {
            b"panic\n" => panic!("asked to"),
            b"fail\n" => return Err(io::Error::other("asked to fail")),
            b"close\n" => {
                socket.send("closing\n").await?;
                return Ok(Next::Close);
            }
            _ => socket.send(&data).await?,
        }
        Ok(Next::Continue)
    }

    async fn shutdown(&mut self, socket: &mut Socket) -> io::Result<()> {
        socket.send("bye\n").await
    }
}

/// The lines of a log, as they come.
pub(crate) struct Lines(UnboundedReceiver<String>);

impl Lines {
    /// Waits for a line that contains all of these words, and drops those before it.
    pub(crate) async fn wait_for(&mut self, words: &[&str]) -> String {
        loop {
            let line = self.0.recv().await.expect("the log is open");
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    /// The lines that are there.
    pub(crate) fn so_far(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.0.try_recv().ok()).collect()
    }
}

struct LineDrain(Mutex<UnboundedSender<String>>);

impl Drain for LineDrain {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), slog::Never> {
        let mut line = Line(format!("{} {}", record.level().as_str(), record.msg()));
        // Writing to a string does not fail.
        let _ = record.kv().serialize(record, &mut line);
        let _ = values.serialize(record, &mut line);
        let _ = self.0.lock().expect("no panic while logging").send(line.0);
        Ok(())
    }
}

struct Line(String);

impl slog::Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        self.0.push_str(&format!(" {key}={value}"));
        Ok(())
    }
}

/// A log, and what is written to it.
pub(crate) fn log() -> (Logger, Lines) {
    let (sender, receiver) = unbounded_channel();
    (Logger::root(LineDrain(Mutex::new(sender)).ignore_res(), slog::o!()), Lines(receiver))
}

/// A running tree.
pub(crate) struct Running {
    pub(crate) root: Tree,
    pub(crate) log: Lines,
}

impl Running {
    /// Starts a tree of these children.
    pub(crate) async fn start(children: impl IntoIterator<Item = ChildSpec>) -> Result<Running, StartError> {
        Self::with(Strategy::OneForOne, children).await
    }

    pub(crate) async fn with(
        strategy: Strategy,
        children: impl IntoIterator<Item = ChildSpec>,
    ) -> Result<Running, StartError> {
        let (logger, log) = log();
        let root = Supervisor::new(strategy).logger(logger);
        let root = children.into_iter().fold(root, Supervisor::child);
        Ok(Running { root: root.start().await?, log })
    }

    /// Stops it and waits for its end.
    pub(crate) async fn stop(self) {
        self.root.stop();
        assert_eq!(self.root.stopped().await, ExitReason::Shutdown);
    }
}

/// A server on a port that the kernel chose.
pub(crate) struct Server<P> {
    pub(crate) listener: Listener<P>,
    /// The same from outside.
    pub(crate) outside: ListenerRef,
    pub(crate) tree: Running,
}

impl<P: Protocol> Server<P> {
    pub(crate) async fn start(protocol: P) -> Self {
        Self::of(Listener::tcp("127.0.0.1:0", protocol)).await
    }

    pub(crate) async fn of(listener: Listener<P>) -> Self {
        let tree = Running::start([listener.child_spec("server")]).await.expect("a free port");
        Self { outside: listener.listener_ref(), listener, tree }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.listener.local_addr().expect("it listens")
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.addr()).await
    }
}

/// The other end.
pub(crate) struct Client(pub(crate) TcpStream);

impl Client {
    pub(crate) async fn connect(addr: SocketAddr) -> Self {
        Self(TcpStream::connect(addr).await.expect("the server listens"))
    }

    pub(crate) async fn send(&mut self, data: impl AsRef<[u8]>) {
        self.0.write_all(data.as_ref()).await.expect("the server reads");
    }

    /// Reads exactly this.
    pub(crate) async fn expect(&mut self, data: impl AsRef<[u8]>) {
        let mut bytes = vec![0; data.as_ref().len()];
        self.0.read_exact(&mut bytes).await.expect("the server answers");
        assert_eq!(bytes.escape_ascii().to_string(), data.as_ref().escape_ascii().to_string());
    }

    /// Sends it and reads it back.
    pub(crate) async fn echo(&mut self, data: &str) {
        self.send(data).await;
        self.expect(data).await;
    }

    /// The same, where the server may be gone.
    pub(crate) async fn try_echo(&mut self, data: &str) -> bool {
        let mut bytes = vec![0; data.len()];
        self.0.write_all(data.as_bytes()).await.is_ok()
            && self.0.read_exact(&mut bytes).await.is_ok()
            && bytes == data.as_bytes()
    }

    /// Says that it will not send any more.
    pub(crate) async fn finish(&mut self) {
        self.0.shutdown().await.expect("still connected");
    }

    /// Everything that still comes until the server closes.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.expect("an orderly end");
        rest
    }

    /// Waits until the server closes, in whatever way.
    pub(crate) async fn closed(mut self) {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        assert_eq!(rest.escape_ascii().to_string(), "");
    }
}

/// Waits for something that no event tells: turns of the scheduler until it holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
