//! Tests of the `ownership` example: a connection is transferred with its unread bytes, and closes at
//! shutdown.

use impresario_testkit::{Connection, Program, Signal};

fn exchanges(connection: &mut Connection, bytes: &[u8], answer: &[u8]) {
    connection.send(bytes).expect("the peer reads");
    let received = connection.receive(answer.len()).expect("the peer answers");
    assert_eq!(received.escape_ascii().to_string(), answer.escape_ascii().to_string());
}

#[test]
fn given_connection_keeps_its_bytes_and_exit_is_clean() {
    let mut program = Program::start("ownership", &["--listen", "127.0.0.1:0"]);
    let address = program.address_after("listening");
    let open = || Connection::open(address).expect("the program listens");
    let (mut echo, mut count, mut silent) = (open(), open(), open());
    // The new owner gets the bytes that came with the first line.
    exchanges(&mut echo, b"echo\nearly\n", b"early\n");
    exchanges(&mut echo, b"later\n", b"later\n");
    exchanges(&mut count, b"count\nabc", b"3 bytes\n");
    exchanges(&mut count, b"defg", b"7 bytes\n");
    silent.send(b"ec").expect("the peer reads");
    program.signal(Signal::TERM);
    for connection in [&mut echo, &mut count, &mut silent] {
        assert_eq!(connection.until_closed().expect("the connection is drained"), b"");
    }
    assert_eq!(program.wait().code(), Some(0));
    let lines = program.lines();
    assert!(!lines.iter().any(|line| line.contains("deadline")), "{lines:#?}");
}
