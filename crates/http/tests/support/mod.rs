//! A server with routes, and a client that reads raw bytes.
#![allow(dead_code, reason = "every test file uses its own part")]

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::{get, post};
use impresario_actor::{ExitReason, Strategy, Supervisor, Tree};
use impresario_http::{Http, service};
use impresario_server::{Listener, Protocol};
use slog::{Drain, KV, Logger, OwnedKVList, Record};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

/// Deadline of a test, in real time. It ends a test that hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test inside a `System`.
pub(crate) fn run<T>(test: impl Future<Output = T>) -> T {
    let bounded = async { tokio::time::timeout(DEADLINE, test).await.expect("the test hangs") };
    actix_rt::System::new().block_on(bounded)
}

/// Runs a test on a paused clock, which only the test advances.
pub(crate) fn run_paused<T>(test: impl Future<Output = T>) -> T {
    let began = std::time::Instant::now();
    // tokio advances a paused clock when the runtime is idle. This loop keeps it busy.
    let awake = async {
        while began.elapsed() < DEADLINE {
            tokio::task::yield_now().await;
        }
    };
    actix_rt::System::new().block_on(async {
        tokio::time::pause();
        tokio::select! {
            result = test => result,
            () = awake => panic!("the test hangs"),
        }
    })
}

/// Advances the clock by steps of 1 s until the future is ready. Returns the time on that clock.
///
/// The network needs real time meanwhile, so tests may rely on a lower bound only.
pub(crate) async fn passing<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let began = tokio::time::Instant::now();
    let mut future = std::pin::pin!(future);
    loop {
        tokio::select! {
            biased;
            result = future.as_mut() => return (result, began.elapsed()),
            () = tokio::time::advance(Duration::from_secs(1)) => tokio::task::yield_now().await,
        }
    }
}

/// The routes. `/slow` notifies `begun`, then waits for `go`.
pub(crate) fn routes(begun: Arc<Notify>, go: Arc<Notify>) -> Router {
    let slow = move || async move {
        begun.notify_one();
        go.notified().await;
        "done\n"
    };
    Router::new()
        .route("/", get(async || "hello\n"))
        .route("/echo", post(async |body: Body| body))
        .route("/panic", get(async || -> &'static str { panic!("panic on request") }))
        .route("/slow", get(slow))
}

/// A running server.
pub(crate) struct Server<P> {
    listener: Listener<P>,
    pub(crate) tree: Tree,
    pub(crate) errors: Errors,
}

impl Server<Http<Router>> {
    /// A server of [`routes`].
    pub(crate) async fn of_routes() -> Self {
        Self::start(service(routes(Arc::default(), Arc::default()))).await
    }
}

impl<P: Protocol> Server<P> {
    pub(crate) async fn start(protocol: P) -> Self {
        Self::of(Listener::tcp("127.0.0.1:0", protocol)).await
    }

    pub(crate) fn active(&self) -> usize {
        self.listener.active()
    }

    pub(crate) async fn of(listener: Listener<P>) -> Self {
        let errors = Errors::default();
        let log = Logger::root(errors.clone().ignore_res(), slog::o!());
        let tree = Supervisor::new(Strategy::OneForOne).logger(log).child(listener.child_spec("http"));
        let tree = tree.start().await.expect("a port is free");
        Self { listener, tree, errors }
    }

    pub(crate) async fn client(&self) -> Client {
        let addr = self.listener.local_addr().expect("the server listens");
        Client(TcpStream::connect(addr).await.expect("the server listens"))
    }

    /// Stops the tree and waits for its exit.
    pub(crate) async fn stop(self) {
        self.tree.stop();
        assert_eq!(self.tree.stopped().await, ExitReason::Shutdown);
    }
}

/// The records of level error or above.
#[derive(Clone, Debug, Default)]
pub(crate) struct Errors(Arc<Mutex<Vec<String>>>);

impl Errors {
    pub(crate) fn count(&self) -> usize {
        self.all().len()
    }

    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().expect("no panic while logging").clone()
    }
}

impl Drain for Errors {
    type Ok = ();
    type Err = slog::Never;

    fn log(&self, record: &Record<'_>, _: &OwnedKVList) -> Result<(), slog::Never> {
        if record.level().is_at_least(slog::Level::Error) {
            let mut line = Line(record.msg().to_string());
            // `Line` returns no errors.
            let _ = record.kv().serialize(record, &mut line);
            self.0.lock().expect("no panic while logging").push(line.0);
        }
        Ok(())
    }
}

/// The message and the values of a record.
struct Line(String);

impl slog::Serializer for Line {
    fn emit_arguments(&mut self, key: slog::Key, value: &std::fmt::Arguments<'_>) -> slog::Result {
        self.0.push_str(&format!(", {key}: {value}"));
        Ok(())
    }
}

/// A client that sends and receives raw bytes.
pub(crate) struct Client(pub(crate) TcpStream);

/// A response as it was received.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    pub(crate) fn closes(&self) -> bool {
        self.head.to_ascii_lowercase().contains("\r\nconnection: close\r\n")
    }
}

impl Client {
    pub(crate) async fn send(&mut self, data: impl AsRef<[u8]>) {
        self.0.write_all(data.as_ref()).await.expect("the server reads");
    }

    /// Sends a GET and reads the response.
    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.ask(path).await;
        self.answer().await
    }

    pub(crate) async fn ask(&mut self, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n")).await;
    }

    pub(crate) async fn post(&mut self, path: &str, headers: &str, body: &str) {
        self.send(format!("POST {path} HTTP/1.1\r\nhost: test\r\n{headers}\r\n{body}")).await;
    }

    /// Resets the connection (`SO_LINGER` 0).
    pub(crate) fn reset(self) {
        self.0.set_zero_linger().expect("the socket is open");
    }

    /// Reads one response with a `content-length`.
    pub(crate) async fn answer(&mut self) -> Answer {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.0.read_u8().await.expect("the server answers"));
        }
        let head = String::from_utf8(head).expect("the bytes are UTF-8");
        let length = head.to_ascii_lowercase();
        let length = length.split("content-length: ").nth(1).and_then(|rest| rest.split('\r').next());
        let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
        self.0.read_exact(&mut body).await.expect("the server answers");
        Answer { head, body }
    }

    /// Reads exactly this text.
    pub(crate) async fn expect(&mut self, text: &str) {
        let mut bytes = vec![0; text.len()];
        self.0.read_exact(&mut bytes).await.expect("the server answers");
        assert_eq!(String::from_utf8_lossy(&bytes), text);
    }

    /// Reads until the server closes.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).await.expect("the connection ends without an error");
        String::from_utf8(rest).expect("the bytes are UTF-8")
    }

    /// Waits until the server closes or resets. Fails if bytes arrive before that.
    pub(crate) async fn closed(&mut self) {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        assert_eq!(rest.escape_ascii().to_string(), "");
    }
}

/// Waits until the condition holds, for states without an event. Yields between the checks.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::task::yield_now().await;
    }
}
