//! Tests of the `chat` example: clients get each other's lines, and a crash of the room disconnects no one.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;

use impresario_testkit::{Connection, Program, Signal};

struct Chat {
    program: Program,
    address: SocketAddr,
}

/// A client that has joined.
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

    /// Connects and checks that `present` members are announced.
    fn join(&self, present: usize) -> User {
        let connection = Connection::open(self.address).expect("the program listens");
        let lines = BufReader::new(connection.try_clone().expect("a free descriptor"));
        let mut user = User { connection, lines };
        user.receives(&format!("* a user joined, {present} present"));
        user
    }
}

impl User {
    fn sends(&mut self, line: &str) {
        self.connection.send(format!("{line}\n").as_bytes()).expect("the peer reads");
    }

    fn next(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the peer answers");
        line.trim_end().to_owned()
    }

    /// Expects this as the next line.
    #[track_caller]
    fn receives(&mut self, line: &str) {
        assert_eq!(self.next(), line);
    }

    /// Expects a line with this number and text next, from any sender.
    #[track_caller]
    fn receives_numbered(&mut self, number: u64, text: &str) {
        let line = self.next();
        let found = line.split_once(' ').and_then(|(number, rest)| Some((number, rest.split_once(": ")?.1)));
        assert_eq!(found, Some((number.to_string().as_str(), text)), "{line:?}");
    }
}

/// Three clients that have got each other's join messages.
fn three_users(chat: &Chat) -> [User; 3] {
    let mut users = [chat.join(1), chat.join(2), chat.join(3)];
    users[0].receives("* a user joined, 2 present");
    users[0].receives("* a user joined, 3 present");
    users[1].receives("* a user joined, 3 present");
    users
}

#[test]
fn all_members_get_all_lines_in_one_order() {
    let chat = Chat::start();
    let mut users = three_users(&chat);
    for number in 1..=30 {
        users[number % 3].sends(&format!("line {number}"));
        // Lines of different clients sent at the same time have no order, so each line waits for the one
        // before.
        for user in &mut users {
            user.receives_numbered(number as u64, &format!("line {number}"));
        }
    }
    users[0].sends("/who");
    users[0].receives("* 3 present");
}

#[test]
fn split_and_joined_lines_are_delivered_as_lines() {
    let chat = Chat::start();
    let mut users = three_users(&chat);
    users[0].connection.send(b"one\ntwo\nth").expect("the peer reads");
    users[1].receives_numbered(1, "one");
    users[1].receives_numbered(2, "two");
    users[0].connection.send(b"ree\n").expect("the peer reads");
    users[2].receives_numbered(1, "one");
    users[2].receives_numbered(2, "two");
    users[2].receives_numbered(3, "three");
}

#[test]
fn after_a_crash_the_room_keeps_its_members() {
    let chat = Chat::start();
    let mut users = three_users(&chat);
    for _ in 0..3 {
        users[1].sends("before");
        for user in &mut users {
            user.receives_numbered(1, "before");
        }
        users[0].sends("/crash");
        for user in &mut users {
            user.receives("* the room is open, 3 present");
        }
        // The restarted room counts its lines from 1: its own state was lost.
        users[2].sends("after");
        for user in &mut users {
            user.receives_numbered(1, "after");
        }
        users[1].sends("/crash");
        for user in &mut users {
            user.receives("* the room is open, 3 present");
        }
    }
    chat.program.wait_for_line("that reports the crash and its place", |line| {
        line.contains("/crash was received") && line.contains("chat.rs:") && line.contains("room")
    });
    let mut late = chat.join(4);
    late.sends("/who");
    late.receives("* 4 present");
}

#[test]
fn leaving_is_announced_after_close_or_reset() {
    let chat = Chat::start();
    let [mut first, second, mut third] = three_users(&chat);
    second.connection.reset().expect("the connection is open");
    drop(second.lines);
    first.receives("* a user left, 2 present");
    third.receives("* a user left, 2 present");
    third.connection.finish().expect("the connection is open");
    first.receives("* a user left, 1 present");
    first.sends("alone");
    first.receives_numbered(1, "alone");
}

#[test]
fn a_slow_reader_is_disconnected() {
    let chat = Chat::start();
    let mut speaker = chat.join(1);
    let mut stuck = chat.join(2);
    speaker.receives("* a user joined, 2 present");
    let line = "x".repeat(4_000);
    let left = (0..50_000).any(|_| {
        speaker.sends(&line);
        // Its own line and the leave message come in either order; no other line comes.
        speaker.next() == "* a user left, 1 present"
    });
    assert!(left, "a member that does not read stays connected");
    stuck.connection.until_closed().expect("the peer closes");
}

#[test]
fn an_overlong_line_closes_its_connection() {
    let chat = Chat::start();
    let [mut first, mut second, _third] = three_users(&chat);
    second.connection.send(&[b'x'; 100_000]).ok();
    first.receives("* a user left, 2 present");
    second.connection.until_closed().expect("the peer closes");
}

#[test]
fn sigterm_exits_with_0() {
    let mut chat = Chat::start();
    let mut users = three_users(&chat);
    chat.program.signal(Signal::TERM);
    for user in &mut users {
        user.connection.until_closed().expect("the peer closes");
    }
    assert_eq!(chat.program.wait().code(), Some(0));
}
