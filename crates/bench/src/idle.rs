//! Memory of an idle connection: many are opened, each echoes once and then stays idle.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpStream;

use crate::echo::echo;
use crate::error::{Error, Failure};
use crate::load::{Load, dial};
use crate::memory::resident;
use crate::server::Server;

/// Number of descriptors of the load generator beside its connections.
const RESERVED: usize = 256;

/// A number of idle connections.
#[derive(Clone, Copy)]
pub(crate) struct Idle {
    pub(crate) connections: usize,
    pub(crate) bytes: usize,
}

impl Idle {
    /// Resident memory of a server per connection, in bytes. Each measurement starts a new server, because
    /// used memory is seldom returned to the kernel.
    pub(crate) async fn measure(self, name: &'static str) -> Result<f64, Error> {
        let connections = self.connections.min(possible()?);
        let server = Server::start(name, Load::Echo { connections: 1, bytes: self.bytes }).await?;
        let before = resident(server.pid())?;
        let opened = self.open(&server, connections).await;
        let used = resident(server.pid())?.saturating_sub(before);
        match opened {
            Ok(open) => Ok(used as f64 / open.len() as f64),
            Err(first) => Err(server.failed(Failure::Operations { count: 1, first })),
        }
    }

    async fn open(self, server: &Server, connections: usize) -> io::Result<Vec<TcpStream>> {
        let (mut open, mut buffer) = (Vec::with_capacity(connections), Vec::new());
        for number in 0..connections {
            let mut stream = dial(server.address(), number).await?;
            echo(&mut stream, self.bytes, &mut buffer).await?;
            open.push(stream);
        }
        Ok(open)
    }
}

/// Number of connections below the limit of open files. Raises the soft limit to the hard one; servers
/// inherit it.
fn possible() -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?;
    let most = limit.maximum.and_then(|limit| usize::try_from(limit).ok());
    Ok(most.map_or(usize::MAX, |limit| limit.saturating_sub(RESERVED)).max(1))
}
