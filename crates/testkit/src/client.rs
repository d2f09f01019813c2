//! Bytes over TCP, with an end to every wait.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use rustix::net::sockopt::set_socket_linger;

use crate::limits::DEADLINE;

/// A TCP connection on which no read or write takes longer than [`DEADLINE`].
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
}

impl Connection {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When nobody listens there, or nobody answers in time.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        stream.set_write_timeout(Some(DEADLINE))?;
        Ok(Self { stream })
    }

    /// A second handle on the same connection, for reading and writing at the same time.
    ///
    /// # Errors
    ///
    /// When there is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { stream: self.stream.try_clone()? })
    }

    /// Sends all of these bytes.
    ///
    /// # Errors
    ///
    /// When the other side is gone or does not read in time.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// Receives exactly this many bytes.
    ///
    /// # Errors
    ///
    /// When the other side closes before, or does not send them in time.
    pub fn receive(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether nothing has come that was not received, neither bytes nor an end.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
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

    /// Says that nothing more will be sent; what the other side sends can still be read.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Ends the connection in both directions, also for other handles on it.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub fn shut_down(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Both)
    }

    /// Everything until the other side closes, be it by an end of file or by a reset.
    ///
    /// # Errors
    ///
    /// When it does not close in time.
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

    /// Drops the connection with a reset instead of an orderly end.
    ///
    /// # Errors
    ///
    /// When the kernel refuses the option.
    pub fn reset(self) -> io::Result<()> {
        Ok(set_socket_linger(&self.stream, Some(Duration::ZERO))?)
    }
}

impl Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}
