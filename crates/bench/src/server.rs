//! Servers under test. Each is a child process that runs this program.

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

/// Bound of the time until a server is ready.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Interval of the checks whether a server is ready.
const RETRY: Duration = Duration::from_millis(5);

/// Bound of the stderr in an error, in bytes.
const MAX_STDERR: usize = 16 * 1024;

/// A server that runs as a child process until the value is dropped.
pub(crate) struct Server {
    name: &'static str,
    address: SocketAddr,
    load: Load,
    child: Child,
    /// The stderr of the server: a memory file that is shown in errors.
    stderr: File,
}

impl Server {
    /// Starts a server on a free port and waits until it serves one operation of the load.
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

    /// Runs the load for this time. Also returns the processor time of the server.
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

    /// The error for a failed measurement, with the stderr of the server.
    pub(crate) fn failed(&self, failure: Failure) -> Error {
        Error::Failed { name: self.name, failure, stderr: self.stderr_text() }
    }

    /// The stderr of the server so far.
    fn stderr_text(&self) -> String {
        let mut text = vec![0; MAX_STDERR];
        // `read_at` does not move the file offset, which the server shares.
        match self.stderr.read_at(&mut text, 0) {
            Ok(length) => String::from_utf8_lossy(text.get(..length).unwrap_or_default()).into_owned(),
            Err(error) => format!("(cannot be read: {error})"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it has exited. Processes of a tree exit with their main.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// A free loopback address.
fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind(("127.0.0.1", 0))?.local_addr()
}

/// Runs a server. Called in the child process.
pub(crate) fn run(name: &str, address: SocketAddr) -> Result<ExitCode, Error> {
    // The server dies with the load generator.
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
