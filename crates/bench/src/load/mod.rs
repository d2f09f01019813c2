//! The load generator: one thread, many connections, one operation at a time on each.
//!
//! It knows the client side of the rows: echo, TLS, HTTP. It knows no rows and no server processes.

mod histogram;
mod http;

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;

use crate::echo::echo;
use crate::error::Failure;
use crate::tls::client::Client as TlsClient;
pub(crate) use histogram::Histogram;

/// Time of load before the measurement begins.
const WARM_UP: Duration = Duration::from_millis(100);
/// Bound of one operation.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of loopback addresses from which connections come, so that ports in TIME_WAIT do not run out.
const SOURCES: usize = 64;

/// Operations that are repeated.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// Echo on open connections.
    Echo { connections: usize, bytes: usize },
    /// Connect, one echo, close.
    Connect { at_once: usize, bytes: usize },
    /// The same with TLS. Handshake and `close_notify` are part of the operation.
    TlsConnect { at_once: usize, bytes: usize },
    /// `GET /` on open connections.
    Http { connections: usize },
}

/// Result of one measurement.
pub(crate) struct Outcome {
    /// Operations within the measured time.
    pub(crate) operations: u64,
    /// All operations, with those of the warm-up and those that ended late.
    pub(crate) all: u64,
    pub(crate) time: Duration,
    pub(crate) latency: Histogram,
}

impl Outcome {
    /// Operations per second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.time.as_secs_f64()
    }
}

impl Load {
    /// Runs one operation, to check whether the server is ready.
    pub(crate) async fn probe(self, address: SocketAddr) -> io::Result<()> {
        let mut client = Client::new(self, address, 0, TlsClient::new()?);
        within(client.operation()).await
    }

    /// Runs the load for the warm-up and then for `time`. Counts operations that begin and end within `time`.
    pub(crate) async fn run(self, address: SocketAddr, time: Duration) -> Result<Outcome, Failure> {
        let count = match self {
            Self::Echo { connections, .. } | Self::Http { connections } => connections,
            Self::Connect { at_once, .. } | Self::TlsConnect { at_once, .. } => at_once,
        };
        let start = Instant::now() + WARM_UP;
        let tls = TlsClient::new().map_err(|first| Failure::Operations { count: 1, first })?;
        let clients = (0..count).map(|number| Client::new(self, address, number, tls.clone()));
        let mut running: JoinSet<Tally> = clients.map(|client| client.run(start, start + time)).collect();
        let mut sum = Tally::default();
        while let Some(joined) = running.join_next().await {
            sum.add(joined?);
        }
        if let Some(first) = sum.first_error {
            return Err(Failure::Operations { count: sum.errors, first });
        }
        if sum.latency.count() == 0 {
            return Err(Failure::Nothing);
        }
        Ok(Outcome { operations: sum.latency.count(), all: sum.all, time, latency: sum.latency })
    }
}

/// Result of one client.
#[derive(Default)]
struct Tally {
    latency: Histogram,
    all: u64,
    errors: u64,
    first_error: Option<io::Error>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.latency.add(&other.latency);
        self.all += other.all;
        self.errors += other.errors;
        self.first_error = self.first_error.take().or(other.first_error);
    }
}

/// One client of a load.
struct Client {
    load: Load,
    address: SocketAddr,
    number: usize,
    stream: Option<TcpStream>,
    tls: TlsClient,
    buffer: Vec<u8>,
}

impl Client {
    fn new(load: Load, address: SocketAddr, number: usize, tls: TlsClient) -> Self {
        Self { load, address, number, stream: None, tls, buffer: Vec::new() }
    }

    /// Repeats the operation until `end` and counts from `start`. Stops at the first error.
    async fn run(mut self, start: Instant, end: Instant) -> Tally {
        let mut tally = Tally::default();
        // One timeout for all operations, because a timer per operation would be part of the measurement.
        let last = end + OPERATION_TIMEOUT;
        let operations = async {
            loop {
                let began = Instant::now();
                if began >= end {
                    return Ok(());
                }
                self.operation().await?;
                tally.all += 1;
                let now = Instant::now();
                if began >= start && now < end {
                    tally.latency.record(now - began);
                }
            }
        };
        let result =
            tokio::time::timeout_at(last.into(), operations).await.unwrap_or_else(|_| Err(timeout_error()));
        if let Err(error) = result {
            tally.errors += 1;
            tally.first_error = Some(error);
        }
        tally
    }

    async fn operation(&mut self) -> io::Result<()> {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => dial(self.address, self.number).await?,
        };
        match self.load {
            Load::Echo { bytes, .. } => echo(&mut stream, bytes, &mut self.buffer).await?,
            Load::Connect { bytes, .. } => return echo(&mut stream, bytes, &mut self.buffer).await,
            Load::TlsConnect { bytes, .. } => return self.tls.echo(stream, bytes, &mut self.buffer).await,
            Load::Http { .. } => http::hello(&mut stream, &mut self.buffer).await?,
        }
        self.stream = Some(stream);
        Ok(())
    }
}

pub(crate) async fn dial(address: SocketAddr, number: usize) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    let last = u8::try_from(number % SOURCES).unwrap_or_default() + 1;
    socket.bind(SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0)))?;
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn timeout_error() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no response within {OPERATION_TIMEOUT:?}"))
}

async fn within(operation: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::time::timeout(OPERATION_TIMEOUT, operation).await.unwrap_or_else(|_| Err(timeout_error()))
}
