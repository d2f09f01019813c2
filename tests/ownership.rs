//! The `ownership` example: connections that change hands with every byte, and leave when the program does.

use impresario_testkit::{Connection, Program, Signal};

fn asks(connection: &mut Connection, bytes: &[u8], answer: &[u8]) {
    connection.send(bytes).expect("it reads");
    let heard = connection.receive(answer.len()).expect("it answers");
    assert_eq!(heard.escape_ascii().to_string(), answer.escape_ascii().to_string());
}

#[test]
fn given_connection_keeps_its_bytes_and_exit_is_clean() {
    let mut program = Program::start("ownership", &["--listen", "127.0.0.1:0"]);
    let address = program.address_after("listening");
    let open = || Connection::open(address).expect("it listens");
    let (mut echo, mut count, mut silent) = (open(), open(), open());
    // What came too early for the door is the room's.
    asks(&mut echo, b"echo\nearly\n", b"early\n");
    asks(&mut echo, b"later\n", b"later\n");
    asks(&mut count, b"count\nabc", b"3 bytes\n");
    asks(&mut count, b"defg", b"7 bytes\n");
    silent.send(b"ec").expect("it reads");
    program.signal(Signal::TERM);
    for connection in [&mut echo, &mut count, &mut silent] {
        assert_eq!(connection.until_closed().expect("it is asked to leave"), b"");
    }
    assert_eq!(program.wait().code(), Some(0));
    let lines = program.lines();
    assert!(!lines.iter().any(|line| line.contains("deadline")), "{lines:#?}");
}
