//! One frame: a header of fixed size and a body. One frame is one datagram.
//!
//! | offset | size | field |
//! | --- | --- | --- |
//! | 0 | 1 | version |
//! | 1 | 1 | kind |
//! | 2 | 1 | flags: 1 = more fragments follow, 2 = continues a message |
//! | 3 | 1 | reserved, 0 |
//! | 4 | 4 | source: process id of the sender |
//! | 8 | 8 | stream |
//! | 16 | 4 | length of this frame's body |
//!
//! Numbers are little-endian. The header is encoded by hand, not by the codec of the bodies. A receiver can therefore
//! reject a frame before it decodes the body, and a change of the codec only needs a new version.

use std::fmt;
use std::io::IoSlice;

use crate::error::DecodeError;
use crate::kind::MessageKind;
use crate::limits::{HEADER_LEN, MAX_FRAME, VERSION};

const MORE: u8 = 1;
const CONTINUATION: u8 = 2;

/// Identifier of a stream: a request and all its answers have the same one.
///
/// It consists of the incarnation of the router that assigned it and a sequence number within that incarnation. A
/// restarted router therefore never takes an answer to its predecessor for its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// The stream of messages that are no answers and get none.
    pub const NONE: StreamId = StreamId(0);

    /// Stream number `sequence` of a router's incarnation. Both 0 is [`StreamId::NONE`].
    pub const fn new(incarnation: u32, sequence: u32) -> Self {
        StreamId(((incarnation as u64) << 32) | sequence as u64)
    }

    /// The stream with this number, as in the frame header.
    pub const fn from_number(number: u64) -> Self {
        StreamId(number)
    }

    /// The number in the frame header: incarnation in the upper 32 bits, sequence number in the lower.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Incarnation of the router that assigned it.
    pub const fn incarnation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Sequence number within the incarnation.
    pub const fn sequence(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation(), self.sequence())
    }
}

/// One frame. The body is borrowed from the [`Frames`](crate::Frames) or from the received datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub(crate) kind: MessageKind,
    /// Another frame of the same message follows.
    pub(crate) more: bool,
    /// An earlier frame of the same message precedes.
    pub(crate) continuation: bool,
    pub(crate) source: u32,
    pub(crate) stream: StreamId,
    pub(crate) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Parses a datagram. Checks the header and the length; the body is not decoded.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] when the length, the version, the kind or the flags are wrong.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let length = datagram.len();
        if length > MAX_FRAME {
            return Err(DecodeError::TooLong { length });
        }
        let Some((header, body)) = datagram.split_first_chunk::<HEADER_LEN>() else {
            return Err(DecodeError::TooShort { length });
        };
        let [version, kind, flags, reserved, rest @ ..] = *header;
        let [s0, s1, s2, s3, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3] = rest;
        if version != VERSION {
            return Err(DecodeError::Version { found: version });
        }
        let kind = MessageKind::try_from(kind)?;
        if flags & !(MORE | CONTINUATION) != 0 || reserved != 0 {
            return Err(DecodeError::Flags { found: u16::from_le_bytes([flags, reserved]) });
        }
        let claimed = u32::from_le_bytes([l0, l1, l2, l3]);
        if usize::try_from(claimed) != Ok(body.len()) {
            return Err(DecodeError::Length { claimed, found: body.len() });
        }
        Ok(Frame {
            kind,
            more: flags & MORE != 0,
            continuation: flags & CONTINUATION != 0,
            source: u32::from_le_bytes([s0, s1, s2, s3]),
            stream: StreamId(u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7])),
            body,
        })
    }

    /// Kind of the message.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The sender's pid according to the header. Not verified: compare it with the kernel's credentials.
    pub const fn source(&self) -> u32 {
        self.source
    }

    /// The encoded header.
    pub fn header(&self) -> [u8; HEADER_LEN] {
        let flags = if self.more { MORE } else { 0 } | if self.continuation { CONTINUATION } else { 0 };
        let [s0, s1, s2, s3] = self.source.to_le_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.stream.0.to_le_bytes();
        // parse() and the encoder bound the body by MAX_BODY, so the cast loses nothing.
        let [l0, l1, l2, l3] = (self.body.len() as u32).to_le_bytes();
        let kind = self.kind.number();
        [VERSION, kind, flags, 0, s0, s1, s2, s3, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3]
    }

    /// The body.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The datagram as two slices for `sendmsg`. `header` is the result of [`Frame::header`].
    pub fn parts<'b>(&self, header: &'b [u8; HEADER_LEN]) -> [IoSlice<'b>; 2]
    where
        'a: 'b,
    {
        [IoSlice::new(header), IoSlice::new(self.body)]
    }

    /// The datagram in one buffer.
    pub fn to_vec(&self) -> Vec<u8> {
        [&self.header()[..], self.body].concat()
    }
}
