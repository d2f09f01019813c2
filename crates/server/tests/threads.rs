//! No thread outlives its listener. Alone in its process, because threads are counted.

mod support;

use impresario_server::Listener;
use support::{Echo, Server, run, until};

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("a Linux with /proc").count()
}

#[test]
fn arbiters_end_with_their_listener() {
    run(async {
        let before = threads();
        for _ in 0..3 {
            let server = Server::of(Listener::tcp("127.0.0.1:0", || Echo).arbiters(8)).await;
            server.client().await.echo("hello\n").await;
            assert_eq!(threads(), before + 8);
            server.tree.stop().await;
            until(|| threads() == before).await;
        }
    });
}
