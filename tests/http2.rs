//! HTTP/2 with the `http` example, with a router and without.

use std::future::Future;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::{Error, Reason};
use http::Request;
use impresario_testkit::{DEADLINE, Mode, Signal, Site, in_both_modes};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

in_both_modes! {
    streams_of_a_connection_run_in_one_worker_in_parallel,
    a_panic_resets_its_stream_only,
    sigterm_lets_open_streams_finish,
    death_of_a_worker_closes_only_its_connections,
}

/// Runs an async test with a timeout.
fn run<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        tokio::time::timeout(4 * DEADLINE, test).await.expect("the test runs into its timeout")
    })
}

/// A client that starts with HTTP/2 (prior knowledge).
struct Client {
    send: SendRequest<Bytes>,
    connection: JoinHandle<Result<(), Error>>,
}

impl Client {
    async fn open(site: &Site) -> Self {
        let stream = TcpStream::connect(site.address).await.expect("the program listens");
        let (send, connection) = h2::client::handshake(stream).await.expect("the peer speaks HTTP/2");
        Self { send, connection: tokio::spawn(connection) }
    }

    async fn begin(&mut self, path: &str) -> ResponseFuture {
        self.send = self.send.clone().ready().await.expect("the connection is there");
        let request = Request::get(format!("http://test{path}")).body(()).expect("a good path");
        self.send.send_request(request, true).expect("a free stream").0
    }

    async fn get(&mut self, path: &str) -> Result<String, Error> {
        text(self.begin(path).await).await
    }
}

async fn text(response: ResponseFuture) -> Result<String, Error> {
    let mut body = response.await?.into_body();
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend(data);
    }
    Ok(String::from_utf8(all).expect("text"))
}

fn streams_of_a_connection_run_in_one_worker_in_parallel(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let workers = site.tree().workers;
    run(async {
        let mut client = Client::open(&site).await;
        let slow = client.begin("/slow/500").await;
        let mut pids = Vec::new();
        for _ in 0..100 {
            pids.push(client.begin("/pid").await);
        }
        let mut answers = Vec::new();
        for pid in pids {
            answers.push(text(pid).await.expect("a response"));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(workers.contains(&answers[0].parse().expect("a pid")), "a worker answers");
        assert_eq!(text(slow).await.expect("a response"), "done\n");
    });
    assert_eq!(site.get("/").expect("HTTP/1 is answered too").text(), "hello\n");
}

fn a_panic_resets_its_stream_only(mode: Mode) {
    let site = Site::start(mode, 1, &[]);
    let tree = site.tree();
    run(async {
        let mut client = Client::open(&site).await;
        let slow = client.begin("/slow/500").await;
        let lost = client.get("/panic").await.expect_err("its stream is reset");
        assert_eq!(lost.reason(), Some(Reason::INTERNAL_ERROR));
        assert_eq!(text(slow).await.expect("the other one goes on"), "done\n");
    });
    assert_eq!(site.tree(), tree, "no process was replaced");
    site.program.wait_for_line("that reports the panic and its place", |line| {
        line.contains("panic") && line.contains("http.rs:") && !line.starts_with("thread '")
    });
}

fn sigterm_lets_open_streams_finish(mode: Mode) {
    let mut site = Site::start(mode, 2, &[]);
    run(async {
        let mut idle = Client::open(&site).await;
        assert_eq!(idle.get("/").await.expect("a response"), "hello\n");
        let mut client = Client::open(&site).await;
        let slow = client.begin("/slow/2000").await;
        // This request came later, so the server has received the slow one.
        assert_eq!(client.get("/").await.expect("a response"), "hello\n");
        site.program.signal(Signal::TERM);
        // GOAWAY closes an idle connection, although the client could send more requests.
        idle.connection.await.expect("no panic").expect("an orderly end");
        assert_eq!(text(slow).await.expect("the running request finishes"), "done\n");
        client.connection.await.expect("no panic").expect("an orderly end");
    });
    assert_eq!(site.program.wait().code(), Some(0));
}

fn death_of_a_worker_closes_only_its_connections(mode: Mode) {
    let site = Site::start(mode, 1, &[]);
    let worker = site.tree().workers[0];
    run(async {
        let mut client = Client::open(&site).await;
        assert_eq!(client.get("/pid").await.expect("a response"), worker.to_string());
        site.kill(worker);
        // With an error or without: the kernel closes the connection of a killed process.
        let _ = client.connection.await.expect("no panic");
        let workers = site.tree_without(&[worker]).workers;
        let mut client = Client::open(&site).await;
        assert_eq!(client.get("/pid").await.expect("a response"), workers[0].to_string());
    });
}
