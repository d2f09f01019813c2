//! One request and its answer, with as little work for the client as an honest check allows.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::payload::HELLO;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
/// The most bytes of an answer.
const MAX_ANSWER: usize = 4096;

/// Asks and checks the answer: status, length, body. The buffer is only kept to be used again.
pub(crate) async fn hello(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(REQUEST).await?;
    buffer.resize(MAX_ANSWER, 0);
    let mut filled = 0;
    loop {
        let room = buffer.get_mut(filled..).unwrap_or_default();
        match stream.read(room).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => filled += length,
        }
        if is_whole(buffer.get(..filled).unwrap_or_default())? {
            return Ok(());
        }
    }
}

/// Whether this is a whole answer, or an error when it cannot become a right one.
fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let wrong =
        || io::Error::new(io::ErrorKind::InvalidData, format!("a wrong answer: {}", answer.escape_ascii()));
    let Some(head) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if answer.len() < MAX_ANSWER { Ok(false) } else { Err(wrong()) };
    };
    let (head, body) = answer.split_at(head + 4);
    if !head.starts_with(b"HTTP/1.1 200 ") || !has_length(head) || body.len() > HELLO.len() {
        return Err(wrong());
    }
    if body.len() == HELLO.len() && body != HELLO {
        return Err(wrong());
    }
    Ok(body.len() == HELLO.len())
}

/// Whether the head announces the length of the body that is expected.
fn has_length(head: &[u8]) -> bool {
    const NAME: &[u8] = b"content-length:";
    let length = HELLO.len().to_string();
    head.split(|byte| *byte == b'\n').any(|line| {
        line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME))
            && line.get(NAME.len()..).is_some_and(|value| value.trim_ascii() == length.as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_complete_with_its_body() {
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\ndate: now\r\n\r\nhello\n";
        for length in 0..answer.len() {
            assert!(!is_whole(&answer[..length]).expect("it can still become right"), "after {length} bytes");
        }
        assert!(is_whole(answer).expect("it is right"));
    }

    #[test]
    fn a_wrong_response_is_an_error() {
        let cases: [&[u8]; 5] = [
            b"HTTP/1.1 503 X\r\ncontent-length: 6\r\n\r\nhello\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhello\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhullo\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nhello\n!",
            &[b'x'; MAX_ANSWER],
        ];
        for answer in cases {
            assert!(is_whole(answer).is_err(), "{}", answer.escape_ascii());
        }
    }
}
