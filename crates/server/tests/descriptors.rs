//! Nothing is left behind. Alone in its process, because descriptors are counted.

mod support;

use support::{Echo, Server, run, until};

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("a Linux with /proc").count()
}

#[test]
fn two_hundred_connections_leak_no_descriptors() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        server.client().await.echo("warm\n").await;
        until(|| server.listener.active() == 0).await;
        let before = descriptors();
        for round in 0..200 {
            let mut client = server.client().await;
            client.echo("hello\n").await;
            match round % 4 {
                0 => drop(client),
                1 => {
                    client.send("panic\n").await;
                    client.closed().await;
                    server.tree.log.wait_for(&["asked to"]).await;
                }
                2 => client.0.set_zero_linger().expect("an open socket"),
                _ => {
                    client.send("close\n").await;
                    assert_eq!(client.rest().await, b"closing\n");
                }
            }
        }
        until(|| server.listener.active() == 0).await;
        assert_eq!(descriptors(), before);
        server.tree.stop().await;
    });
}
