//! Errors of encoding, of decoding and of the port policy.

use thiserror::Error;

use crate::kind::{MessageKind, UnknownKind};
use crate::limits::{MAX_FRAME, MAX_MESSAGE, MAX_PARTIAL_MESSAGES, VERSION};
use crate::role::Role;

/// Why a body cannot be encoded or decoded. Independent of the codec crate.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The body is shorter than its value.
    #[error("the body ends too early")]
    Truncated,
    /// The body is longer than its value.
    #[error("{extra} bytes follow the end of the body's value")]
    Trailing {
        /// Number of bytes after the value.
        extra: usize,
    },
    /// The lengths in the body add up to more than the codec may allocate.
    #[error("the body claims more than {limit} bytes")]
    Limit {
        /// The codec's limit, in bytes.
        limit: usize,
    },
    /// The body is no value of its type. Holds the codec's message.
    #[error("the body is malformed: {0}")]
    Malformed(String),
}

/// Why a message cannot be encoded into frames.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The body is longer than [`MAX_MESSAGE`].
    #[error("a {kind} message of {length} bytes is over the limit of {MAX_MESSAGE}; send bulk data by memfd")]
    TooLarge {
        /// Kind of the message.
        kind: MessageKind,
        /// Length of the body, in bytes.
        length: usize,
    },
    /// The codec refused the message.
    #[error("a {kind} message cannot be encoded: {error}")]
    Body {
        /// Kind of the message.
        kind: MessageKind,
        /// The codec's error.
        error: CodecError,
    },
}

/// Why bytes from a peer are no message. Close the port: the peer is broken or hostile.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The datagram is shorter than [`HEADER_LEN`](crate::HEADER_LEN).
    #[error("a datagram of {length} bytes is shorter than a frame's header")]
    TooShort {
        /// Length of the datagram, in bytes.
        length: usize,
    },
    /// The datagram is longer than [`MAX_FRAME`].
    #[error("a datagram of {length} bytes is over the limit of {MAX_FRAME}")]
    TooLong {
        /// Length of the datagram, in bytes.
        length: usize,
    },
    /// The frame has another version than [`VERSION`].
    #[error("wire version {found}, expected {VERSION}: both processes must run the same build")]
    Version {
        /// The version in the header.
        found: u8,
    },
    /// No message kind has this number.
    #[error("unknown message kind {found}")]
    Kind {
        /// The number in the header.
        found: u8,
    },
    /// An unknown flag or a reserved bit is set.
    #[error("unknown flags {found:#06x} in a frame's header")]
    Flags {
        /// The flags in the lower byte, the reserved byte in the upper.
        found: u16,
    },
    /// The length in the header differs from the length of the body.
    #[error("a frame claims a body of {claimed} bytes and has {found}")]
    Length {
        /// Length in the header, in bytes.
        claimed: u32,
        /// Length of the body, in bytes.
        found: usize,
    },
    /// A fragment continues a message, but no first frame of it is known.
    #[error("a fragment of stream {stream} continues no message")]
    NoStart {
        /// Stream of the fragment.
        stream: u64,
    },
    /// A message begins on a stream before the last message of the stream is complete.
    #[error("a message begins on stream {stream} before the last one has ended")]
    Overlap {
        /// Stream of the message.
        stream: u64,
    },
    /// A fragment has another kind than its message.
    #[error("a {kind} message on stream {stream} is continued as {found}")]
    KindChanged {
        /// Stream of the message.
        stream: u64,
        /// Kind of the message.
        kind: MessageKind,
        /// Kind of the fragment.
        found: MessageKind,
    },
    /// A fragment has an empty body.
    #[error("an empty fragment on stream {stream}")]
    EmptyFragment {
        /// Stream of the message.
        stream: u64,
    },
    /// A message of several frames is longer than [`MAX_MESSAGE`].
    #[error("a {kind} message on stream {stream} is over the limit of {MAX_MESSAGE} bytes")]
    TooLarge {
        /// Stream of the message.
        stream: u64,
        /// Kind of the message.
        kind: MessageKind,
    },
    /// [`MAX_PARTIAL_MESSAGES`] messages are incomplete and another one begins.
    #[error("more than {MAX_PARTIAL_MESSAGES} unfinished messages")]
    TooManyPartial,
    /// A fragment arrived after its message's deadline.
    #[error("a fragment of a {kind} message on stream {stream} came too late")]
    FragmentTimeout {
        /// Stream of the message.
        stream: u64,
        /// Kind of the message.
        kind: MessageKind,
    },
    /// The datagram carries more or fewer descriptors than its kind requires.
    #[error("a {kind} frame carries {found} descriptors, expected {least} to {most}")]
    Descriptors {
        /// Kind of the message.
        kind: MessageKind,
        /// Number of descriptors received.
        found: usize,
        /// Minimum number.
        least: usize,
        /// Maximum number.
        most: usize,
    },
    /// The body is no value of its kind.
    #[error("a {kind} message: {error}")]
    Body {
        /// Kind of the message.
        kind: MessageKind,
        /// The codec's error.
        error: CodecError,
    },
}

impl From<UnknownKind> for DecodeError {
    fn from(UnknownKind { found }: UnknownKind) -> Self {
        DecodeError::Kind { found }
    }
}

/// Why a port between two processes, or a well-formed message on it, is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortPolicyError {
    /// These two roles hold no port to each other.
    #[error("a {own} process holds no port to a {peer} process")]
    NoPort {
        /// Role of this process.
        own: Role,
        /// Role of the other process.
        peer: Role,
    },
    /// The message has no `SCM_CREDENTIALS`, so its sender is not known.
    #[error("a message has no sender credentials from the kernel; set SO_PASSCRED on the port")]
    MissingCredentials,
    /// The pid in the frame header differs from the one in the kernel's credentials.
    #[error("process {sender} sent a message in the name of process {claimed}")]
    SenderMismatch {
        /// Pid in the kernel's credentials.
        sender: u32,
        /// Pid in the frame header.
        claimed: u32,
    },
    /// The sender is not the process that [`PortPolicy::with_peer_pid`](crate::PortPolicy::with_peer_pid) requires.
    #[error("process {sender} sent a message on the port of process {expected}")]
    WrongPeer {
        /// Pid in the kernel's credentials.
        sender: u32,
        /// Required pid.
        expected: u32,
    },
    /// The role `from` may not send this kind to the role `to`, see [`may_send`](crate::may_send).
    #[error("a {from} process may not send {kind} to a {to} process")]
    Forbidden {
        /// Role of the sender.
        from: Role,
        /// Role of the receiver.
        to: Role,
        /// Kind of the message.
        kind: MessageKind,
    },
}
