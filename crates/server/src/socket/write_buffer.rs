//! Buffered output of a connection.

use bytes::{Buf, BytesMut};

/// Default limit of the buffered output, in bytes.
pub(crate) const WRITE_BUFFER_BYTES: usize = 64 * 1024;

/// Bytes that wait to be written, up to a limit. It has no allocation while it is empty.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    bytes: BytesMut,
    limit: usize,
}

impl WriteBuffer {
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: BytesMut::new(), limit }
    }

    pub(crate) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether this many more bytes fit.
    pub(crate) fn has_capacity(&self, length: usize) -> bool {
        length <= self.limit.saturating_sub(self.bytes.len())
    }

    /// Appends bytes that fit.
    pub(crate) fn push(&mut self, data: &[u8]) {
        self.bytes.extend_from_slice(data);
    }

    /// The next bytes to write.
    pub(crate) fn front(&self) -> &[u8] {
        &self.bytes
    }

    /// This many of them were written.
    pub(crate) fn advance(&mut self, length: usize) {
        self.bytes.advance(length);
        if self.bytes.is_empty() {
            self.bytes = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_no_more_than_its_limit() {
        let mut write_buffer = WriteBuffer::new(4);
        assert!(write_buffer.has_capacity(4) && !write_buffer.has_capacity(5));
        write_buffer.push(b"abc");
        assert!(write_buffer.has_capacity(1) && !write_buffer.has_capacity(2));
        write_buffer.advance(2);
        assert_eq!((write_buffer.front(), write_buffer.len()), (b"c".as_slice(), 1));
        assert!(write_buffer.has_capacity(3) && !write_buffer.has_capacity(4));
        write_buffer.set_limit(0);
        assert!(!write_buffer.has_capacity(1) && write_buffer.has_capacity(0));
        write_buffer.advance(1);
        assert_eq!((write_buffer.is_empty(), write_buffer.bytes.capacity()), (true, 0));
    }
}
