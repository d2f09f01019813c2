//! What can be wrong with a message on its way out, with bytes on their way in, and with who sent them.

use thiserror::Error;

use crate::{MAX_FRAME, MAX_MESSAGE, MAX_PARTIAL_MESSAGES, MessageKind, Role, VERSION};

/// Why a body is not what its kind says. Knows nothing of the codec behind it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The body ends before its value does.
    #[error("the body ends too early")]
    Truncated,
    /// The body goes on after its value.
    #[error("{extra} bytes follow the end of the body's value")]
    Trailing {
        /// How many bytes are too many.
        extra: usize,
    },
    /// A length in the body claims more than the codec may allocate.
    #[error("the body claims more than {limit} bytes")]
    Limit {
        /// The codec's limit in bytes.
        limit: usize,
    },
    /// The body is not a value of its type.
    #[error("the body is malformed: {0}")]
    Malformed(String),
}

/// Why a message cannot be made into frames.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The message is longer than [`MAX_MESSAGE`].
    #[error("a {kind} message of {length} bytes is over the limit of {MAX_MESSAGE}; send bulk data by memfd")]
    TooLarge {
        /// What was to be sent.
        kind: MessageKind,
        /// How long its body is.
        length: usize,
    },
    /// The codec refused the message.
    #[error("a {kind} message cannot be encoded: {error}")]
    Body {
        /// What was to be sent.
        kind: MessageKind,
        /// What the codec said.
        error: CodecError,
    },
}

/// Why bytes from a peer are not a message. The peer is broken or hostile: close its port.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The datagram is shorter than a header.
    #[error("a datagram of {length} bytes is shorter than a frame's header")]
    TooShort {
        /// Its length.
        length: usize,
    },
    /// The datagram is longer than [`MAX_FRAME`].
    #[error("a datagram of {length} bytes is over the limit of {MAX_FRAME}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The peer speaks another version.
    #[error("wire version {found}, expected {VERSION}: both processes must run the same build")]
    Version {
        /// The version it speaks.
        found: u8,
    },
    /// No message has this number.
    #[error("unknown message kind {found}")]
    Kind {
        /// The number.
        found: u8,
    },
    /// A flag or a reserved bit is set that has no meaning.
    #[error("unknown flags {found:#06x} in a frame's header")]
    Flags {
        /// The flags and the reserved byte.
        found: u16,
    },
    /// The header's length is not that of the body.
    #[error("a frame claims a body of {claimed} bytes and has {found}")]
    Length {
        /// What the header claims.
        claimed: u32,
        /// What there is.
        found: usize,
    },
    /// A fragment continues a message that never began.
    #[error("a fragment of stream {stream} continues no message")]
    NoStart {
        /// The fragment's stream.
        stream: u64,
    },
    /// A message begins on a stream before the last one has ended.
    #[error("a message begins on stream {stream} before the last one has ended")]
    Overlap {
        /// The stream.
        stream: u64,
    },
    /// A fragment is of another kind than its message.
    #[error("a {kind} message on stream {stream} is continued as {found}")]
    KindChanged {
        /// The stream.
        stream: u64,
        /// What began.
        kind: MessageKind,
        /// What the fragment says.
        found: MessageKind,
    },
    /// A fragment brings nothing on.
    #[error("an empty fragment on stream {stream}")]
    EmptyFragment {
        /// The stream.
        stream: u64,
    },
    /// A message of several frames is longer than [`MAX_MESSAGE`].
    #[error("a {kind} message on stream {stream} is over the limit of {MAX_MESSAGE} bytes")]
    TooLarge {
        /// The stream.
        stream: u64,
        /// What it was to be.
        kind: MessageKind,
    },
    /// Too many messages have begun and not ended.
    #[error("more than {MAX_PARTIAL_MESSAGES} unfinished messages")]
    TooManyPartial,
    /// A fragment came after its message's time.
    #[error("a fragment of a {kind} message on stream {stream} came too late")]
    FragmentTimeout {
        /// The stream.
        stream: u64,
        /// What it was to be.
        kind: MessageKind,
    },
    /// The datagram carries more or fewer descriptors than its kind says.
    #[error("a {kind} frame carries {found} descriptors, expected {least} to {most}")]
    Descriptors {
        /// What was sent.
        kind: MessageKind,
        /// How many came.
        found: usize,
        /// How many must come.
        least: usize,
        /// How many may come.
        most: usize,
    },
    /// The body is not what its kind says.
    #[error("a {kind} message: {error}")]
    Body {
        /// What was sent.
        kind: MessageKind,
        /// What is wrong.
        error: CodecError,
    },
}

/// Why a well-formed message is not accepted from this peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PortPolicyError {
    /// These two kinds of process have nothing to say to each other.
    #[error("a {own} process holds no port to a {peer} process")]
    NoPort {
        /// The one that wants a port.
        own: Role,
        /// The one it wants to talk to.
        peer: Role,
    },
    /// The kernel did not say who sent it.
    #[error("a message came without the kernel's word on its sender; set SO_PASSCRED on the port")]
    MissingCredentials,
    /// The frame claims another sender than the kernel does.
    #[error("process {sender} sent a message in the name of process {claimed}")]
    SenderMismatch {
        /// Who sent it.
        sender: u32,
        /// Who it says it is from.
        claimed: u32,
    },
    /// The sender is not the process this port belongs to.
    #[error("process {sender} sent a message on the port of process {expected}")]
    WrongPeer {
        /// Who sent it.
        sender: u32,
        /// Whose port it is.
        expected: u32,
    },
    /// This kind of process may not say this to that one.
    #[error("a {from} process may not send {kind} to a {to} process")]
    Forbidden {
        /// Who said it.
        from: Role,
        /// To whom.
        to: Role,
        /// What.
        kind: MessageKind,
    },
}
