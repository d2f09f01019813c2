//! Listening sockets that this process inherits.

use std::io;

use impresario_sys::ListenFdsError;

use super::listen_socket::ListenSocket;

/// A listening socket that this process has inherited.
#[derive(Debug)]
pub struct Inherited {
    /// Its name (systemd: `FileDescriptorName=`); `unknown` if it has none.
    pub name: String,
    /// The socket.
    pub socket: ListenSocket,
}

/// Why no inherited sockets were taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InheritError {
    /// The environment variables are wrong.
    #[error(transparent)]
    Environment(#[from] ListenFdsError),
    /// A descriptor is not a listening stream socket.
    #[error("the inherited descriptor {name} cannot be used: {source}")]
    Socket {
        /// Its name.
        name: String,
        /// The error.
        source: io::Error,
    },
}

/// Takes the listening sockets that this process has inherited, as systemd passes them (`LISTEN_FDS`,
/// `LISTEN_PID`,
/// `LISTEN_FDNAMES`). Empty when the variables are not set, or are for another process.
///
/// Each can be taken once. Give it to [`Listener::on`](crate::Listener::on).
///
/// # Errors
///
/// When the variables name descriptors that are not open, were taken before, or are not listening sockets.
#[doc(alias = "sd_listen_fds")]
pub fn inherited() -> Result<Vec<Inherited>, InheritError> {
    let descriptors = impresario_sys::listen_fds()?;
    let adopt = |(name, descriptor)| match ListenSocket::try_from(descriptor) {
        Ok(socket) => Ok(Inherited { name, socket }),
        Err(source) => Err(InheritError::Socket { name, source }),
    };
    descriptors.into_iter().map(adopt).collect()
}
