//! Encryption: certificates, names, protocols, and what happens when it goes wrong.

mod support;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use impresario_server::{
    Accepted, Active, Address, Bytes, Certificate, Connections, Handler, Next, Protocol, ProxyProtocol,
    Socket, Tls, TlsError, Transport, serve,
};
use support::faulty::{Step, faulty};
use support::{Client, Echo, Running, Server, run, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// A certificate that signs itself, in PEM, with its key.
struct Pem {
    chain: String,
    key: String,
}

fn pem(name: &str) -> Pem {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a host name");
    Pem { chain: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

impl Pem {
    fn certificate(&self) -> Certificate {
        Certificate::from_pem(self.chain.as_bytes(), self.key.as_bytes()).expect("a certificate and its key")
    }

    fn tls(&self) -> Tls {
        Tls::builder().certificate(self.certificate()).build().expect("a good one")
    }

    /// A client that trusts only this.
    async fn connect(&self, stream: TcpStream, name: &str) -> io::Result<TlsStream<TcpStream>> {
        self.connect_for(stream, name, &[]).await
    }

    async fn connect_for(
        &self,
        stream: TcpStream,
        name: &str,
        alpn: &[&str],
    ) -> io::Result<TlsStream<TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(self.chain.as_bytes()).expect("PEM"))
            .expect("a certificate");
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().expect("ring knows them");
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from(name.to_owned()).expect("a host name");
        TlsConnector::from(Arc::new(config)).connect(name, stream).await
    }
}

async fn server(tls: &Tls) -> Server<impl Protocol> {
    Server::start(Transport::new().tls(tls).wrap(|| Echo)).await
}

async fn connected<P: Protocol>(server: &Server<P>) -> TcpStream {
    TcpStream::connect(server.addr()).await.expect("the server listens")
}

async fn echo(stream: &mut TlsStream<TcpStream>, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("the server reads");
    let mut answer = vec![0; text.len()];
    stream.read_exact(&mut answer).await.expect("the server answers");
    assert_eq!(answer, text.as_bytes());
}

#[test]
fn bytes_are_echoed_over_tls() {
    run(async {
        let pem = pem("a.example");
        let server = server(&pem.tls()).await;
        let mut client = pem.connect(connected(&server).await, "a.example").await.expect("a handshake");
        echo(&mut client, "hello\n").await;
        // More than any buffer on the way, while the server writes too.
        let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let (mut reading, mut writing) = tokio::io::split(client);
        let write = async {
            writing.write_all(&sent).await.expect("the server reads");
            writing.flush().await.expect("still connected");
        };
        let mut received = vec![0; sent.len()];
        let (read, ()) = tokio::join!(reading.read_exact(&mut received), write);
        read.expect("all of it");
        assert!(received == sent);
        // An orderly end, which in TLS is a message of its own.
        writing.write_all(b"close\n").await.expect("the server reads");
        let mut rest = Vec::new();
        reading.read_to_end(&mut rest).await.expect("no truncation");
        assert_eq!(rest, b"closing\n");
        until(|| server.listener.active() == 0).await;
        assert_eq!(server.outside.metrics().ended.completed, 1);
        server.tree.stop().await;
    });
}

#[test]
fn the_shutdown_message_arrives_over_tls() {
    run(async {
        let pem = pem("a.example");
        let server = server(&pem.tls()).await;
        let mut client = pem.connect(connected(&server).await, "a.example").await.expect("a handshake");
        echo(&mut client, "hello\n").await;
        let mut rest = Vec::new();
        let ((), read) = tokio::join!(server.tree.stop(), client.read_to_end(&mut rest));
        read.expect("an orderly end");
        assert_eq!(rest, b"bye\n");
    });
}

#[test]
fn a_new_certificate_is_for_new_connections() {
    run(async {
        let (old, new) = (pem("a.example"), pem("a.example"));
        let tls = old.tls();
        let server = server(&tls).await;
        let mut before = old.connect(connected(&server).await, "a.example").await.expect("a handshake");
        echo(&mut before, "one\n").await;
        tls.reload(&new.tls());
        let mut after = new.connect(connected(&server).await, "a.example").await.expect("a handshake");
        old.connect(connected(&server).await, "a.example").await.expect_err("the old one is gone");
        echo(&mut before, "two\n").await;
        echo(&mut after, "three\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn the_name_chooses_the_certificate() {
    run(async {
        let (any, shop, all) = (pem("any.example"), pem("shop.example"), pem("*.wild.example"));
        let tls = Tls::builder()
            .certificate(any.certificate())
            .server_name("SHOP.example", shop.certificate())
            .server_name("*.wild.example", all.certificate())
            .build()
            .expect("good ones");
        let server = server(&tls).await;
        for (pem, name) in [(&any, "any.example"), (&shop, "shop.example"), (&all, "x.wild.example")] {
            let mut client = pem.connect(connected(&server).await, name).await.expect(name);
            echo(&mut client, "hello\n").await;
        }
        shop.connect(connected(&server).await, "any.example").await.expect_err("another certificate");
        // A wildcard is for one word.
        all.connect(connected(&server).await, "a.b.wild.example").await.expect_err("another certificate");

        let only =
            Tls::builder().server_name("shop.example", shop.certificate()).build().expect("a good one");
        let server_of_one = self::server(&only).await;
        any.connect(connected(&server_of_one).await, "any.example").await.expect_err("there is none");
        shop.connect(connected(&server_of_one).await, "shop.example").await.expect("a handshake");
        server_of_one.tree.stop().await;
        server.tree.stop().await;
    });
}

#[test]
fn both_agree_on_a_protocol_or_there_is_none() {
    async fn report(mut socket: Socket) -> io::Result<()> {
        let tls = socket.tls().expect("it is encrypted");
        let alpn = tls.alpn().map(|name| String::from_utf8_lossy(name).into_owned());
        let text = format!("{:?} {:?}", alpn.as_deref(), tls.server_name());
        socket.send(text).await?;
        socket.close().await;
        Ok(())
    }

    run(async {
        let pem = pem("a.example");
        let tls = Tls::builder().certificate(pem.certificate()).alpn(["h2", "http/1.1"]).build();
        let tls = tls.expect("a good one");
        let server = Server::start(Transport::new().tls(&tls).wrap(serve(report))).await;
        let cases: [(&[&str], _); 3] = [
            (&["http/1.1", "h2"], "Some(\"h2\")"),
            (&["x", "http/1.1"], "Some(\"http/1.1\")"),
            (&[], "None"),
        ];
        for (offered, agreed) in cases {
            let stream = connected(&server).await;
            let mut client = pem.connect_for(stream, "a.example", offered).await.expect("a handshake");
            let mut text = String::new();
            client.read_to_string(&mut text).await.expect("an orderly end");
            assert_eq!(text, format!("{agreed} Some(\"a.example\")"));
        }
        let stream = connected(&server).await;
        pem.connect_for(stream, "a.example", &["x"]).await.expect_err("nothing in common");
        server.tree.stop().await;
    });
}

#[test]
fn a_failed_handshake_affects_no_other_connection() {
    run(async {
        let pem = pem("a.example");
        let mut server = server(&pem.tls()).await;
        let mut good = pem.connect(connected(&server).await, "a.example").await.expect("a handshake");
        // No TLS at all; gone at once; gone in the middle; reset in the middle; silent.
        let mut plain = server.client().await;
        plain.send("GET / HTTP/1.1\r\n\r\n").await;
        let mut rest = Vec::new();
        let _ = plain.0.read_to_end(&mut rest).await;
        assert!(!rest.starts_with(b"HTTP"));
        drop(server.client().await);
        let mut half = server.client().await;
        half.send(b"\x16\x03\x01\x02\x00\x01").await;
        half.finish().await;
        let mut reset = server.client().await;
        reset.send(b"\x16\x03\x01\x02\x00\x01").await;
        reset.0.set_zero_linger().expect("an open socket");
        drop(reset);
        let silent = server.client().await;
        echo(&mut good, "still here\n").await;
        until(|| server.listener.active() == 2).await;
        assert_eq!(server.outside.metrics().ended.lost, 4);
        drop((silent, half));
        let lines = server.tree.log.so_far();
        assert!(!lines.iter().any(|line| line.contains("ERRO")), "{lines:?}");
        until(|| server.listener.active() == 1).await;
        server.tree.stop().await;
    });
}

#[test]
fn a_handshake_has_its_time() {
    run(async {
        let transport =
            Transport::new().tls(&pem("a.example").tls()).handshake_timeout(Duration::from_secs(3));
        let connections = Connections::new(transport.wrap(|| Echo));
        let children = [connections.child_spec("connections"), connections.drain_spec("drain", None)];
        let tree = Running::start(children).await.expect("it starts");
        tokio::time::pause();
        let (stream, remote) = faulty([Step::Bytes(b"\x16\x03\x01\x02\x00\x01".to_vec()), Step::Never], []);
        connections.start(Accepted::from_stream(stream, Address::unnamed())).expect("there is room");
        until(|| remote.is_waited_for()).await;
        tokio::time::advance(Duration::from_millis(2900)).await;
        assert!(!remote.is_dropped());
        tokio::time::advance(Duration::from_millis(200)).await;
        until(|| connections.tracker().metrics().ended.lost == 1).await;
        assert!(remote.is_dropped());
        tree.stop().await;
    });
}

/// Encrypts at the word `STARTTLS`, and says whether it is encrypted.
struct Upgrade(Tls);

impl Handler for Upgrade {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        if let Some(rest) = data.strip_prefix(b"STARTTLS\n") {
            socket.unread(data.slice_ref(rest));
            socket.try_send("go ahead\n")?;
            socket.start_tls(&self.0).await?;
        } else {
            socket.send(format!("{}\n", socket.tls().is_some())).await?;
        }
        Ok(Next::Continue)
    }
}

#[test]
fn a_connection_is_encrypted_in_the_middle_of_it() {
    run(async {
        let pem = pem("a.example");
        let tls = pem.tls();
        let server = Server::start(move || Upgrade(tls.clone())).await;
        let mut client = server.client().await;
        client.send("?\n").await;
        client.expect("false\n").await;
        client.send("STARTTLS\n").await;
        client.expect("go ahead\n").await;
        let mut client = pem.connect(client.0, "a.example").await.expect("a handshake");
        client.write_all(b"?\n").await.expect("the server reads");
        let mut answer = [0; 5];
        client.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"true\n");
        // Twice is too often.
        client.write_all(b"STARTTLS\n").await.expect("the server reads");
        let mut rest = Vec::new();
        let _ = client.read_to_end(&mut rest).await;
        assert_eq!(rest, b"go ahead\n");

        // What is slipped in before the handshake is no part of the encrypted conversation.
        let mut client = server.client().await;
        client.send("STARTTLS\n?\n").await;
        client.expect("go ahead\n").await;
        let error = pem.connect(client.0, "a.example").await;
        assert!(error.is_err(), "the server took what was sent in the clear for TLS");
        server.tree.stop().await;
    });
}

#[test]
fn a_proxy_speaks_before_the_encryption() {
    async fn report(mut socket: Socket) -> io::Result<()> {
        let text = format!("{} {}", socket.peer_addr(), socket.tls().is_some());
        socket.send(text).await?;
        socket.close().await;
        Ok(())
    }

    run(async {
        let pem = pem("a.example");
        let transport = Transport::new().proxy_protocol(ProxyProtocol::Required).tls(&pem.tls());
        let server = Server::start(transport.wrap(serve(report))).await;
        let mut stream = connected(&server).await;
        stream.write_all(b"PROXY TCP4 1.2.3.4 5.6.7.8 90 443\r\n").await.expect("the server reads");
        let mut client = pem.connect(stream, "a.example").await.expect("a handshake");
        let mut text = String::new();
        client.read_to_string(&mut text).await.expect("an orderly end");
        assert_eq!(text, "1.2.3.4:90 true");
        server.tree.stop().await;
    });
}

#[test]
fn an_encrypted_connection_changes_hands_within_its_process() {
    run(async {
        let pem = pem("a.example");
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("it listens");
        let (stream, peer) = listener.accept().expect("a connection");
        let accepted = Accepted::from_fd(stream.into(), peer).expect("an open socket");
        let mut socket = accepted.claim().expect("an open socket");
        let tls = pem.tls();
        let (client, server) = tokio::join!(pem.connect(client, "a.example"), socket.start_tls(&tls));
        server.expect("a handshake");
        let mut client = client.expect("a handshake");
        client.write_all(b"first").await.expect("still connected");
        let data = socket.recv().await.expect("bytes").expect("more");
        socket.unread(data);
        let accepted = socket.release().expect("an open socket");
        // A descriptor without the keys would be useless.
        assert!(accepted.descriptor().is_none());
        assert_eq!(accepted.active(), Active::Passive);
        let other = std::thread::spawn(move || {
            run(async move {
                let mut socket = accepted.claim().expect("an open socket");
                while let Some(data) = socket.recv().await.expect("an orderly end") {
                    socket.send(data).await.expect("the client reads");
                }
                socket.close().await;
            });
        });
        echo_after(&mut client).await;
        other.join().expect("no panic");
    });
}

async fn echo_after(client: &mut TlsStream<TcpStream>) {
    client.write_all(b"second").await.expect("still connected");
    client.shutdown().await.expect("still connected");
    let mut all = String::new();
    client.read_to_string(&mut all).await.expect("an orderly end");
    assert_eq!(all, "firstsecond");
}

#[test]
fn a_truncated_stream_is_an_error_a_close_notify_is_not() {
    run(async {
        let pem = pem("a.example");
        let server = server(&pem.tls()).await;
        let mut client = pem.connect(connected(&server).await, "a.example").await.expect("a handshake");
        echo(&mut client, "hello\n").await;
        // Without the good-bye of TLS.
        Client(client.into_inner().0).finish().await;
        until(|| server.listener.active() == 0).await;
        assert_eq!((server.outside.metrics().ended.lost, server.outside.metrics().ended.completed), (1, 0));
        server.tree.stop().await;
    });
}

#[test]
fn what_cannot_be_is_said_before_anybody_connects() {
    let (good, other) = (pem("a.example"), pem("b.example"));
    let no_key = Certificate::from_pem(good.chain.as_bytes(), b"").expect_err("no key");
    assert!(no_key.to_string().contains("private key"), "{no_key}");
    let no_chain = Certificate::from_pem(b"x", good.key.as_bytes()).expect_err("no certificate");
    assert!(no_chain.to_string().contains("certificate"), "{no_chain}");
    let none = Certificate::from_files("/nowhere/a.pem", "/nowhere/a.key").expect_err("no file");
    assert!(none.to_string().contains("/nowhere/a.pem"), "{none}");
    let nothing = Tls::builder().build().expect_err("nothing to show");
    assert!(matches!(nothing, TlsError::NoCertificate));
    let wrong = Certificate::from_pem(good.chain.as_bytes(), other.key.as_bytes()).expect("both are there");
    let wrong = Tls::builder().certificate(wrong).build().expect_err("another's key");
    assert!(matches!(wrong, TlsError::Rustls(_)), "{wrong}");
    let name = Tls::builder().server_name("b.example", good.certificate()).build().expect_err("another name");
    assert!(matches!(name, TlsError::Name { .. }), "{name}");
    let name = Tls::builder().server_name("not a name", good.certificate()).build().expect_err("no name");
    assert!(matches!(name, TlsError::BadName(_)), "{name}");
}
