//! The load generator: one thread, many connections, one operation in flight on each.

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

/// How long a load runs before it counts.
const WARM_UP: Duration = Duration::from_millis(100);
/// How long one operation may take.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
/// From how many loopback addresses connections come, so that ports in TIME_WAIT never run out.
const SOURCES: usize = 64;

/// What is done to a server, again and again.
#[derive(Clone, Copy)]
pub(crate) enum Load {
    /// Bytes there and back on connections that stay.
    Echo { connections: usize, bytes: usize },
    /// Connect, one echo, close.
    Connect { at_once: usize, bytes: usize },
    /// The same, encrypted: the handshake and the good-byes belong to it.
    TlsConnect { at_once: usize, bytes: usize },
    /// `GET /` on connections that stay.
    Http { connections: usize },
}

/// What one measurement found.
pub(crate) struct Outcome {
    /// Those that count.
    pub(crate) operations: u64,
    /// All, those of the warm-up and the last ones included.
    pub(crate) all: u64,
    pub(crate) time: Duration,
    pub(crate) latency: Histogram,
}

impl Outcome {
    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.operations as f64 / self.time.as_secs_f64()
    }
}

impl Load {
    /// One operation, to see whether the server is there.
    pub(crate) async fn probe(self, address: SocketAddr) -> io::Result<()> {
        let mut client = Client::new(self, address, 0, TlsClient::new()?);
        within(client.operation()).await
    }

    /// Puts the server under this load, and counts what ends within this time after the warm-up.
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

/// What one client has seen.
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

/// One of the many that make a load.
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

    /// Operates until the end and counts what begins after the start. The first error is its last operation.
    async fn run(mut self, start: Instant, end: Instant) -> Tally {
        let mut tally = Tally::default();
        // One time-out for all: a timer for each operation would be measured along.
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
        let result = tokio::time::timeout_at(last.into(), operations).await.unwrap_or_else(|_| Err(late()));
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

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {OPERATION_TIMEOUT:?}"))
}

async fn within(operation: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    tokio::time::timeout(OPERATION_TIMEOUT, operation).await.unwrap_or_else(|_| Err(late()))
}
