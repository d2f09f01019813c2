//! A blocking HTTP/1.1 client for tests: keep-alive requests, whole responses and streamed bodies.

use std::io::{self, BufRead, BufReader, Read};
use std::net::SocketAddr;

use crate::body::{Body, Framing, Pattern};
use crate::client::Connection;

/// Bound of a response head, in bytes.
const MAX_HEAD: u64 = 64 * 1024;

/// A keep-alive connection to an HTTP server.
#[derive(Debug)]
pub struct Http {
    connection: Connection,
    reader: BufReader<Connection>,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Header names in lower case, with their values.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Response {
    /// The value of the header with this lower-case name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text; invalid UTF-8 is replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Http {
    /// Connects.
    ///
    /// # Errors
    ///
    /// As [`Connection::open`].
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let connection = Connection::open(address)?;
        let reader = BufReader::new(connection.try_clone()?);
        Ok(Self { connection, reader })
    }

    /// Sends a GET request and receives the response.
    ///
    /// # Errors
    ///
    /// If the connection closes before the response is complete, or the response is not HTTP/1.1.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send("GET", path, &[], b"")?;
        self.receive()
    }

    /// Sends a GET request on a new connection, with `Connection: close`.
    ///
    /// # Errors
    ///
    /// As [`Http::open`] and [`Http::get`].
    pub fn get_once(address: SocketAddr, path: &str) -> io::Result<Response> {
        let mut http = Self::open(address)?;
        http.send("GET", path, &[("Connection", "close")], b"")?;
        http.receive()
    }

    /// The pid of the process that serves this connection, from `GET /pid`.
    ///
    /// # Errors
    ///
    /// As [`Http::get`], and if the body is not a pid.
    pub fn pid(&mut self) -> io::Result<u32> {
        let response = self.get("/pid")?;
        let text = response.text();
        text.trim()
            .parse()
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("{text:?} is not a pid")))
    }

    /// Sends a request with a whole body. Does not wait for the response.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> io::Result<()> {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: test\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        self.connection.send(&[request.as_bytes(), body].concat())
    }

    /// Sends raw bytes.
    ///
    /// # Errors
    ///
    /// If the connection is closed.
    pub fn send_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.connection.send(bytes)
    }

    /// Receives the next response.
    ///
    /// # Errors
    ///
    /// If the connection closes before the response is complete, or the response is not HTTP/1.1.
    pub fn receive(&mut self) -> io::Result<Response> {
        let (status, headers) = self.head()?;
        let mut response = Response { status, headers, body: Vec::new() };
        let framing = framing(&response);
        Body::new(&mut self.reader, framing).read_to_end(&mut response.body)?;
        Ok(response)
    }

    /// Sends a POST request with `length` bytes of `pattern` and compares the response body while both are in
    /// transit. Returns the status, and whether the response body equals the pattern.
    ///
    /// # Errors
    ///
    /// If the connection closes before the response is complete.
    pub fn post_pattern(&mut self, path: &str, pattern: &Pattern, length: u64) -> io::Result<(u16, bool)> {
        let head = format!("POST {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\n\r\n");
        self.connection.send(head.as_bytes())?;
        let mut writer = self.connection.try_clone()?;
        std::thread::scope(|scope| {
            let sending = scope.spawn(move || {
                let mut bytes = pattern.clone();
                loop {
                    let chunk: Vec<u8> = bytes.by_ref().take(64 * 1024).collect();
                    if chunk.is_empty() {
                        return Ok(());
                    }
                    writer.send(&chunk)?;
                }
            });
            let (status, headers) = self.head()?;
            let framing = framing(&Response { status, headers, body: Vec::new() });
            let same = pattern.clone().matches(&mut Body::new(&mut self.reader, framing));
            // The server may close the connection during a rejected upload, so a send error counts only with
            // status 200.
            match sending.join() {
                Ok(Err(error)) if status == 200 => Err(error),
                _ => Ok((status, same?)),
            }
        })
    }

    /// Receives until the server closes, by end of file or by reset.
    ///
    /// # Errors
    ///
    /// As [`Connection::until_closed`].
    pub fn until_closed(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = self.reader.buffer().to_vec();
        self.reader.consume(bytes.len());
        bytes.extend(self.connection.until_closed()?);
        Ok(bytes)
    }

    fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let mut source = self.reader.by_ref().take(MAX_HEAD);
        let mut next = || -> io::Result<String> {
            let mut line = String::new();
            source.read_line(&mut line)?;
            match line.strip_suffix("\r\n") {
                Some(text) => Ok(text.to_owned()),
                None => Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    format!("{line:?} is not a header line"),
                )),
            }
        };
        let invalid =
            |line: &str| io::Error::new(io::ErrorKind::InvalidData, format!("{line:?} is not HTTP/1.1"));
        let first = next()?;
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.ok_or_else(|| invalid(&first))?;
        let mut headers = Vec::new();
        loop {
            let line = next()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
}

fn framing(response: &Response) -> Framing {
    if response.status < 200 || response.status == 204 || response.status == 304 {
        return Framing::Length(0);
    }
    if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return Framing::Size { after_chunk: false };
    }
    match response.header("content-length").and_then(|value| value.parse().ok()) {
        Some(length) => Framing::Length(length),
        None => Framing::UntilClose,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// A server that reads `requests` requests without a body, sends `answer` once and closes.
    fn canned(requests: usize, answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the socket is bound");
        thread::spawn(move || {
            let (stream, _) = listener.accept().expect("the test connects");
            let ends = BufReader::new(&stream).lines().map_while(Result::ok).filter(String::is_empty);
            assert_eq!(ends.take(requests).count(), requests);
            (&stream).write_all(answer.as_bytes()).expect("the test reads");
        });
        address
    }

    #[test]
    fn three_responses_on_one_connection_are_separated() {
        let answers = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n12HTTP/1.1 404 Not Found\r\n\
                       Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 500 X\r\n\r\nrest";
        let mut http = Http::open(canned(3, answers)).expect("the program listens");
        for _ in 0..3 {
            http.send("GET", "/", &[("A", "b")], b"").expect("the peer reads");
        }
        let first = http.receive().expect("a response");
        assert_eq!(
            (first.status, first.text().as_str(), first.header("content-length")),
            (200, "12", Some("2"))
        );
        let second = http.receive().expect("a response");
        assert_eq!((second.status, second.text().as_str()), (404, "abc"));
        assert_eq!(http.receive().expect("a response").text(), "rest");
        assert!(http.until_closed().expect("the peer closes").is_empty());
    }

    #[test]
    fn an_invalid_response_is_an_error() {
        for answer in
            ["", "SSH-2.0-x\r\n", "HTTP/1.1 2", "HTTP/1.1 200 OK\r\nx\r\n\r\n", "HTTP/1.1 200 OK\r\n"]
        {
            assert!(
                Http::open(canned(1, answer)).expect("the program listens").get("/").is_err(),
                "{answer:?}"
            );
        }
    }
}
