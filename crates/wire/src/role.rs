//! Which kinds of process there are, who may hold a port to whom, and what may be said over it.

use std::fmt;

use crate::MessageKind;

/// The kinds of process of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The root: signals, listening sockets, restarts.
    Main,
    /// Accepts connections and hands them to workers.
    Router,
    /// Forks the workers of one app.
    Prototype,
    /// Serves connections.
    Worker,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Main, Role::Router, Role::Prototype, Role::Worker];

    /// The word for it, as in log lines.
    pub const fn name(self) -> &'static str {
        match self {
            Role::Main => "main",
            Role::Router => "router",
            Role::Prototype => "prototype",
            Role::Worker => "worker",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Who may hold a port to whom: a row holds, a column is held a port to.
///
/// | | main | router | prototype | worker |
/// | --- | --- | --- | --- | --- |
/// | main | | yes | yes | keeps it for the next router, says nothing |
/// | router | yes | | | yes |
/// | prototype | yes | | | yes |
/// | worker | | yes | yes | |
pub const fn may_hold_port(holder: Role, peer: Role) -> bool {
    match holder {
        Role::Main => matches!(peer, Role::Router | Role::Prototype | Role::Worker),
        Role::Router | Role::Prototype => matches!(peer, Role::Main | Role::Worker),
        Role::Worker => matches!(peer, Role::Router | Role::Prototype),
    }
}

/// Whether a process of the kind `from` may send a message of this kind to one of the kind `to`.
pub fn may_send(from: Role, to: Role, kind: MessageKind) -> bool {
    said_by(from, to).contains(&kind)
}

/// All that `from` may say to `to`.
const fn said_by(from: Role, to: Role) -> &'static [MessageKind] {
    match (from, to) {
        (Role::Main, Role::Router) => &[MessageKind::Quit, MessageKind::NewPort, MessageKind::RemovePort],
        (Role::Router, Role::Main) => &[MessageKind::Ready, MessageKind::Failed],
        (Role::Main, Role::Prototype) => &[MessageKind::Quit],
        (Role::Prototype, Role::Main) => {
            &[MessageKind::Ready, MessageKind::Failed, MessageKind::NewPort, MessageKind::RemovePort]
        }
        (Role::Prototype, Role::Worker) => &[MessageKind::Quit],
        (Role::Worker, Role::Prototype) => &[MessageKind::Ready, MessageKind::Failed],
        (Role::Router, Role::Worker) => &[MessageKind::Connection],
        (Role::Worker, Role::Router) => &[MessageKind::Taken, MessageKind::Refused, MessageKind::Released],
        _ => &[],
    }
}
