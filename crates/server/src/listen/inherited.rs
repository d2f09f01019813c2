//! Sockets that whoever started this process listens on already.

use std::io;

use impresario_sys::ListenFdsError;

use super::listen_socket::ListenSocket;

/// A listening socket that this process was started with.
#[derive(Debug)]
pub struct Inherited {
    /// What whoever passed it calls it (systemd: `FileDescriptorName=`); `unknown` if that was not said.
    pub name: String,
    /// The socket.
    pub socket: ListenSocket,
}

/// Why there are no inherited sockets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InheritError {
    /// What the environment says does not hold.
    #[error(transparent)]
    Environment(#[from] ListenFdsError),
    /// One of them is not what it should be.
    #[error("the inherited descriptor {name} cannot be used: {source}")]
    Socket {
        /// Its name.
        name: String,
        /// Why not.
        source: io::Error,
    },
}

/// Takes over the listening sockets that this process was started with, as systemd passes them (`LISTEN_FDS`,
/// `LISTEN_PID`, `LISTEN_FDNAMES`). None when the environment says nothing of them, or means another process.
///
/// Each can be taken once. Give it to [`Listener::on`](crate::Listener::on).
///
/// # Errors
///
/// When the environment speaks of descriptors that are not there, or were taken before, or are no sockets that listen.
#[doc(alias = "sd_listen_fds")]
pub fn inherited() -> Result<Vec<Inherited>, InheritError> {
    let descriptors = impresario_sys::listen_fds()?;
    let adopt = |(name, descriptor)| match ListenSocket::try_from(descriptor) {
        Ok(socket) => Ok(Inherited { name, socket }),
        Err(source) => Err(InheritError::Socket { name, source }),
    };
    descriptors.into_iter().map(adopt).collect()
}
