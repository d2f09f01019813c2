//! How the bytes of connections travel.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Protocol;
use crate::socket::Socket;
use crate::socket::inner::WRITE_TIMEOUT;
use crate::socket::write_buffer::WRITE_BUFFER_BYTES;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::tracker::wait::timeout_opt;

/// How long what comes before the protocol may take, if nothing else is said.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// How the bytes of connections travel: limits of time and size, a proxy in front, encryption (OTP: Ranch's transport
/// options).
///
/// [`wrap`](Self::wrap) puts it under a protocol. What comes before the protocol happens in the connection's own
/// actor, so it never holds up the acceptor, and counts as part of the connection: one that does not get through it in
/// time is closed, and is one of [`Ended::lost`](crate::Ended::lost).
///
/// ```
/// # use std::io;
/// # use std::time::Duration;
/// # use impresario_server::{Bytes, Handler, Next, Socket};
/// # struct Echo;
/// # impl Handler for Echo {
/// #     async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
/// #         socket.send(data).await?;
/// #         Ok(Next::Continue)
/// #     }
/// # }
/// use impresario_server::{Listener, ProxyProtocol, Transport};
///
/// let transport =
///     Transport::new().proxy_protocol(ProxyProtocol::Required).read_timeout(Duration::from_secs(60));
/// let echo = Listener::tcp("127.0.0.1:7007", transport.wrap(|| Echo));
/// ```
#[derive(Clone, Debug)]
#[must_use = "a transport does nothing until it wraps a protocol"]
pub struct Transport {
    handshake_timeout: Option<Duration>,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
    write_buffer: usize,
    proxy: ProxyProtocol,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// Whether the peer is a proxy that says who its client is, in the PROXY protocol, version 1 or 2.
///
/// A listener has it on all of its connections or on none: where it is required anybody who can connect can claim to be
/// anybody, so let only the proxy connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// What the peer sends is the protocol's, whatever it looks like.
    #[default]
    Off,
    /// A header comes first, or the connection closes.
    Required,
    /// A connection that begins with a header closes. The first bytes of the client are waited for, so this is for
    /// protocols in which the client speaks first.
    Refused,
}

impl Default for Transport {
    fn default() -> Self {
        Self {
            handshake_timeout: Some(HANDSHAKE_TIMEOUT),
            read_timeout: None,
            write_timeout: Some(WRITE_TIMEOUT),
            write_buffer: WRITE_BUFFER_BYTES,
            proxy: ProxyProtocol::Off,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl Transport {
    /// Bytes as they come: no limit to the peer's silence, 30 s in which it must take something of what is sent, 64 KiB
    /// that wait for it.
    pub fn new() -> Self {
        Self::default()
    }

    /// How long what comes before the protocol may take: the PROXY header and the TLS handshake together. The default
    /// is 5 s; `None` means as long as it likes.
    pub fn handshake_timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { handshake_timeout: timeout.into(), ..self }
    }

    /// See [`Socket::set_read_timeout`].
    pub fn read_timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { read_timeout: timeout.into(), ..self }
    }

    /// See [`Socket::set_write_timeout`].
    pub fn write_timeout(self, timeout: impl Into<Option<Duration>>) -> Self {
        Self { write_timeout: timeout.into(), ..self }
    }

    /// See [`Socket::set_write_buffer`].
    pub fn write_buffer(self, bytes: usize) -> Self {
        Self { write_buffer: bytes, ..self }
    }

    /// Whether the peer is a proxy that says who its client is.
    pub fn proxy_protocol(self, proxy: ProxyProtocol) -> Self {
        Self { proxy, ..self }
    }

    /// Encrypts.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: &Tls) -> Self {
        Self { tls: Some(tls.clone()), ..self }
    }

    /// Puts it under a protocol.
    pub fn wrap<P: Protocol>(self, protocol: P) -> WithTransport<P> {
        WithTransport(Arc::new((self, protocol)))
    }

    /// Does on one connection what comes before the protocol: for actors that claim connections themselves.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the handshake time-out, `InvalidData` when the peer sends no such header or handshake, and those
    /// of reading and writing. The connection is closed then.
    pub async fn open(&self, mut socket: Socket) -> io::Result<Socket> {
        socket.set_write_timeout(self.write_timeout);
        socket.set_write_buffer(self.write_buffer);
        if self.has_handshake() {
            let handshake = timeout_opt(self.handshake_timeout, self.handshake(&mut socket));
            handshake.await.unwrap_or_else(|| Err(self.timeout_error()))?;
        }
        socket.set_read_timeout(self.read_timeout);
        Ok(socket)
    }

    #[cfg(feature = "tls")]
    fn has_handshake(&self) -> bool {
        self.proxy != ProxyProtocol::Off || self.tls.is_some()
    }

    #[cfg(not(feature = "tls"))]
    fn has_handshake(&self) -> bool {
        self.proxy != ProxyProtocol::Off
    }

    fn timeout_error(&self) -> io::Error {
        let limit = self.handshake_timeout.unwrap_or_default();
        io::Error::new(io::ErrorKind::TimedOut, format!("no handshake timeout_opt {limit:?}"))
    }

    async fn handshake(&self, socket: &mut Socket) -> io::Result<()> {
        match self.proxy {
            ProxyProtocol::Off => {}
            ProxyProtocol::Required => drop(socket.read_proxy_header().await?),
            ProxyProtocol::Refused => socket.refuse_proxy_header().await?,
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            socket.start_tls(tls).await?;
        }
        Ok(())
    }
}

/// See [`Transport::wrap`].
#[derive(Debug)]
pub struct WithTransport<P>(Arc<(Transport, P)>);

impl<P: Protocol> Protocol for WithTransport<P> {
    fn serve(&self, socket: Socket) -> impl Future<Output = io::Result<()>> + 'static {
        let carried = Arc::clone(&self.0);
        async move {
            let (transport, protocol) = &*carried;
            let socket = transport.open(socket).await?;
            let served = protocol.serve(socket);
            served.await
        }
    }
}

impl<P> Clone for WithTransport<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
