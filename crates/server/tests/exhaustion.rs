//! No descriptors left. Alone in its process, because it takes them all.

mod support;

use std::fs::File;
use std::os::fd::AsRawFd;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Client, Echo, Server, run};
use tokio::net::TcpSocket;

#[test]
fn the_acceptor_waits_for_descriptors_and_goes_on() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let mut old = server.client().await;
        old.echo("hello\n").await;
        // The client's end is there before the limit is reached; the server's is not.
        let socket = TcpSocket::new_v4().expect("a free descriptor");
        let limit = getrlimit(Resource::Nofile);
        // The kernel gives the lowest number that is free, and none from the limit on.
        let free = File::open("/dev/null").expect("a free descriptor").as_raw_fd();
        let none = Rlimit { current: u64::try_from(free).ok(), ..limit };
        setrlimit(Resource::Nofile, none).expect("lower is allowed");

        let mut client = Client(socket.connect(server.addr()).await.expect("the kernel answers"));
        client.send("later\n").await;
        server.tree.log.wait_for(&["WARN", "cannot accept for now"]).await;
        old.echo("still here\n").await;

        setrlimit(Resource::Nofile, limit).expect("back to where it was");
        server.tree.log.wait_for(&["accepting again"]).await;
        client.expect("later\n").await;
        let lines = server.tree.log.so_far();
        assert!(!lines.iter().any(|line| line.contains("ERRO")), "{lines:?}");
        server.tree.stop().await;
    });
}
