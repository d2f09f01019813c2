//! Misbehaving clients of the `http` example. Each affects its own connection only.

use std::io;

use impresario_testkit::{Connection, Mode, Pattern, Site, Tree, in_both_modes};

in_both_modes! {
    garbage_gets_400_and_a_close,
    a_head_of_1_mib_gets_431_or_a_close,
    an_endless_head_gets_a_close,
    silent_clients_do_not_disturb_others,
    half_a_request_and_eof_closes_its_connection,
    resets_close_only_their_connections,
    a_client_that_does_not_read_delays_no_other,
    a_request_with_two_lengths_is_rejected,
}

/// Runs an attack and checks that the processes are the same and that all of them serve requests.
fn assert_unharmed(mode: Mode, attack: impl FnOnce(&Site)) {
    let site = Site::start(mode, 2, &[]);
    let tree: Tree = site.tree();
    let mut witnesses = site.connect_to_each(&tree.workers);
    attack(&site);
    for (pid, witness) in tree.workers.iter().zip(&mut witnesses) {
        assert_eq!(witness.pid().expect("connections of others go on"), *pid);
    }
    drop(site.connect_to_each(&tree.workers));
    assert_eq!(site.tree(), tree, "no process was replaced");
}

fn connect(site: &Site) -> Connection {
    Connection::open(site.address).expect("the program listens")
}

fn garbage_gets_400_and_a_close(mode: Mode) {
    assert_unharmed(mode, |site| {
        let hello_of_tls = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n";
        let cases: [&[u8]; 6] = [
            b"garbage\r\n\r\n",
            b"\x00\x01\x02\x03\r\n\r\n",
            hello_of_tls,
            b"GET\r\n\r\n",
            b"GET / HTTP/9.9\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
        ];
        for bytes in cases {
            let mut client = connect(site);
            client.send(bytes).expect("the peer reads");
            let answer = client.until_closed().expect("the peer closes");
            let text = String::from_utf8_lossy(&answer);
            assert!(text.starts_with("HTTP/1.1 400 "), "{bytes:?} gets {text:?}");
        }
        for seed in 0..20 {
            let mut client = connect(site);
            client.send(&Pattern::new(seed, 4_096).bytes()).and_then(|()| client.finish()).ok();
            client.until_closed().expect("the peer closes");
        }
    });
}

/// The response to a head, or to the part of it that the server reads.
fn answer_to(client: &mut Connection, head: &[u8]) -> io::Result<String> {
    // The server may respond and close before it has read everything, so a send error is no failure.
    client.send(head).ok();
    Ok(String::from_utf8_lossy(&client.until_closed()?).into_owned())
}

fn a_head_of_1_mib_gets_431_or_a_close(mode: Mode) {
    assert_unharmed(mode, |site| {
        let one_line = format!("GET / HTTP/1.1\r\nHost: test\r\nX: {}\r\n\r\n", "x".repeat(1 << 20));
        let many_lines =
            format!("GET / HTTP/1.1\r\nHost: test\r\n{}\r\n", "X-Y: 0123456789\r\n".repeat(1 << 16));
        let target = format!("GET /{} HTTP/1.1\r\nHost: test\r\n\r\n", "x".repeat(1 << 20));
        for head in [one_line, many_lines, target] {
            let text = answer_to(&mut connect(site), head.as_bytes()).expect("the peer closes");
            let refused = text.is_empty()
                || ["431", "414", "400"].iter().any(|code| text.starts_with(&format!("HTTP/1.1 {code} ")));
            assert!(refused, "{:?}... gets {text:?}", head.get(..40));
        }
    });
}

fn an_endless_head_gets_a_close(mode: Mode) {
    assert_unharmed(mode, |site| {
        let mut client = connect(site);
        client.send(b"GET / HTTP/1.1\r\n").expect("the peer reads");
        // 64 MiB is far above the limit. The loop ends at the first send error.
        let refused = (0..4_096).any(|_| client.send(&[b'x'; 16 * 1024]).is_err());
        assert!(refused, "64 MiB of one head were read");
    });
}

fn silent_clients_do_not_disturb_others(mode: Mode) {
    assert_unharmed(mode, |site| {
        let silent: Vec<Connection> = (0..200).map(|_| connect(site)).collect();
        for _ in 0..50 {
            assert_eq!(site.get("/").expect("others are served").status, 200);
        }
        drop(silent);
    });
}

fn half_a_request_and_eof_closes_its_connection(mode: Mode) {
    assert_unharmed(mode, |site| {
        for part in [
            "",
            "G",
            "GET / HT",
            "GET / HTTP/1.1\r\nHost: te",
            "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe",
        ] {
            let mut client = connect(site);
            client.send(part.as_bytes()).and_then(|()| client.finish()).expect("the peer reads");
            client.until_closed().unwrap_or_else(|error| panic!("not closed after {part:?}: {error}"));
        }
    });
}

fn resets_close_only_their_connections(mode: Mode) {
    assert_unharmed(mode, |site| {
        let starts: [&[u8]; 4] = [
            b"",
            b"GET / HTT",
            b"GET /slow/100 HTTP/1.1\r\nHost: test\r\n\r\n",
            b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1000\r\n\r\nx",
        ];
        for start in starts.iter().cycle().take(80) {
            let mut client = connect(site);
            client.send(start).ok();
            client.reset().expect("the connection is open");
        }
    });
}

fn a_client_that_does_not_read_delays_no_other(mode: Mode) {
    assert_unharmed(mode, |site| {
        let mut client = connect(site);
        let head = format!("POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n\r\n", 32 << 20);
        client.send(head.as_bytes()).expect("the peer reads");
        let mut writer = client.try_clone().expect("a free descriptor");
        let stuck = std::thread::spawn(move || writer.send(&Pattern::new(1, 32 << 20).bytes()));
        for _ in 0..50 {
            assert_eq!(site.get("/").expect("others are served").status, 200);
        }
        // Both handles share the connection, so this ends the blocked send.
        client.shut_down().expect("the connection is open");
        stuck.join().expect("no panic").ok();
    });
}

fn a_request_with_two_lengths_is_rejected(mode: Mode) {
    assert_unharmed(mode, |site| {
        let head = "POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nContent-Length: 9\r\n\r\nabc";
        let text = answer_to(&mut connect(site), head.as_bytes()).expect("the peer closes");
        assert!(text.starts_with("HTTP/1.1 400 "), "response {text:?}");
    });
}
