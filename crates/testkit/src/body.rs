//! Bodies of HTTP messages: a reader for any framing, and reproducible test data that is checked while it
//! arrives.

use std::io::{self, BufRead, Read};

/// Bound of a chunk header line, in bytes.
const MAX_CHUNK_LINE: u64 = 1024;

/// Reader of the rest of a response. After its end the connection is ready for the next response.
#[derive(Debug)]
pub struct Body<'a, R> {
    source: &'a mut R,
    framing: Framing,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This number of bytes remains.
    Length(u64),
    /// This number of bytes remains of the current chunk; another chunk header follows.
    Chunk(u64),
    /// A chunk header comes next. `after_chunk`: the CRLF of the previous chunk precedes it.
    Size { after_chunk: bool },
    /// The body ends when the peer closes.
    UntilClose,
}

impl<'a, R: BufRead> Body<'a, R> {
    pub(crate) fn new(source: &'a mut R, framing: Framing) -> Self {
        Self { source, framing }
    }

    fn limited(&mut self, buffer: &mut [u8], left: u64) -> io::Result<usize> {
        let capacity = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.source.read(buffer.get_mut(..capacity).unwrap_or_default())?;
        if length == 0 && capacity > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(length)
    }

    fn chunk_size(&mut self, after_chunk: bool) -> io::Result<u64> {
        if after_chunk {
            self.line()?;
        }
        let line = self.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(digits, 16).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{line:?} is not a chunk size"))
        })?;
        if size == 0 {
            while !self.line()?.is_empty() {}
        }
        Ok(size)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.source.by_ref().take(MAX_CHUNK_LINE).read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(text) => Ok(text.to_owned()),
            None => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, format!("{line:?} is not a whole line")))
            }
        }
    }
}

impl<R: BufRead> Read for Body<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.framing {
                Framing::Length(0) => return Ok(0),
                Framing::Length(left) => {
                    let length = self.limited(buffer, left)?;
                    self.framing = Framing::Length(left - length as u64);
                    return Ok(length);
                }
                Framing::Chunk(0) => self.framing = Framing::Size { after_chunk: true },
                Framing::Chunk(left) => {
                    let length = self.limited(buffer, left)?;
                    self.framing = Framing::Chunk(left - length as u64);
                    return Ok(length);
                }
                Framing::Size { after_chunk } => match self.chunk_size(after_chunk)? {
                    0 => self.framing = Framing::Length(0),
                    size => self.framing = Framing::Chunk(size),
                },
                Framing::UntilClose => return self.source.read(buffer),
            }
        }
    }
}

/// Pseudo-random bytes (xorshift64*) that sender and receiver generate from the same seed, so neither stores
/// them.
#[derive(Clone, Debug)]
pub struct Pattern {
    state: u64,
    left: u64,
}

impl Pattern {
    /// `length` bytes. Different seeds give different bytes.
    #[must_use]
    pub fn new(seed: u64, length: u64) -> Self {
        Self { state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1, left: length }
    }

    /// All bytes as one vector.
    #[must_use]
    pub fn bytes(self) -> Vec<u8> {
        self.collect()
    }

    /// Returns whether the source yields exactly these bytes and then its end.
    ///
    /// # Errors
    ///
    /// Any read error of the source.
    pub fn matches(mut self, source: &mut impl Read) -> io::Result<bool> {
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match source.read(&mut chunk)? {
                0 => return Ok(self.next().is_none()),
                length => {
                    let got = chunk.get(..length).unwrap_or_default();
                    if !got.iter().all(|byte| self.next() == Some(*byte)) {
                        return Ok(false);
                    }
                }
            }
        }
    }
}

impl Iterator for Pattern {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.left = self.left.checked_sub(1)?;
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        Some((self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 56) as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, framing: Framing) -> (io::Result<String>, String) {
        let mut source = text.as_bytes();
        let mut body = String::new();
        let result = Body::new(&mut source, framing).read_to_string(&mut body).map(|_| body);
        (result, String::from_utf8_lossy(source).into_owned())
    }

    #[test]
    fn length_chunks_and_close_end_a_body() {
        let (body, rest) = read("hellorest", Framing::Length(5));
        assert_eq!((body.expect("whole"), rest.as_str()), ("hello".to_owned(), "rest"));

        let chunks = "5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nTrailer: 1\r\n\r\nrest";
        let (body, rest) = read(chunks, Framing::Size { after_chunk: false });
        assert_eq!((body.expect("whole"), rest.as_str()), ("hello!".to_owned(), "rest"));

        let (body, rest) = read("all", Framing::UntilClose);
        assert_eq!((body.expect("whole"), rest.as_str()), ("all".to_owned(), ""));
    }

    #[test]
    fn a_truncated_body_is_an_error() {
        assert!(read("hell", Framing::Length(5)).0.is_err());
        for chunks in ["", "5\r\nhell", "5\r\nhello\r\n", "x\r\n", "5\r\nhello\r\n0\r\n"] {
            assert!(read(chunks, Framing::Size { after_chunk: false }).0.is_err(), "{chunks:?}");
        }
    }

    #[test]
    fn pattern_matches_only_equal_seed_and_length() {
        let bytes = Pattern::new(7, 100_000).bytes();
        assert!(Pattern::new(7, 100_000).matches(&mut bytes.as_slice()).expect("memory can be read"));
        assert!(!Pattern::new(8, 100_000).matches(&mut bytes.as_slice()).expect("memory can be read"));
        assert!(!Pattern::new(7, 100_001).matches(&mut bytes.as_slice()).expect("memory can be read"));
        assert!(!Pattern::new(7, 99_999).matches(&mut bytes.as_slice()).expect("memory can be read"));
    }
}
