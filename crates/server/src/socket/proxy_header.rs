//! The PROXY header at the beginning of a connection.

use std::io;

use bytes::BytesMut;

use super::Socket;
use crate::proxy;
use crate::proxy::error::ProxyError;
use crate::proxy::header::{Header, Parsed};

impl Socket {
    /// Reads the header that a proxy sends before anything else; what comes after it is read next. From now on the
    /// addresses of the connection are those that it says, if it says any.
    ///
    /// # Errors
    ///
    /// A [`ProxyError`] as `InvalidData`, `UnexpectedEof` when the peer leaves before the header is there, and those of
    /// [`recv`](Self::recv).
    #[doc(alias = "recv_proxy_header")]
    pub async fn read_proxy_header(&mut self) -> io::Result<&Header> {
        let mut bytes = BytesMut::new();
        let (header, length) = loop {
            if let Parsed::Header(header, length) = proxy::parse(&bytes)? {
                break (header, length);
            }
            // What is not a header after all, or too long a one, is an error before much more has come.
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

    /// What a proxy in front said.
    pub fn proxy_header(&self) -> Option<&Header> {
        self.inner().proxy.as_deref()
    }

    /// Waits until it is clear that the connection does not begin with a header.
    pub(crate) async fn refuse_proxy_header(&mut self) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        // As many as a signature has, at most.
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
