//! The kinds of work, and the frameworks.

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Messages without a reply to one actor. The producer yields after each burst.
    Tell,
    /// Calls to one actor, one at a time.
    Ask,
    /// Start of an actor, stop, exit; one at a time.
    SpawnStop,
    /// Panic of an actor and start of its replacement; one at a time.
    Restart,
    /// Memory of an idle actor.
    IdleMemory,
    /// Stop of many actors at the same time, until all have exited.
    Shutdown,
}

/// The framework of the actors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framework {
    /// Impresario: actors under a supervisor.
    Ours,
    /// actix without supervision.
    Actix,
    Ractor,
    /// ractor, with actors linked to a supervisor.
    RactorLinked,
    Kameo,
    Xtra,
    /// A tokio task with a channel.
    Tokio,
}

/// Maximum number of rounds of work of a fixed size: its figures hardly differ, and each takes long.
const MAX_ROUNDS: u16 = 5;

impl Work {
    pub(super) const ALL: [Self; 6] =
        [Self::Tell, Self::Ask, Self::SpawnStop, Self::Restart, Self::IdleMemory, Self::Shutdown];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tell => "tell",
            Self::Ask => "ask",
            Self::SpawnStop => "spawn-stop",
            Self::Restart => "restart",
            Self::IdleMemory => "idle-memory",
            Self::Shutdown => "shutdown",
        }
    }

    pub(crate) const fn unit(self) -> &'static str {
        match self {
            Self::Tell => "messages/s",
            Self::Ask => "round trips/s",
            Self::SpawnStop => "lives/s",
            Self::Restart => "restarts/s",
            Self::IdleMemory => "bytes/actor",
            Self::Shutdown => "ends/s",
        }
    }

    /// Number of rounds when `asked` rounds are requested.
    pub(crate) fn rounds(self, asked: u16) -> u16 {
        match self {
            Self::IdleMemory | Self::Shutdown => asked.min(MAX_ROUNDS),
            _ => asked,
        }
    }
}

impl Framework {
    pub(super) const ALL: [Self; 7] =
        [Self::Ours, Self::Actix, Self::Ractor, Self::RactorLinked, Self::Kameo, Self::Xtra, Self::Tokio];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Actix => "actix",
            Self::Ractor => "ractor",
            Self::RactorLinked => "ractor-linked",
            Self::Kameo => "kameo",
            Self::Xtra => "xtra",
            Self::Tokio => "tokio",
        }
    }
}
