//! The identity of a process.

use std::fmt;

use impresario_wire::Role;

/// Role, name, slot and incarnation of a process: they name it in a log line and tell one start from the
/// next.
///
/// `Display` prints `main`, `router`, `shop prototype`, `shop worker 1`; the incarnation is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessIdentity {
    /// The kind of process.
    pub role: Role,
    /// The user's name for it: the id of a child of main, the app of a worker.
    pub name: String,
    /// Index of a worker in its pool, from 0. A replacement has the slot of its predecessor. 0 for all other
    /// roles.
    pub slot: u32,
    /// Number of starts of this child so far, from 1.
    pub incarnation: u32,
}

impl ProcessIdentity {
    /// The identity of main, which has no parent.
    pub fn main() -> Self {
        Self { role: Role::Main, name: Role::Main.name().to_owned(), slot: 0, incarnation: 1 }
    }
}

impl fmt::Display for ProcessIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.role {
            Role::Worker => write!(f, "{} {} {}", self.name, self.role, self.slot),
            role if self.name == role.name() => f.write_str(&self.name),
            role => write!(f, "{} {role}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(role: Role, name: &str, slot: u32) -> String {
        ProcessIdentity { role, name: name.to_owned(), slot, incarnation: 7 }.to_string()
    }

    #[test]
    fn display_prints_name_role_and_slot_of_workers() {
        assert_eq!(ProcessIdentity::main().to_string(), "main");
        assert_eq!(name(Role::Router, "router", 0), "router");
        assert_eq!(name(Role::Prototype, "shop", 0), "shop prototype");
        assert_eq!(name(Role::Worker, "shop", 1), "shop worker 1");
    }
}
