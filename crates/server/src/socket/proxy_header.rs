//! The PROXY header at the beginning of a connection.

use std::io;

use bytes::BytesMut;

use super::Socket;
use crate::proxy;
use crate::proxy::error::ProxyError;
use crate::proxy::header::{Header, Parsed};

impl Socket {
    /// Reads the PROXY header, which comes first; the next read returns the bytes after it. The header's
    /// addresses, if any, become the addresses of the connection.
    ///
    /// # Errors
    ///
    /// A [`ProxyError`] as `InvalidData`, `UnexpectedEof` when the peer disconnects before the header is
    /// complete, and those of [`recv`](Self::recv).
    #[doc(alias = "recv_proxy_header")]
    pub async fn read_proxy_header(&mut self) -> io::Result<&Header> {
        let mut bytes = BytesMut::new();
        let (header, length) = loop {
            if let Parsed::Header(header, length) = proxy::parse(&bytes)? {
                break (header, length);
            }
            // The parser reports an invalid or too long header before much more has arrived.
            bytes.extend_from_slice(&self.recv().await?.ok_or(io::ErrorKind::UnexpectedEof)?);
        };
        self.unread(bytes.split_off(length));
        let inner = self.inner_mut();
        if let Some(addresses) = &header.addresses {
            inner.peer = addresses.source.clone();
            inner.local = Some(addresses.destination.clone());
        }
        Ok(inner.proxy.insert(header))
    }

    /// The PROXY header, if there was one.
    pub fn proxy_header(&self) -> Option<&Header> {
        self.inner().proxy.as_deref()
    }

    /// Waits until it is certain that the connection does not begin with a header.
    pub(crate) async fn refuse_proxy_header(&mut self) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        // At most the length of a signature.
        while proxy::may_be_signed(&bytes) && !proxy::is_signed(&bytes) {
            match self.recv().await? {
                Some(data) => bytes.extend_from_slice(&data),
                None => break,
            }
        }
        if proxy::is_signed(&bytes) {
            return Err(ProxyError::Unexpected.into());
        }
        self.unread(bytes);
        Ok(())
    }
}
