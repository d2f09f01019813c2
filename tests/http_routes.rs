//! The routes of the `http` example, with a router and without.

use impresario_testkit::{Http, Mode, Pattern, Site, in_both_modes};

in_both_modes! {
    every_route_answers,
    a_connection_stays_with_its_worker,
    pipelined_requests_are_answered_in_order,
    bodies_are_streamed_back,
    a_body_in_chunks_comes_back,
    a_body_of_64_mib_is_echoed_and_a_larger_is_not,
    a_slow_response_delays_no_other,
    a_panic_fails_its_request_only,
    an_abort_kills_its_worker_only,
}

/// Maximum body that the example accepts, in bytes.
const MAX_BODY: u64 = 64 << 20;

fn every_route_answers(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let workers = site.tree().workers;
    let mut http = Http::open(site.address).expect("the program listens");

    let hello = http.get("/").expect("a response");
    assert_eq!((hello.status, hello.text().as_str()), (200, "hello\n"));
    assert!(workers.contains(&http.pid().expect("a response")), "a worker answers");
    let slow = http.get("/slow/20").expect("a response");
    assert_eq!((slow.status, slow.text().as_str()), (200, "done\n"));
    assert_eq!(http.get("/nowhere").expect("a response").status, 404);
    assert_eq!(http.get("/slow/soon").expect("a response").status, 400);
    http.send("POST", "/", &[], b"x").expect("the peer reads");
    assert_eq!(http.receive().expect("a response").status, 405);

    http.send("HEAD", "/", &[("Connection", "close")], b"").expect("the peer reads");
    let head = String::from_utf8(http.until_closed().expect("it closes when asked")).expect("text");
    assert!(
        head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"),
        "a head without a body, not {head:?}"
    );
}

fn a_connection_stays_with_its_worker(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let workers = site.tree().workers;
    for (pid, mut http) in workers.iter().zip(site.connect_to_each(&workers)) {
        for _ in 0..20 {
            assert_eq!(http.pid().expect("a response"), *pid);
        }
    }
}

fn pipelined_requests_are_answered_in_order(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let mut http = Http::open(site.address).expect("the program listens");
    let requests =
        ["/slow/30", "/nowhere", "/"].map(|path| format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"));
    http.send_raw(requests.concat().as_bytes()).expect("the peer reads");
    assert_eq!(http.receive().expect("a response").text(), "done\n");
    assert_eq!(http.receive().expect("a response").status, 404);
    assert_eq!(http.receive().expect("a response").text(), "hello\n");
}

fn bodies_are_streamed_back(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let mut http = Http::open(site.address).expect("the program listens");
    for length in [0, 1, 1_000, 65_536, 1 << 20] {
        let pattern = Pattern::new(length, length);
        assert_eq!(
            http.post_pattern("/echo", &pattern, length).expect("a response"),
            (200, true),
            "{length} bytes"
        );
    }
}

fn a_body_in_chunks_comes_back(mode: Mode) {
    let site = Site::start(mode, 1, &[]);
    let mut http = Http::open(site.address).expect("the program listens");
    let head = "POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n";
    http.send_raw(format!("{head}5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n").as_bytes())
        .expect("the peer reads");
    let answer = http.receive().expect("a response");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello world"));
    assert_eq!(http.get("/").expect("the connection is kept").status, 200);
}

fn a_body_of_64_mib_is_echoed_and_a_larger_is_not(mode: Mode) {
    let site = Site::start(mode, 1, &[]);
    let mut http = Http::open(site.address).expect("the program listens");
    let answer = http.post_pattern("/echo", &Pattern::new(64, MAX_BODY), MAX_BODY).expect("a response");
    assert_eq!(answer, (200, true));

    let mut http = Http::open(site.address).expect("the program listens");
    let larger = Pattern::new(65, MAX_BODY + 1);
    if let Ok((status, same)) = http.post_pattern("/echo", &larger, MAX_BODY + 1) {
        assert!(status == 413 || !same, "a body above the limit came back whole with {status}");
    }
    assert_eq!(site.get("/").expect("a response").status, 200);
}

fn a_slow_response_delays_no_other(mode: Mode) {
    let site = Site::start(mode, 1, &[]);
    let mut slow = Http::open(site.address).expect("the program listens");
    let start = std::time::Instant::now();
    slow.send("GET", "/slow/3000", &[], b"").expect("the peer reads");
    for _ in 0..50 {
        assert_eq!(site.get("/").expect("a response").status, 200);
    }
    assert!(start.elapsed().as_millis() < 3_000, "50 requests of others waited for a slow one");
    assert_eq!(slow.receive().expect("a response").text(), "done\n");
    assert!(start.elapsed().as_millis() >= 3_000);
}

fn a_panic_fails_its_request_only(mode: Mode) {
    let site = Site::start(mode, 1, &[]);
    let tree = site.tree();
    let mut witness = Http::open(site.address).expect("the program listens");
    let pid = witness.pid().expect("a response");

    for _ in 0..20 {
        if let Ok(answer) = site.get("/panic") {
            assert_eq!(answer.status, 500);
        }
    }
    assert_eq!(witness.pid().expect("the other connection goes on"), pid);
    assert_eq!(site.tree(), tree, "no process was replaced");
    site.program.wait_for_line("that reports the panic and its place", |line| {
        line.contains("panic") && line.contains("http.rs:") && !line.starts_with("thread '")
    });
}

fn an_abort_kills_its_worker_only(mode: Mode) {
    let site = Site::start(mode, 2, &[]);
    let tree = site.tree();
    let mut connections = site.connect_to_each(&tree.workers);
    let mut witness = connections.pop().expect("one to each worker");
    let mut victim = connections.pop().expect("one to each worker");

    assert!(victim.get("/abort").is_err(), "a process that aborted does not answer");
    assert_eq!(Some(&witness.pid().expect("the other worker's connection goes on")), tree.workers.last());
    let dead = *tree.workers.first().expect("two workers");
    let after = site.tree_without(&[dead]);
    assert_eq!((after.main, after.router, after.prototype), (tree.main, tree.router, tree.prototype));
    assert_eq!(Some(&witness.pid().expect("and it still does")), tree.workers.last());
    drop(site.connect_to_each(&after.workers));
}
