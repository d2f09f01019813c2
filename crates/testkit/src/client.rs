//! A blocking TCP client with a timeout on every operation.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::limits::DEADLINE;

/// A TCP connection. No read or write blocks longer than [`DEADLINE`].
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects, with `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// If the connection is refused or not established within [`DEADLINE`].
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream })
    }

    /// A second handle of the same connection, so one thread can read while another writes.
    ///
    /// # Errors
    ///
    /// If no descriptor is free.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()? })
    }

    /// Sends all bytes.
    ///
    /// # Errors
    ///
    /// If the peer has closed, or does not read within [`DEADLINE`].
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Receives exactly `length` bytes.
    ///
    /// # Errors
    ///
    /// If the peer closes earlier, or does not send them within [`DEADLINE`].
    pub fn receive(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Returns whether the receive buffer is empty: neither bytes nor an end of file have arrived.
    ///
    /// # Errors
    ///
    /// If the connection is reset.
    pub fn is_silent(&self) -> io::Result<bool> {
        self.stream.set_nonblocking(true)?;
        let come = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false)?;
        match come {
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Shuts the sending direction down. Bytes of the peer can still be received.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Shuts both directions down, for all handles of this connection.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub fn shut_down(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Both)
    }

    /// Receives until the peer closes, by end of file or by reset.
    ///
    /// # Errors
    ///
    /// If the peer does not close within [`DEADLINE`] of its last byte.
    pub fn until_closed(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(bytes),
                Ok(length) => bytes.extend_from_slice(chunk.get(..length).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(bytes),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Closes with a reset (`SO_LINGER` with 0 s) instead of a FIN.
    ///
    /// # Errors
    ///
    /// If the kernel refuses the option.
    pub fn reset(self) -> io::Result<()> {
        Ok(set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}
