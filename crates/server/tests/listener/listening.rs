//! Failed starts of a listener: each error is one line.

use impresario_actor::StartError;
use impresario_server::{ListenError, ListenSocket, Listener};

use crate::support::{Echo, Running, Server, run};

async fn refused(address: &str) -> String {
    let listener = Listener::tcp(address, || Echo);
    match Running::start([listener.child_spec("server")]).await {
        Err(StartError::Failed(reason)) => reason.to_string(),
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("it listens on {address}"),
    }
}

#[test]
fn an_address_in_use_is_named() {
    run(async {
        let server = Server::start(|| Echo).await;
        let addr = server.addr().to_string();
        let line = refused(&addr).await;
        let expected =
            format!("cannot listen on {addr}: address in use; stop the process that listens on it or choose");
        assert!(line.contains(&expected), "{line}");
        // The first listener still serves.
        server.client().await.echo("hello\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn a_text_that_is_no_address_is_explained() {
    run(async {
        for address in ["nonsense", "127.0.0.1", "127.0.0.1:99999", "no such host.invalid:80", ""] {
            let line = refused(address).await;
            let expected = format!("cannot listen on {address}: not a known address; write HOST:PORT");
            assert!(line.contains(&expected), "{line}");
        }
    });
}

#[test]
fn an_address_of_another_machine_is_refused() {
    // 192.0.2.0/24 is reserved for documentation (RFC 5737).
    let error = ListenSocket::bind("192.0.2.1:80").expect_err("no local address");
    let line = error.to_string();
    assert!(matches!(error, ListenError::Bind { .. }));
    assert_eq!(
        line,
        "cannot listen on 192.0.2.1:80: this machine has no such address; choose an address of this machine"
    );
}

#[test]
fn a_host_name_is_resolved() {
    run(async {
        let server = Server::of(Listener::tcp("localhost:0", || Echo)).await;
        assert!(server.addr().ip().is_loopback());
        server.client().await.echo("hello\n").await;
        server.tree.stop().await;
    });
}

#[test]
fn the_log_names_the_address() {
    run(async {
        let mut server = Server::start(|| Echo).await;
        let addr = server.addr().to_string();
        let line = server.tree.log.wait_for(&["listening"]).await;
        assert!(line.contains(&format!("address={addr}")), "{line}");
        server.tree.stop().await;
    });
}
