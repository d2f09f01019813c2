//! Listening sockets that the parent process passed to this one, as systemd does.

use std::io;

use impresario_sys::ListenFdsError;

use super::listen_socket::ListenSocket;

/// A listening socket that the parent process passed.
#[derive(Debug)]
pub struct Inherited {
    /// Its name in `LISTEN_FDNAMES` (systemd: `FileDescriptorName=`). The default is `unknown`.
    pub name: String,
    /// The socket.
    pub socket: ListenSocket,
}

/// Why the inherited sockets cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InheritError {
    /// The environment variables do not match the open descriptors.
    #[error(transparent)]
    Environment(#[from] ListenFdsError),
    /// A descriptor is not a listening stream socket.
    #[error("the inherited descriptor {name} cannot be used: {source}")]
    Socket {
        /// The name of the socket.
        name: String,
        /// The error of the check.
        source: io::Error,
    },
}

/// Takes the listening sockets that the parent process passed by the protocol of systemd (`LISTEN_FDS`, `LISTEN_PID`,
/// `LISTEN_FDNAMES`). Empty when `LISTEN_FDS` is not set or `LISTEN_PID` is another process.
///
/// A second call fails, because each socket has one owner. Pass a socket to [`Listener::on`](crate::Listener::on).
///
/// # Errors
///
/// A descriptor is not open, was taken before, or is not a listening stream socket.
#[doc(alias = "sd_listen_fds")]
pub fn inherited() -> Result<Vec<Inherited>, InheritError> {
    let descriptors = impresario_sys::listen_fds()?;
    let adopt = |(name, descriptor)| match ListenSocket::try_from(descriptor) {
        Ok(socket) => Ok(Inherited { name, socket }),
        Err(source) => Err(InheritError::Socket { name, source }),
    };
    descriptors.into_iter().map(adopt).collect()
}
