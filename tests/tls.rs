//! Tests of `echo --tls` and of the `tls` example: encrypted echo, and errors for certificates that cannot be
//! used.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use impresario_testkit::{Connection, DEADLINE, Program, Signal};
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A self-signed certificate and its key, in files.
struct Files {
    folder: PathBuf,
}

impl Files {
    fn new(test: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("impresario-tls-{}-{test}", std::process::id()));
        fs::create_dir_all(&folder).expect("the temporary folder can be written");
        let files = Self { folder };
        files.renew();
        files
    }

    /// Replaces both files by a new certificate and key.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a host name");
        fs::write(self.certificate(), made.cert.pem()).expect("the file can be written");
        fs::write(self.key(), made.signing_key.serialize_pem()).expect("the file can be written");
    }

    fn certificate(&self) -> String {
        self.folder.join("cert.pem").display().to_string()
    }

    fn key(&self) -> String {
        self.folder.join("key.pem").display().to_string()
    }

    /// A client that trusts only the current certificate.
    fn client(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.certificate()).expect("PEM")).expect("a certificate");
        client(roots)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

fn client(roots: RootCertStore) -> Arc<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
    let builder = builder.with_safe_default_protocol_versions().expect("ring knows them");
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

type Encrypted = StreamOwned<ClientConnection, TcpStream>;

/// Connects and completes the handshake.
fn connect(config: Arc<ClientConfig>, address: SocketAddr) -> io::Result<Encrypted> {
    let stream = TcpStream::connect_timeout(&address, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let name = ServerName::try_from("localhost").expect("a host name");
    let mut stream = StreamOwned::new(ClientConnection::new(config, name).map_err(io::Error::other)?, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

/// Sends these bytes and expects them back.
fn echoes(stream: &mut Encrypted, bytes: &[u8]) {
    stream.write_all(bytes).and_then(|()| stream.flush()).expect("the peer reads");
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("the peer answers");
    assert_eq!(back, bytes);
}

#[test]
fn echo_serves_tls_with_the_given_certificate() {
    let files = Files::new("echo");
    let options = ["--listen", "127.0.0.1:0", "--tls", &files.certificate(), &files.key()];
    let mut program = Program::start("echo", &options);
    let address = program.address_after("listening");
    let mut one = connect(files.client(), address).expect("a handshake");
    echoes(&mut one, b"hello\n");

    // A client without TLS gets no echo and does not disturb other connections.
    let mut plain = Connection::open(address).expect("the program listens");
    plain.send(b"hello, in the clear\n").expect("the kernel takes it");
    let answer = plain.until_closed().expect("the peer closes");
    assert!(!answer.windows(5).any(|window| window == b"hello"), "{}", answer.escape_ascii());
    echoes(&mut one, b"still here\n");

    // A close without `close_notify` would be an error.
    program.signal(Signal::TERM);
    assert_eq!(one.read(&mut [0]).expect("an orderly end"), 0);
    assert_eq!(program.wait().code(), Some(0));
}

#[test]
fn echo_serves_tls_on_threads_within_its_limit() {
    let files = Files::new("limit");
    let (certificate, key) = (files.certificate(), files.key());
    let mut options = vec!["--listen", "127.0.0.1:0", "--arbiters", "2", "--max-connections", "3"];
    options.extend(["--tls", &certificate, &key]);
    let program = Program::start("echo", &options);
    let address = program.address_after("listening");
    let mut open: Vec<Encrypted> =
        (0..3).map(|_| connect(files.client(), address).expect("a handshake")).collect();
    for stream in &mut open {
        echoes(stream, b"hello\n");
    }
    // One more connection waits in the kernel's queue until another one is closed.
    let waiting = TcpStream::connect_timeout(&address, DEADLINE).expect("the kernel answers");
    waiting.set_nonblocking(true).expect("the connection is open");
    let mut early = ClientConnection::new(files.client(), ServerName::try_from("localhost").expect("a name"))
        .expect("a good configuration");
    early.write_tls(&mut &waiting).expect("the kernel takes it");
    for stream in &mut open {
        echoes(stream, b"meanwhile\n");
    }
    let error = early.read_tls(&mut &waiting).expect_err("no response");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    drop(open.pop());
    waiting.set_nonblocking(false).expect("the connection is open");
    waiting.set_read_timeout(Some(DEADLINE)).expect("a time");
    echoes(&mut StreamOwned::new(early, waiting), b"at last\n");
}

#[test]
fn echo_without_certificate_generates_one() {
    let program = Program::start("echo", &["--listen", "127.0.0.1:0", "--tls"]);
    let address = program.address_after("listening");
    let error = connect(client(RootCertStore::empty()), address).expect_err("the issuer is unknown");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
}

#[test]
fn an_unusable_certificate_is_reported() {
    let (files, other) = (Files::new("one"), Files::new("other"));
    let (certificate, key) = (files.certificate(), files.key());
    let cases: [(&[&str], &str); 5] = [
        (&["--tls", "/nowhere/cert.pem", &key], "cannot read /nowhere/cert.pem"),
        (&["--tls", &certificate, "/nowhere/key.pem"], "cannot read /nowhere/key.pem"),
        (&["--tls", &key, &key], "key.pem has not a certificate"),
        (&["--tls", &certificate, &other.key()], "cannot use the certificate"),
        (&["--tls", &certificate], "a certificate and its key"),
    ];
    for (options, named) in cases {
        let mut program = Program::start("echo", options);
        assert_eq!(program.wait().code(), Some(2), "{options:?}: {}", program.stderr());
        let lines = program.lines();
        let first = lines.first().unwrap_or_else(|| panic!("{options:?} prints nothing"));
        assert!(first.contains("--tls") && first.contains(named), "{options:?} prints {first:?}");
    }
    let options = ["--certificate", "/nowhere/cert.pem", "--key", &key];
    let mut program = Program::start("tls", &options);
    assert_eq!(program.wait().code(), Some(1));
    let stderr = program.stderr();
    assert!(stderr.starts_with("cannot start: cannot read /nowhere/cert.pem"), "{stderr}");
}

#[test]
fn tls_example_reloads_its_certificate_on_sigusr1() {
    let files = Files::new("reload");
    let (certificate, key) = (files.certificate(), files.key());
    let program =
        Program::start("tls", &["--listen", "127.0.0.1:0", "--certificate", &certificate, "--key", &key]);
    let address = program.address_after("listening");
    let mut before = connect(files.client(), address).expect("a handshake");
    echoes(&mut before, b"one\n");
    files.renew();
    let new = files.client();
    connect(Arc::clone(&new), address).expect_err("no reload without a signal");
    program.signal(Signal::USR1);
    let mut after = program.until("the new certificate serves", || connect(Arc::clone(&new), address).ok());
    echoes(&mut before, b"two\n");
    echoes(&mut after, b"three\n");

    // An unreadable key changes nothing.
    fs::write(files.key(), "nothing").expect("the file can be written");
    program.signal(Signal::USR1);
    program.wait_for_line("about the reload error", |line| line.contains("the old certificate stays"));
    echoes(&mut connect(new, address).expect("a handshake"), b"four\n");
}
