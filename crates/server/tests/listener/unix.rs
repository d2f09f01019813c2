//! Listeners on unix sockets.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use impresario_server::{Accepted, Address, Endpoint, ListenSocket, Listener, Socket, Suspend, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::{Client, Echo, Running, Server, run};

/// A folder of one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("impresario-{}-{test}", std::process::id()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("s")
    }

    fn files(&self) -> usize {
        fs::read_dir(&self.0).expect("it exists").count()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).expect("the folder of this test");
    }
}

async fn echo(path: &Path) {
    let mut client = UnixStream::connect(path).await.expect("the server listens");
    client.write_all(b"hello").await.expect("it reads");
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).await.expect("it answers");
    assert_eq!(&bytes, b"hello");
}

async fn refusal(path: &Path) -> String {
    let listener = Listener::unix(path, || Echo);
    Running::start([listener.child_spec("server")]).await.err().expect("the path cannot be bound").to_string()
}

#[test]
fn a_stopped_unix_listener_removes_its_file() {
    run(async {
        let folder = Folder::new("serves");
        let path = folder.socket();
        let server = Server::of(Listener::unix(&path, || Echo)).await;
        assert_eq!(server.outside.local_addrs(), [Address::from(path.as_path())]);
        assert_eq!((server.listener.local_addr(), folder.files()), (None, 1));
        echo(&path).await;
        let mut client = UnixStream::connect(&path).await.expect("it listens");
        client.write_all(b"fail\n").await.expect("it reads");
        assert_eq!(client.read(&mut [0]).await.expect("it closes"), 0);
        let (mut reading, mut writing) = UnixStream::connect(&path).await.expect("it listens").into_split();
        let sent: Vec<u8> = (0..1_000_000_u32).map(|number| (number % 251) as u8).collect();
        let mut back = vec![0; sent.len()];
        let (written, read) = tokio::join!(writing.write_all(&sent), reading.read_exact(&mut back));
        written.and(read).expect("it reads and answers");
        assert!(back == sent, "other bytes came back");
        let mut rest = Vec::new();
        let ((), read) = tokio::join!(server.tree.stop(), reading.read_to_end(&mut rest));
        read.expect("an orderly end");
        assert_eq!((rest.as_slice(), folder.files()), (b"bye\n".as_slice(), 0));
    });
}

#[test]
fn a_stale_socket_file_is_replaced() {
    run(async {
        let folder = Folder::new("stale");
        let path = folder.socket();
        // Closed without a removal of its file, as after a SIGKILL.
        drop(UnixListener::bind(&path).expect("a free path"));
        let server = Server::of(Listener::unix(&path, || Echo)).await;
        echo(&path).await;
        assert_eq!(folder.files(), 1);
        server.tree.stop().await;
        assert_eq!(folder.files(), 0);
    });
}

#[test]
fn a_path_in_use_is_refused_and_kept() {
    run(async {
        let folder = Folder::new("busy");
        let path = folder.socket();
        let server = Server::of(Listener::unix(&path, || Echo)).await;
        let line = refusal(&path).await;
        let expected =
            format!("cannot listen on unix:{}: another process listens on it; stop", path.display());
        assert!(line.contains(&expected), "{line}");
        echo(&path).await;
        assert_eq!(folder.files(), 1);
        server.tree.stop().await;
    });
}

/// As a stopped process, or a listener that is suspended with kept sockets.
#[test]
fn a_listener_with_a_full_queue_is_in_use_without_a_wait() {
    let folder = Folder::new("full");
    let path = folder.socket();
    let (socket, address) = (
        socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).expect("a free descriptor"),
        socket2::SockAddr::unix(&path).expect("a short path"),
    );
    socket.bind(&address).expect("a free path");
    socket.listen(0).expect("bound");
    let connect = || {
        let kind = socket2::Type::STREAM.nonblocking();
        let client = socket2::Socket::new(socket2::Domain::UNIX, kind, None).expect("a free descriptor");
        client.connect(&address).is_ok().then_some(client)
    };
    let _waiting: Vec<_> = std::iter::from_fn(connect).collect();
    let (sender, refusals) = std::sync::mpsc::channel();
    let busy = format!("unix:{}", path.display());
    // A thread that is not joined: with a blocking connect(2) it would hang.
    std::thread::spawn(move || sender.send(ListenSocket::bind(&busy).expect_err("it is taken").to_string()));
    let line = refusals.recv_timeout(Duration::from_secs(20)).expect("it is not waited for");
    assert!(line.contains("another process listens on it"), "{line}");
}

#[test]
fn other_files_are_never_replaced_and_bad_paths_are_explained() {
    run(async {
        let folder = Folder::new("other");
        let path = folder.socket();
        fs::write(&path, "precious").expect("a free path");
        let line = refusal(&path).await;
        assert!(line.contains("the file is not a socket; remove it"), "{line}");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "precious");
        let line = refusal(&folder.0.join("no such folder/s")).await;
        assert!(line.contains("no such folder; create it first"), "{line}");
        let line = refusal(&folder.0.join("x".repeat(200))).await;
        assert!(line.contains("at most 107 bytes, and 95 for its folder; choose a shorter one"), "{line}");
        assert_eq!(folder.files(), 1, "nothing is left of what failed");
    });
}

#[test]
fn the_file_has_the_requested_permissions() {
    run(async {
        let folder = Folder::new("mode");
        let path = folder.socket();
        let server = Server::of(Listener::on(Endpoint::unix(&path).mode(0o600), || Echo)).await;
        let file = fs::symlink_metadata(&path).expect("it is there");
        assert!(file.file_type().is_socket());
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        echo(&path).await;
        server.tree.stop().await;
    });
}

#[test]
fn a_file_that_was_replaced_is_not_removed() {
    run(async {
        let folder = Folder::new("successor");
        let path = folder.socket();
        let server = Server::of(Listener::unix(&path, || Echo)).await;
        // A successor that replaces the file, as after an upgrade.
        fs::remove_file(&path).expect("it is there");
        let successor = UnixListener::bind(&path).expect("a free path");
        server.tree.stop().await;
        assert_eq!(folder.files(), 1);
        UnixStream::connect(&path).await.expect("the successor listens");
        drop(successor);
    });
}

#[test]
fn a_suspension_removes_the_file_and_resume_creates_it() {
    run(async {
        let folder = Folder::new("suspended");
        let path = folder.socket();
        let server = Server::of(Listener::unix(&path, || Echo)).await;
        let mut old = UnixStream::connect(&path).await.expect("it listens");
        server.outside.until_active(|active| active == 1).await;
        server.outside.suspend(Suspend::CloseSockets).await.expect("it runs");
        assert_eq!(folder.files(), 0);
        server.outside.resume().expect("the path is free");
        echo(&path).await;
        old.write_all(b"x").await.expect("it reads");
        old.read_exact(&mut [0]).await.expect("it answers");
        drop(old);
        server.tree.stop().await;
        assert_eq!(folder.files(), 0);
    });
}

#[test]
fn a_unix_peer_is_known_by_its_process() {
    run(async {
        async fn describe(mut socket: Socket) -> io::Result<()> {
            let peer = socket.peer_credentials()?;
            let ends = (socket.peer_addr().clone(), socket.local_addr()?);
            socket.send(format!("{} {} {}", peer.pid, ends.0, ends.1)).await
        }
        let folder = Folder::new("peer");
        let listener = Listener::unix(folder.socket(), serve(describe)).add_endpoint("127.0.0.1:0");
        // Peers of unix sockets have no IP address, so the limit of one peer does not apply.
        let server = Server::of(listener.max_connections_per_peer(0)).await;
        let mut client = UnixStream::connect(folder.socket()).await.expect("it listens");
        let mut line = String::new();
        client.read_to_string(&mut line).await.expect("text");
        assert_eq!(line, format!("{} unix:unnamed unix:{}", std::process::id(), folder.socket().display()));
        Client::connect(server.addr()).await.closed().await;
        assert_eq!(server.outside.metrics().rejected.peer, 1);
        server.tree.stop().await;
    });
}

#[test]
fn only_a_unix_socket_knows_its_peers_process() {
    run(async {
        let (_client, server) = tokio::io::duplex(1);
        let socket = Accepted::from_stream(server, Address::unnamed()).claim().expect("in memory");
        let error = socket.peer_credentials().expect_err("no process is known");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let (_client, server) = std::os::unix::net::UnixStream::pair().expect("free descriptors");
        let accepted = Accepted::from_fd(server.into(), Address::unnamed()).expect("a unix socket");
        let socket = accepted.claim().expect("an open socket");
        assert_eq!(socket.peer_credentials().expect("a process").pid, std::process::id());
    });
}

#[test]
fn a_unix_socket_can_be_inherited() {
    run(async {
        let folder = Folder::new("inherited");
        let parents = UnixListener::bind(folder.socket()).expect("a free path");
        let descriptor = std::os::fd::OwnedFd::from(parents.try_clone().expect("a free descriptor"));
        let socket = ListenSocket::try_from(descriptor).expect("it listens");
        let server = Server::of(Listener::on(socket, || Echo).arbiters(2)).await;
        assert_eq!(
            server.outside.local_addrs()[0].to_string(),
            format!("unix:{}", folder.socket().display())
        );
        echo(&folder.socket()).await;
        server.tree.stop().await;
        assert_eq!(folder.files(), 1, "the process that bound it owns the file");
    });
}

#[test]
fn the_file_stays_with_the_descriptor() {
    let folder = Folder::new("taken");
    let socket = ListenSocket::bind(&format!("unix:{}", folder.socket().display())).expect("a free path");
    let descriptor = std::os::fd::OwnedFd::from(socket);
    assert_eq!(folder.files(), 1);
    drop(descriptor);
}
