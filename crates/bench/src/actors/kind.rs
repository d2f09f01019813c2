//! What is measured, and with which framework.

/// What actors are made to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// Messages to one actor that nobody waits for; the producer yields after each burst.
    Tell,
    /// Messages to one actor that are answered, one at a time.
    Ask,
    /// Starting an actor, stopping it, seeing its end; one at a time.
    SpawnStop,
    /// A panic, and the replacement running; one at a time.
    Restart,
    /// What an actor that does nothing takes.
    IdleMemory,
    /// Stopping many actors at once, until all have ended.
    Shutdown,
}

/// Whose actors they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framework {
    /// Actors under a supervisor of ours.
    Ours,
    /// Plain actix, without supervision.
    Actix,
    Ractor,
    /// The same, linked to a supervisor.
    RactorLinked,
    Kameo,
    Xtra,
    /// A task of bare tokio with a channel.
    Tokio,
}

/// How often work of a fixed size is done at most: its figures hardly differ, and each takes long.
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

    /// How often it is measured when this many times are asked for.
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
