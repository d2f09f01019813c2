//! Numbers of the message kinds, and the number of descriptors that each carries.

use std::fmt;
use std::ops::RangeInclusive;

use thiserror::Error;

/// Kind of a message, as encoded in a frame's header. The number of a removed kind is never assigned again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// [`Message::Ready`](crate::Message::Ready)
    Ready = 1,
    /// [`Message::Failed`](crate::Message::Failed)
    Failed = 2,
    /// [`Message::Quit`](crate::Message::Quit)
    Quit = 3,
    /// [`Message::NewPort`](crate::Message::NewPort)
    NewPort = 4,
    /// [`Message::RemovePort`](crate::Message::RemovePort)
    RemovePort = 5,
    /// [`Message::Connection`](crate::Message::Connection)
    Connection = 6,
    /// [`Message::Taken`](crate::Message::Taken)
    Taken = 7,
    /// [`Message::Refused`](crate::Message::Refused)
    Refused = 8,
    /// [`Message::Released`](crate::Message::Released)
    Released = 9,
}

impl MessageKind {
    /// All kinds, in the order of their numbers.
    pub const ALL: [MessageKind; 9] = [
        MessageKind::Ready,
        MessageKind::Failed,
        MessageKind::Quit,
        MessageKind::NewPort,
        MessageKind::RemovePort,
        MessageKind::Connection,
        MessageKind::Taken,
        MessageKind::Refused,
        MessageKind::Released,
    ];

    /// The number in the header.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Number of descriptors that a message of this kind carries. All of them are sent with its first frame.
    ///
    /// Fewer on arrival means that the receiver lost some at its descriptor limit. The message must be rejected then.
    pub const fn descriptors(self) -> RangeInclusive<usize> {
        match self {
            // The worker's pidfd is the last one. If the app has a router, the router's end of the port precedes it.
            MessageKind::NewPort => 1..=2,
            MessageKind::Connection => 1..=1,
            MessageKind::Ready
            | MessageKind::Failed
            | MessageKind::Quit
            | MessageKind::RemovePort
            | MessageKind::Taken
            | MessageKind::Refused
            | MessageKind::Released => 0..=0,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            MessageKind::Ready => "ready",
            MessageKind::Failed => "failed",
            MessageKind::Quit => "quit",
            MessageKind::NewPort => "new-port",
            MessageKind::RemovePort => "remove-port",
            MessageKind::Connection => "connection",
            MessageKind::Taken => "taken",
            MessageKind::Refused => "refused",
            MessageKind::Released => "released",
        }
    }
}

/// No message kind has this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("unknown message kind {found}")]
pub struct UnknownKind {
    /// The number.
    pub found: u8,
}

impl TryFrom<u8> for MessageKind {
    type Error = UnknownKind;

    fn try_from(found: u8) -> Result<Self, UnknownKind> {
        MessageKind::ALL.into_iter().find(|kind| kind.number() == found).ok_or(UnknownKind { found })
    }
}

impl fmt::Display for MessageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
