//! No descriptors left, and a policy to reject. Alone in its process, because it takes them all.

mod support;

use std::fs::File;
use std::os::fd::AsRawFd;

use impresario_server::{Listener, Policy};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, Echo, Server, run};
use tokio::net::TcpSocket;

#[test]
fn without_descriptors_connections_are_closed_not_hung() {
    run(async {
        let listener = Listener::tcp("127.0.0.1:0", || Echo).policy(Policy::Reject);
        let mut server = Server::of(listener).await;
        let mut old = server.client().await;
        old.echo("hello\n").await;
        // The clients' ends are there before the limit is reached; the server's are not.
        let sockets: Vec<_> = (0..6).map(|_| TcpSocket::new_v4().expect("a free descriptor")).collect();
        let limit = getrlimit(Resource::Nofile);
        // The kernel gives the lowest number that is free, and none from the limit on.
        let free = File::open("/dev/null").expect("a free descriptor").as_raw_fd();
        let none = Rlimit { current: u64::try_from(free).ok(), ..limit };
        setrlimit(Resource::Nofile, none).expect("lower is allowed");

        for (number, socket) in (1..).zip(sockets) {
            let client = Client(socket.connect(server.addr()).await.expect("the kernel answers"));
            client.closed().await;
            assert_eq!(server.outside.metrics().rejected.descriptors, number);
            // What the client has given back is not to be had either.
            let free = File::open("/dev/null").map(|file| file.as_raw_fd());
            if let Ok(free) = free {
                let none = Rlimit { current: u64::try_from(free).ok(), ..limit };
                setrlimit(Resource::Nofile, none).expect("lower is allowed");
            }
        }
        server.tree.log.wait_for(&["WARN", "cannot accept for now"]).await;
        assert!(server.outside.metrics().pauses > 0);
        old.echo("still here\n").await;

        setrlimit(Resource::Nofile, limit).expect("back to where it was");
        server.client().await.echo("served\n").await;
        server.tree.log.wait_for(&["accepting again"]).await;
        let lines = server.tree.log.so_far();
        assert!(!lines.iter().any(|line| line.contains("ERRO")), "{lines:?}");
        server.tree.stop().await;
    });
}
