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
//! Numbers are little-endian. The header is not the codec's business, so a frame can be judged before anything of
//! its body is read, and the codec can change with the version alone.

use std::fmt;
use std::io::IoSlice;

use crate::{DecodeError, MAX_FRAME, MessageKind};

/// The version of the header and of all bodies; processes of one tree speak the same.
pub const VERSION: u8 = 1;

/// The bytes of a frame's header.
pub const HEADER_LEN: usize = 20;

const MORE: u8 = 1;
const CONTINUATION: u8 = 2;

/// What a message belongs to: a request and everything that answers it have the same stream.
///
/// An id holds the life of the process that gave it out and a number within that life, so an answer to a process
/// that has died never looks like one to its successor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u64);

impl StreamId {
    /// Of a message that neither is nor gets an answer.
    pub const NONE: StreamId = StreamId(0);

    /// The `sequence`-th stream of the `generation`-th life of its giver; one of the two is not 0.
    pub const fn new(generation: u32, sequence: u32) -> Self {
        StreamId(((generation as u64) << 32) | sequence as u64)
    }

    /// The stream of this number.
    pub const fn from_number(number: u64) -> Self {
        StreamId(number)
    }

    /// As one number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Which life of its giver it is from.
    pub const fn incarnation(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// Its number within that life.
    pub const fn sequence(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.incarnation(), self.sequence())
    }
}

/// One frame, its body borrowed from whoever encoded or received it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    pub(crate) kind: MessageKind,
    /// The message goes on in another frame.
    pub(crate) more: bool,
    /// The message began in an earlier frame.
    pub(crate) continuation: bool,
    pub(crate) source: u32,
    pub(crate) stream: StreamId,
    pub(crate) body: &'a [u8],
}

impl<'a> Frame<'a> {
    /// The frame that is exactly `datagram`. Looks at the header only.
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

    /// What the frame's message is.
    pub const fn kind(&self) -> MessageKind {
        self.kind
    }

    /// The process that says it has sent the frame. The kernel knows better.
    pub const fn source(&self) -> u32 {
        self.source
    }

    /// The header as bytes.
    pub fn header(&self) -> [u8; HEADER_LEN] {
        let flags = if self.more { MORE } else { 0 } | if self.continuation { CONTINUATION } else { 0 };
        let [s0, s1, s2, s3] = self.source.to_le_bytes();
        let [t0, t1, t2, t3, t4, t5, t6, t7] = self.stream.0.to_le_bytes();
        // A frame's body is at most MAX_BODY bytes, by parse() and by the encoder.
        let [l0, l1, l2, l3] = (self.body.len() as u32).to_le_bytes();
        let kind = self.kind.number();
        [VERSION, kind, flags, 0, s0, s1, s2, s3, t0, t1, t2, t3, t4, t5, t6, t7, l0, l1, l2, l3]
    }

    /// The body.
    pub const fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The datagram in two parts, for a gathering write: `header` is [`Frame::header`].
    pub fn parts<'b>(&self, header: &'b [u8; HEADER_LEN]) -> [IoSlice<'b>; 2]
    where
        'a: 'b,
    {
        [IoSlice::new(header), IoSlice::new(self.body)]
    }

    /// The datagram in one piece.
    pub fn to_vec(&self) -> Vec<u8> {
        [&self.header()[..], self.body].concat()
    }
}
