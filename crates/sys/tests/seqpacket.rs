//! Messages with descriptors and senders, end of file, and limits.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};

use impresario_sys::{MAX_FDS, Pid, SeqPacket};

fn send(socket: &SeqPacket, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
    socket.send(&[IoSlice::new(bytes)], fds)
}

#[test]
fn messages_keep_their_bounds_and_have_a_sender() {
    let (one, other) = SeqPacket::pair().unwrap();
    one.send(&[IoSlice::new(b"head"), IoSlice::new(b"body")], &[]).unwrap();
    send(&one, b"next", &[]).unwrap();
    let mut buf = [0; 64];
    let first = other.recv(&mut buf).unwrap();
    assert_eq!(&buf[..first.len], b"headbody");
    assert_eq!(first.sender, Some(Pid::this()));
    assert!(first.fds.is_empty());
    let second = other.recv(&mut buf).unwrap();
    assert_eq!(&buf[..second.len], b"next");
    assert_eq!(other.recv(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
}

#[test]
fn descriptors_arrive_with_their_own_message() {
    let (one, other) = SeqPacket::pair().unwrap();
    let (mut reader, mut writer) = io::pipe().unwrap();
    send(&one, b"plain", &[]).unwrap();
    send(&one, b"pipe", &[writer.as_fd()]).unwrap();
    writer.write_all(b"a").unwrap();
    drop(writer);
    let mut buf = [0; 64];
    assert!(other.recv(&mut buf).unwrap().fds.is_empty());
    let mut received = other.recv(&mut buf).unwrap();
    assert_eq!(received.fds.len(), 1);
    File::from(received.fds.remove(0)).write_all(b"b").unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "ab");
}

#[test]
fn an_empty_message_is_not_end_of_file() {
    let (one, other) = SeqPacket::pair().unwrap();
    send(&one, b"", &[]).unwrap();
    drop(one);
    let mut buf = [0; 8];
    let empty = other.recv(&mut buf).unwrap();
    assert_eq!((empty.len, empty.is_eof()), (0, false));
    assert!(other.recv(&mut buf).unwrap().is_eof());
    assert_eq!(send(&other, b"x", &[]).unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn messages_sent_before_a_reset_are_received() {
    let (one, other) = SeqPacket::pair().unwrap();
    send(&one, b"never read", &[]).unwrap();
    send(&other, b"last message", &[]).unwrap();
    drop(other);
    let mut buf = [0; 64];
    let last = one.recv(&mut buf).unwrap();
    assert_eq!(&buf[..last.len], b"last message");
    assert!(one.recv(&mut buf).unwrap().is_eof());
}

#[test]
fn a_message_longer_than_the_buffer_is_an_error() {
    let (one, other) = SeqPacket::pair().unwrap();
    send(&one, &[7; 9], &[]).unwrap();
    send(&one, &[7; 8], &[]).unwrap();
    let mut buf = [0; 8];
    let error = other.recv(&mut buf).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    assert_eq!(error.to_string(), "a message of 9 bytes; at most 8 may come in one");
    assert_eq!(other.recv(&mut buf).unwrap().len, 8);
}

#[test]
fn max_fds_descriptors_pass_and_one_more_is_refused() {
    let (one, other) = SeqPacket::pair().unwrap();
    let fds = [one.as_fd(); MAX_FDS + 1];
    assert_eq!(send(&one, b"x", &fds).unwrap_err().kind(), ErrorKind::InvalidInput);
    send(&one, b"x", &fds[..MAX_FDS]).unwrap();
    let mut buf = [0; 8];
    assert_eq!(other.recv(&mut buf).unwrap().fds.len(), MAX_FDS);
}

#[test]
fn a_full_socket_blocks_and_loses_no_message() {
    let (one, other) = SeqPacket::pair().unwrap();
    let mut sent = 0u32;
    let error = loop {
        match send(&one, &sent.to_ne_bytes(), &[]) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    let mut buf = [0; 4];
    for expected in 0..sent {
        assert_eq!(other.recv(&mut buf).unwrap().len, 4);
        assert_eq!(u32::from_ne_bytes(buf), expected);
    }
}
