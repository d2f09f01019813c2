//! TLS for the rows that have it: one configuration for both servers, and a client that costs little.

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

/// Connects, and each time by a whole handshake: no session is resumed.
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

    /// Handshake, one echo, and the good-byes of both sides.
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

/// Checks nothing: it is the server that is measured, and a client with more to do than the server would be the limit.
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

    /// A client that asks a server as many times, which says good-bye or does not: how its last time went, and what
    /// handshakes there were.
    async fn ask(times: usize, good_bye: bool) -> (io::Result<()>, Vec<Option<HandshakeKind>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let acceptor = TlsAcceptor::from(server::config().expect("a configuration"));
        let client = Client::new().expect("a configuration");
        let (mut last, mut handshakes, mut buffer) = (Ok(()), Vec::new(), Vec::new());
        for _ in 0..times {
            let (asking, answering) = pair(&listener).await;
            let answer = async {
                let mut stream = acceptor.accept(answering).await.expect("a handshake");
                peers::reflect(&mut stream).await;
                if good_bye {
                    stream.shutdown().await.expect("the client reads");
                }
                stream.get_ref().1.handshake_kind()
            };
            let (asked, handshake) = tokio::join!(client.echo(asking, BYTES, &mut buffer), answer);
            last = asked;
            handshakes.push(handshake);
        }
        (last, handshakes)
    }

    #[test]
    fn three_connections_make_three_full_handshakes() {
        let (last, handshakes) = run(ask(3, true));
        last.expect("an echo and a good-bye");
        assert_eq!(handshakes, [Some(HandshakeKind::Full); 3]);
    }

    #[test]
    fn a_missing_close_notify_is_an_error() {
        let (last, _) = run(ask(1, false));
        assert_eq!(last.expect_err("it is cut off").kind(), io::ErrorKind::UnexpectedEof);
    }
}
