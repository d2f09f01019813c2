//! The callbacks of a handler: which comes when, and which is the last.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use impresario_server::{
    Accepted, Address, Bytes, CastError, ConnectionRef, Connections, DisconnectReason, Ended, Handler,
    Mailbox, Next, Receive, Socket,
};
use tokio::time::{Duration as Time, advance, pause};

use crate::support::faulty::{Remote, Step, faulty};
use crate::support::{Running, run, until};

const SILENCE: Duration = Duration::from_secs(5);

type Log = Arc<Mutex<Vec<String>>>;
type Myself = Arc<Mutex<Option<ConnectionRef<Diary>>>>;

/// Writes down what it is called with, and does what the text says.
#[derive(Clone, Default)]
struct Diary {
    log: Log,
    myself: Myself,
    at_connect: &'static str,
    at_idle: &'static str,
}

impl Diary {
    fn note(&self, text: impl Into<String>) {
        self.log.lock().expect("no panic").push(text.into());
    }

    fn does(word: &str) -> io::Result<Next> {
        match word {
            "close" => Ok(Next::Close),
            "fail" => Err(io::Error::other("failure on request")),
            "panic" => panic!("panic on request"),
            _ => Ok(Next::Continue),
        }
    }

    fn lines(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }

    fn cast(&self, message: &'static str) -> Result<(), CastError<&'static str>> {
        let myself = self.myself.lock().expect("no panic").clone().expect("it has begun");
        myself.cast(message)
    }
}

impl Handler for Diary {
    fn init(&mut self, mailbox: &mut Mailbox<Self>) {
        *self.myself.lock().expect("no panic") = Some(mailbox.open(2));
        self.note("init");
    }

    async fn connected(&mut self, socket: &mut Socket) -> io::Result<Next> {
        socket.set_read_timeout(SILENCE);
        self.note("connected");
        Self::does(self.at_connect)
    }

    async fn data(&mut self, data: Bytes, _: &mut Socket) -> io::Result<Next> {
        let text = String::from_utf8(data.to_vec()).expect("text");
        self.note(format!("data {text}"));
        Self::does(&text)
    }

    async fn idle(&mut self, _: &mut Socket) -> io::Result<Next> {
        self.note("idle");
        Self::does(self.at_idle)
    }

    async fn shutdown(&mut self, socket: &mut Socket) -> io::Result<()> {
        self.note("shutdown");
        socket.send("bye").await
    }

    async fn closed(&mut self, why: &DisconnectReason) {
        self.note(match why {
            DisconnectReason::Failed(_) => "Failed".to_owned(),
            other => format!("{other:?}"),
        });
    }
}

impl Receive<&'static str> for Diary {
    async fn receive(&mut self, message: &'static str, _: &mut Socket) -> io::Result<Next> {
        self.note(format!("message {message}"));
        Self::does(message)
    }
}

/// One connection that is served by a diary.
struct Served {
    diary: Diary,
    connections: Connections<Box<dyn Fn() -> Diary + Send + Sync>>,
    tree: Running,
    remote: Remote,
}

async fn serve(diary: Diary, reads: Vec<Step>) -> Served {
    let make = diary.clone();
    let make: Box<dyn Fn() -> Diary + Send + Sync> = Box::new(move || make.clone());
    let connections = Connections::new(make);
    let children = [connections.child_spec("connections"), connections.drain_spec("drain", None)];
    let tree = Running::start(children).await.expect("it starts");
    let (stream, remote) = faulty(reads, []);
    connections.start(Accepted::from_stream(stream, Address::unnamed())).expect("there is room");
    Served { diary, connections, tree, remote }
}

impl Served {
    /// Lets time pass until it has.
    async fn ended_by_time(&self) -> Vec<String> {
        until_passed(|| {
            self.remote.is_dropped() && self.connections.tracker().metrics().ended != Ended::default()
        })
        .await;
        self.diary.lines()
    }

    async fn ended(&self) -> Vec<String> {
        until(|| self.remote.is_dropped() && self.connections.tracker().metrics().ended != Ended::default())
            .await;
        self.diary.lines()
    }
}

/// On a paused clock, time passes only by `advance`.
async fn until_passed(condition: impl Fn() -> bool) {
    while !condition() {
        advance(SILENCE / 10).await;
    }
}

fn bytes(text: &str) -> Step {
    Step::Bytes(text.into())
}

#[test]
fn every_way_out_has_its_last_callback() {
    run(async {
        let cases: [(&str, &[&str], &[&str]); 9] = [
            ("", &["a"], &["data a", "ByPeer"]),
            ("", &["close"], &["data close", "ByHandler"]),
            ("", &["fail"], &["data fail", "Failed"]),
            // Nothing runs after a panic.
            ("", &["panic"], &["data panic"]),
            ("", &["a", "b", "close"], &["data a", "data b", "data close", "ByHandler"]),
            ("close", &["a"], &["ByHandler"]),
            ("fail", &["a"], &["Failed"]),
            ("panic", &["a"], &[]),
            ("", &[], &["ByPeer"]),
        ];
        for (at_connect, sent, expected) in cases {
            let diary = Diary { at_connect, ..Diary::default() };
            let served = serve(diary, sent.iter().map(|text| bytes(text)).collect()).await;
            let lines = served.ended().await;
            assert_eq!(&lines[..2], ["init", "connected"]);
            assert_eq!(&lines[2..], expected, "{at_connect} {sent:?}");
            let orderly = expected.last().is_some_and(|last| last.starts_with("By"));
            assert_eq!(served.remote.is_shut_down(), orderly, "{at_connect} {sent:?}");
            served.tree.stop().await;
        }
    });
}

#[test]
fn a_silent_peer_is_closed_unless_the_handler_says_otherwise() {
    run(async {
        pause();
        let served = serve(Diary { at_idle: "close", ..Diary::default() }, vec![Step::Never]).await;
        assert_eq!(served.ended_by_time().await[2..], ["idle", "ByTimeout"]);
        assert!(served.remote.is_shut_down());
        assert_eq!(served.connections.tracker().metrics().ended.completed, 1);

        let served = serve(Diary { at_idle: "fail", ..Diary::default() }, vec![Step::Never]).await;
        assert_eq!(served.ended_by_time().await[2..], ["idle", "Failed"]);

        let served = serve(Diary::default(), vec![Step::Never]).await;
        until_passed(|| served.diary.lines().len() == 4).await;
        // It was patient twice.
        served.remote.go_on([], []);
        assert_eq!(served.ended().await[2..], ["idle", "idle", "ByPeer"]);
    });
}

#[test]
fn only_the_peers_bytes_reset_the_read_timeout() {
    run(async {
        let served = serve(Diary { at_idle: "close", ..Diary::default() }, vec![Step::Never]).await;
        until(|| served.diary.lines().len() == 2).await;
        pause();
        for _ in 0..2 {
            advance(SILENCE * 2 / 3).await;
            served.remote.go_on([bytes("a"), Step::Never], []);
            let before = served.diary.lines().len();
            until(|| served.diary.lines().len() > before).await;
        }
        assert_eq!(served.diary.lines()[2..], ["data a", "data a"]);
        for _ in 0..2 {
            advance(SILENCE * 2 / 3).await;
            // Refused when it is too late.
            let _ = served.diary.cast("local");
            tokio::task::yield_now().await;
        }
        let lines = served.ended_by_time().await;
        assert_eq!(lines[4], "message local", "{lines:?}");
        assert_eq!(lines[lines.len() - 2..], ["idle", "ByTimeout"], "{lines:?}");
    });
}

#[test]
fn messages_are_received_between_reads_and_can_close() {
    run(async {
        let served = serve(Diary::default(), vec![bytes("a"), Step::Never]).await;
        until(|| served.diary.lines().len() == 3).await;
        served.diary.cast("hello").expect("it is open");
        until(|| served.diary.lines().len() == 4).await;
        served.remote.go_on([bytes("b"), Step::Never], []);
        until(|| served.diary.lines().len() == 5).await;
        served.diary.cast("close").expect("it is open");
        let expected = ["data a", "message hello", "data b", "message close", "ByHandler"];
        assert_eq!(served.ended().await[2..], expected);
        let error = served.diary.cast("late").expect_err("it is over");
        assert_eq!(error, CastError::NotAvailable("late"));
    });
}

#[test]
fn the_panic_of_a_message_is_the_connections_own() {
    run(async {
        let mut served = serve(Diary::default(), vec![Step::Never]).await;
        until(|| served.diary.lines().len() == 2).await;
        served.diary.cast("panic").expect("it is open");
        assert_eq!(served.ended().await[2..], ["message panic"]);
        assert_eq!(served.connections.tracker().metrics().ended.crashed, 1);
        served.tree.log.wait_for(&["ERRO", "panic on request"]).await;
        assert!(served.diary.cast("late").is_err());
    });
}

#[test]
fn a_full_mailbox_returns_the_message() {
    run(async {
        let served = serve(Diary::default(), vec![Step::Never]).await;
        until(|| served.diary.lines().len() == 2).await;
        // It has no turn in between.
        served.diary.cast("1").expect("there is room");
        served.diary.cast("2").expect("there is room");
        assert_eq!(served.diary.cast("3").expect_err("two may wait").into_message(), "3");
        until(|| served.diary.lines().len() == 4).await;
        served.diary.cast("4").expect("there is room again");
        until(|| served.diary.lines().len() == 5).await;
        assert_eq!(served.diary.lines()[2..], ["message 1", "message 2", "message 4"]);
    });
}

#[test]
fn neither_messages_nor_bytes_keep_the_other_waiting() {
    run(async {
        let reads = std::iter::repeat_n(bytes("a"), 50).chain([Step::Never]).collect();
        let served = serve(Diary::default(), reads).await;
        until(|| served.diary.lines().len() >= 2).await;
        let (mut told, mut first_message) = (0, None);
        while served.diary.lines().len() < 72 {
            told += usize::from(told < 20 && served.diary.cast("m").is_ok());
            tokio::task::yield_now().await;
            let lines = served.diary.lines();
            first_message = first_message.or(lines.iter().position(|line| line == "message m"));
        }
        let lines = served.diary.lines();
        let count = |text: &str| lines.iter().filter(|line| *line == text).count();
        assert_eq!((count("data a"), count("message m")), (50, 20));
    });
}

#[test]
fn shutdown_runs_and_its_last_bytes_arrive() {
    run(async {
        let served = serve(Diary::default(), vec![Step::Never]).await;
        until(|| served.diary.lines().len() == 2).await;
        served.tree.stop().await;
        assert_eq!(served.diary.lines()[2..], ["shutdown", "ByShutdown"]);
        assert_eq!((served.remote.written(), served.remote.is_shut_down()), (b"bye".to_vec(), true));
    });
}

#[test]
fn a_thousand_that_send_a_byte_now_and_then_end_in_their_time() {
    // Slowloris against a line protocol: each byte restarts the read timeout, so the bound is the handler's.
    struct Line(tokio::time::Instant);

    impl Handler for Line {
        async fn connected(&mut self, socket: &mut Socket) -> io::Result<Next> {
            socket.set_read_timeout(Time::from_secs(2));
            Ok(Next::Continue)
        }

        async fn data(&mut self, _: Bytes, _: &mut Socket) -> io::Result<Next> {
            let in_time = self.0.elapsed() < Time::from_secs(10);
            Ok(if in_time { Next::Continue } else { Next::Close })
        }
    }

    run(async {
        let connections = Connections::new(|| Line(tokio::time::Instant::now()));
        let children = [connections.child_spec("connections"), connections.drain_spec("drain", None)];
        let tree = Running::start(children).await.expect("it starts");
        pause();
        let mut remotes = Vec::new();
        for _ in 0..1000 {
            let (stream, remote) = faulty([Step::Never], []);
            connections.start(Accepted::from_stream(stream, Address::unnamed())).expect("there is room");
            remotes.push(remote);
        }
        until(|| remotes.iter().all(Remote::is_waited_for)).await;
        for _ in 0..11 {
            advance(Time::from_secs(1)).await;
            remotes.iter().for_each(|remote| remote.go_on([bytes("x"), Step::Never], []));
            until(|| remotes.iter().all(|remote| remote.is_waited_for() || remote.is_dropped())).await;
        }
        until(|| connections.tracker().active() == 0).await;
        assert_eq!(connections.tracker().metrics().ended.completed, 1000);
        tree.stop().await;
    });
}
