//! The peers of the servers: minimal programs on one thread, without supervision.

use std::convert::Infallible;
use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::error::Error;
use crate::payload::HELLO;
use crate::tls;

/// Bound of the accept queue.
const BACKLOG: u32 = 4096;
/// Buffer of an echo connection, in bytes.
const ECHO_BUFFER: usize = 4096;

/// An echo on tokio.
pub(crate) fn echo(address: SocketAddr) -> Result<(), Error> {
    accept(address, |mut stream| {
        tokio::spawn(async move { reflect(&mut stream).await });
    })
}

/// An echo on tokio-rustls.
pub(crate) fn tls_echo(address: SocketAddr) -> Result<(), Error> {
    let acceptor = TlsAcceptor::from(tls::server::config()?);
    accept(address, |stream| {
        let handshake = acceptor.accept(stream);
        tokio::spawn(async move {
            let Ok(mut stream) = handshake.await else { return };
            reflect(&mut stream).await;
            // An error means that the client has closed.
            stream.shutdown().await.ok();
        });
    })
}

/// Sends back all bytes until the client closes or fails.
pub(crate) async fn reflect(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
    let mut buffer = vec![0; ECHO_BUFFER];
    while let Ok(length) = stream.read(&mut buffer).await {
        let received = buffer.get(..length).unwrap_or_default();
        if received.is_empty() || stream.write_all(received).await.is_err() || stream.flush().await.is_err() {
            break;
        }
    }
}

/// An HTTP server on hyper.
pub(crate) fn hyper(address: SocketAddr) -> Result<(), Error> {
    accept(address, |stream| {
        let answer = service_fn(|_: Request<Incoming>| async {
            Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(HELLO))))
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
        // An error means that the client has closed.
        tokio::spawn(async move { connection.await.ok() });
    })
}

/// Accepts connections on a runtime of one thread until the process is killed.
fn accept(address: SocketAddr, serve: impl Fn(TcpStream)) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = listen(address)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            serve(stream);
        }
    })
}

fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket.listen(BACKLOG)?)
}
