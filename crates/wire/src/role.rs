//! Roles of processes, which roles hold ports to each other, and which message kinds they may send.

use std::fmt;

use crate::kind::MessageKind;

/// Role of a process in the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The root: reads signals, keeps the listening sockets, restarts routers and prototypes.
    Main,
    /// Accepts connections and passes them to workers.
    Router,
    /// Forks the workers of one app.
    Prototype,
    /// Serves connections.
    Worker,
}

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Main, Role::Router, Role::Prototype, Role::Worker];

    /// The role's name in log lines.
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

/// Whether a process of the role `holder` (row) may hold a port to one of the role `peer` (column).
///
/// | | main | router | prototype | worker |
/// | --- | --- | --- | --- | --- |
/// | main | | yes | yes | keeps it for the next router, sends nothing |
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

/// Whether a process of the role `from` may send a message of this kind to one of the role `to`.
pub fn may_send(from: Role, to: Role, kind: MessageKind) -> bool {
    allowed_messages(from, to).contains(&kind)
}

/// The kinds that `from` may send to `to`; empty when the two exchange no messages.
const fn allowed_messages(from: Role, to: Role) -> &'static [MessageKind] {
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
