//! The `chat` example, driven as its users would: they hear each other, and a crash of the room costs nobody a seat.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;

use impresario_testkit::{Connection, Program, Signal};

struct Chat {
    program: Program,
    address: SocketAddr,
}

/// Somebody who has connected, and heard so.
struct User {
    connection: Connection,
    lines: BufReader<Connection>,
}

impl Chat {
    fn start() -> Self {
        let program = Program::start("chat", &["--listen", "127.0.0.1:0"]);
        let address = program.address_after("listening");
        Self { program, address }
    }

    /// Connects, as one of so many.
    fn join(&self, present: usize) -> User {
        let connection = Connection::open(self.address).expect("it listens");
        let lines = BufReader::new(connection.try_clone().expect("a descriptor"));
        let mut user = User { connection, lines };
        user.hears(&format!("* somebody came, {present} here"));
        user
    }
}

impl User {
    fn says(&mut self, line: &str) {
        self.connection.send(format!("{line}\n").as_bytes()).expect("it reads");
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// The next line is this.
    #[track_caller]
    fn hears(&mut self, line: &str) {
        assert_eq!(self.next(), line);
    }

    /// The next line has this number and this text, whoever said it.
    #[track_caller]
    fn hears_said(&mut self, number: u64, text: &str) {
        let line = self.next();
        let said = line.split_once(' ').and_then(|(number, rest)| Some((number, rest.split_once(": ")?.1)));
        assert_eq!(said, Some((number.to_string().as_str(), text)), "{line:?}");
    }
}

/// Three who know of each other.
fn three(chat: &Chat) -> [User; 3] {
    let mut users = [chat.join(1), chat.join(2), chat.join(3)];
    users[0].hears("* somebody came, 2 here");
    users[0].hears("* somebody came, 3 here");
    users[1].hears("* somebody came, 3 here");
    users
}

#[test]
fn all_members_get_all_lines_in_one_order() {
    let chat = Chat::start();
    let mut users = three(&chat);
    for number in 1..=30 {
        users[number % 3].says(&format!("line {number}"));
        // Two that are said at the same time come in any order; so each waits for the one before.
        for user in &mut users {
            user.hears_said(number as u64, &format!("line {number}"));
        }
    }
    users[0].says("/who");
    users[0].hears("* 3 here");
}

#[test]
fn split_and_joined_lines_are_delivered_as_lines() {
    let chat = Chat::start();
    let mut users = three(&chat);
    users[0].connection.send(b"one\ntwo\nth").expect("it reads");
    users[1].hears_said(1, "one");
    users[1].hears_said(2, "two");
    users[0].connection.send(b"ree\n").expect("it reads");
    users[2].hears_said(1, "one");
    users[2].hears_said(2, "two");
    users[2].hears_said(3, "three");
}

#[test]
fn after_a_crash_the_room_keeps_its_members() {
    let chat = Chat::start();
    let mut users = three(&chat);
    for _ in 0..3 {
        users[1].says("before");
        for user in &mut users {
            user.hears_said(1, "before");
        }
        users[0].says("/crash");
        for user in &mut users {
            user.hears("* the room is open, 3 here");
        }
        // What the room knew by itself is gone with it.
        users[2].says("after");
        for user in &mut users {
            user.hears_said(1, "after");
        }
        users[1].says("/crash");
        for user in &mut users {
            user.hears("* the room is open, 3 here");
        }
    }
    chat.program.wait_for_line("that reports the crash and its place", |line| {
        line.contains("/crash was said") && line.contains("chat.rs:") && line.contains("room")
    });
    let mut late = chat.join(4);
    late.says("/who");
    late.hears("* 4 here");
}

#[test]
fn leaving_is_announced_after_close_or_reset() {
    let chat = Chat::start();
    let [mut first, second, mut third] = three(&chat);
    second.connection.reset().expect("it is open");
    drop(second.lines);
    first.hears("* somebody left, 2 here");
    third.hears("* somebody left, 2 here");
    third.connection.finish().expect("it is open");
    first.hears("* somebody left, 1 here");
    first.says("alone");
    first.hears_said(1, "alone");
}

#[test]
fn a_slow_reader_is_disconnected() {
    let chat = Chat::start();
    let mut speaker = chat.join(1);
    let mut stuck = chat.join(2);
    speaker.hears("* somebody came, 2 here");
    let line = "x".repeat(4_000);
    let left = (0..50_000).any(|_| {
        speaker.says(&line);
        // Its own line and the news come in either order, but nothing else comes.
        speaker.next() == "* somebody left, 1 here"
    });
    assert!(left, "one that does not read was never thrown out");
    stuck.connection.until_closed().expect("it is closed");
}

#[test]
fn an_overlong_line_closes_its_connection() {
    let chat = Chat::start();
    let [mut first, mut second, _third] = three(&chat);
    second.connection.send(&[b'x'; 100_000]).ok();
    first.hears("* somebody left, 2 here");
    second.connection.until_closed().expect("it is closed");
}

#[test]
fn sigterm_exits_with_0() {
    let mut chat = Chat::start();
    let mut users = three(&chat);
    chat.program.signal(Signal::TERM);
    for user in &mut users {
        user.connection.until_closed().expect("it is closed");
    }
    assert_eq!(chat.program.wait().code(), Some(0));
}
