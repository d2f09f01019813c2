//! Transport options of connections.

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

/// Default time limit of the PROXY header and the TLS handshake together.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Options of connections: time and size limits, PROXY protocol, encryption (OTP: Ranch's transport options).
///
/// [`wrap`](Self::wrap) puts them under a protocol. Header and handshake run in the connection's own actor, so
/// they do not delay the acceptor. A connection that does not complete them in time is closed and counts as
/// [`Ended::lost`](crate::Ended::lost).
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

/// Whether a proxy sends the client's address first, in the PROXY protocol, version 1 or 2.
///
/// It applies to all connections of a listener. Where it is required, any client that can connect can claim any
/// address, so let only the proxy connect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyProtocol {
    /// All bytes belong to the protocol.
    #[default]
    Off,
    /// A header comes first, or the connection closes.
    Required,
    /// A connection that begins with a header closes. It waits for the client's first bytes, so this is for
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
    /// The defaults: no read timeout, a write timeout of 30 s, 64 KiB of buffered output.
    pub fn new() -> Self {
        Self::default()
    }

    /// Time limit of PROXY header and TLS handshake together. Default: 5 s; `None` means no limit.
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

    /// Whether a proxy sends the client's address first.
    pub fn proxy_protocol(self, proxy: ProxyProtocol) -> Self {
        Self { proxy, ..self }
    }

    /// Encrypts with TLS.
    #[cfg(feature = "tls")]
    pub fn tls(self, tls: &Tls) -> Self {
        Self { tls: Some(tls.clone()), ..self }
    }

    /// Puts these options under a protocol.
    pub fn wrap<P: Protocol>(self, protocol: P) -> WithTransport<P> {
        WithTransport(Arc::new((self, protocol)))
    }

    /// Applies these options to one connection: for actors that claim connections themselves.
    ///
    /// # Errors
    ///
    /// `TimedOut` after the handshake timeout, `InvalidData` when the peer sends no valid header or handshake,
    /// and those of reading and writing. The connection is closed then.
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
        io::Error::new(io::ErrorKind::TimedOut, format!("no handshake within {limit:?}"))
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

    fn handler_name(&self) -> &'static str {
        self.0.1.handler_name()
    }
}

impl<P> Clone for WithTransport<P> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}
