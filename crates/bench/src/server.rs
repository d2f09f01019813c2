//! Servers under test: each a child process, this program again.

use std::fs::File;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::command::SERVE;
use crate::error::{Error, Failure};
use crate::load::{Load, Outcome};
use crate::{cpu, peers, serve};

/// How long a server may take until it answers.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before it is asked again.
const RETRY: Duration = Duration::from_millis(5);

/// How much of what a server said is shown at most.
const MAX_STDERR: usize = 16 * 1024;

/// A server that runs as a child process for as long as this value lives.
pub(crate) struct Server {
    name: &'static str,
    address: SocketAddr,
    load: Load,
    child: Child,
    /// What it writes to stderr: shown when it fails, and else in nobody's way.
    stderr: File,
}

impl Server {
    /// Starts it on a free port and waits until it answers as the load wants it.
    pub(crate) async fn start(name: &'static str, load: Load) -> Result<Self, Error> {
        let address = free_address()?;
        let stderr = File::from(memfd_create(c"stderr", MemfdFlags::CLOEXEC).map_err(io::Error::from)?);
        let child = Command::new(std::env::current_exe()?)
            .args([SERVE, name, &address.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr.try_clone()?)
            .spawn()?;
        let mut server = Self { name, address, load, child, stderr };
        let end = Instant::now() + START_TIMEOUT;
        while let Err(error) = load.probe(address).await {
            if let Some(status) = server.child.try_wait()? {
                return Err(Error::Ended { name, status, stderr: server.stderr_text() });
            }
            if Instant::now() >= end {
                return Err(Error::Silent { name, last: error.to_string(), stderr: server.stderr_text() });
            }
            tokio::time::sleep(RETRY).await;
        }
        Ok(server)
    }

    /// Puts it under its load for this time; also returns the processor time that it needed for that.
    pub(crate) async fn measure(&self, time: Duration) -> Result<(Outcome, Duration), Error> {
        let before = cpu::used(self.child.id());
        let outcome = self.load.run(self.address, time).await;
        let used = cpu::used(self.child.id()).saturating_sub(before);
        match outcome {
            Ok(outcome) => Ok((outcome, used)),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it did wrong, and what it said.
    pub(crate) fn failed(&self, failure: Failure) -> Error {
        Error::Failed { name: self.name, failure, stderr: self.stderr_text() }
    }

    /// What it has written to stderr, if that can still be read.
    fn stderr_text(&self) -> String {
        let mut said = vec![0; MAX_STDERR];
        // Not by `read`, which would move the place where the server writes next.
        match self.stderr.read_at(&mut said, 0) {
            Ok(length) => String::from_utf8_lossy(said.get(..length).unwrap_or_default()).into_owned(),
            Err(error) => format!("(cannot be read: {error})"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it is already gone. Whatever it forked goes with it: our trees do not outlive their main.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An address that nobody listens on just now.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// Is one of the servers; what a child process does.
pub(crate) fn run(name: &str, address: SocketAddr) -> Result<ExitCode, Error> {
    // A load generator that is killed takes its servers along.
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(io::Error::from)?;
    match name {
        "bare-echo" => peers::echo(address).map(|()| ExitCode::SUCCESS),
        "bare-tls-echo" => peers::tls_echo(address).map(|()| ExitCode::SUCCESS),
        "bare-hyper" => peers::hyper(address).map(|()| ExitCode::SUCCESS),
        "echo" => Ok(serve::echo(address)),
        "tls-echo" => serve::tls_echo(address),
        "http" => Ok(serve::http(address)),
        "http-router" => Ok(serve::workers(address, true)),
        "http-direct" => Ok(serve::workers(address, false)),
        _ => Err(Error::Server(name.to_owned())),
    }
}
