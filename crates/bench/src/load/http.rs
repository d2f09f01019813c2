//! One HTTP request and its response, with little work for the client.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::payload::HELLO;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n";
/// Bound of a response, in bytes.
const MAX_ANSWER: usize = 4096;

/// Sends a request and checks status, length and body. `buffer` is kept between calls to save allocations.
pub(crate) async fn hello(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    stream.write_all(REQUEST).await?;
    buffer.resize(MAX_ANSWER, 0);
    let mut filled = 0;
    loop {
        let free = buffer.get_mut(filled..).unwrap_or_default();
        match stream.read(free).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => filled += length,
        }
        if is_whole(buffer.get(..filled).unwrap_or_default())? {
            return Ok(());
        }
    }
}

/// Returns whether the response is complete, or an error if it is wrong.
fn is_whole(answer: &[u8]) -> io::Result<bool> {
    let wrong =
        || io::Error::new(io::ErrorKind::InvalidData, format!("wrong response: {}", answer.escape_ascii()));
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

/// Returns whether the head has the expected content length.
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
            assert!(!is_whole(&answer[..length]).expect("an incomplete response"), "after {length} bytes");
        }
        assert!(is_whole(answer).expect("a complete response"));
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
