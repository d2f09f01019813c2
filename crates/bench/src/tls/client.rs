//! The TLS client of the load generator.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use super::NAME;
use crate::echo::echo;

/// Connects with a full handshake each time: sessions are not resumed.
#[derive(Clone)]
pub(crate) struct Client(TlsConnector);

impl Client {
    pub(crate) fn new() -> io::Result<Self> {
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().map_err(io::Error::other)?;
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(AcceptAnyCertificate));
        let mut config = builder.with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Handshake, one echo, and `close_notify` of both sides.
    pub(crate) async fn echo(&self, stream: TcpStream, bytes: usize, buffer: &mut Vec<u8>) -> io::Result<()> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let mut stream = self.0.connect(name, stream).await?;
        echo(&mut stream, bytes, buffer).await?;
        stream.shutdown().await?;
        match stream.read(buffer).await? {
            0 => Ok(()),
            more => {
                Err(io::Error::new(io::ErrorKind::InvalidData, format!("{more} bytes came after the echo")))
            }
        }
    }
}

/// Accepts every certificate. The server is measured, so the client does as little work as possible.
#[derive(Debug)]
struct AcceptAnyCertificate;

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::HandshakeKind;

    use super::*;
    use crate::peers;
    use crate::tls::server;

    const BYTES: usize = 64;

    fn run<T>(test: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.expect("a runtime can be built").block_on(test)
    }

    /// Both ends of a connection.
    async fn pair(listener: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().expect("the socket is bound")).await;
        let (server, _) = listener.accept().await.expect("a client has connected");
        (client.expect("the program listens"), server)
    }

    /// Connects `times` times to a server that sends `close_notify` or does not. Returns the result of the
    /// last connection, and the kind of each handshake.
    async fn connect_times(times: usize, close_notify: bool) -> (io::Result<()>, Vec<Option<HandshakeKind>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let acceptor = TlsAcceptor::from(server::config().expect("a configuration"));
        let client = Client::new().expect("a configuration");
        let (mut last, mut handshakes, mut buffer) = (Ok(()), Vec::new(), Vec::new());
        for _ in 0..times {
            let (client_stream, server_stream) = pair(&listener).await;
            let server = async {
                let mut stream = acceptor.accept(server_stream).await.expect("a handshake");
                peers::reflect(&mut stream).await;
                if close_notify {
                    stream.shutdown().await.expect("the client reads");
                }
                stream.get_ref().1.handshake_kind()
            };
            let (result, handshake) = tokio::join!(client.echo(client_stream, BYTES, &mut buffer), server);
            last = result;
            handshakes.push(handshake);
        }
        (last, handshakes)
    }

    #[test]
    fn three_connections_make_three_full_handshakes() {
        let (last, handshakes) = run(connect_times(3, true));
        last.expect("an echo and close_notify");
        assert_eq!(handshakes, [Some(HandshakeKind::Full); 3]);
    }

    #[test]
    fn a_missing_close_notify_is_an_error() {
        let (last, _) = run(connect_times(1, false));
        assert_eq!(last.expect_err("it is cut off").kind(), io::ErrorKind::UnexpectedEof);
    }
}
