//! The process at the other end of a unix socket.

use std::io;
use std::os::fd::BorrowedFd;

use rustix::net::sockopt::socket_peercred;

/// The process at the other end of a unix socket, when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// The process.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
}

impl Credentials {
    pub(crate) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let peer = socket_peercred(socket)?;
        let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).map_err(io::Error::other)?;
        Ok(Self { pid, uid: peer.uid.as_raw(), gid: peer.gid.as_raw() })
    }
}
