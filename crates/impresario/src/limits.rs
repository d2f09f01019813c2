//! What the limit on open files allows.

use rustix::process::{Resource, getrlimit};

/// Descriptors that are not connections: ports, listeners, the reactor, and what user code opens.
const RESERVED: usize = 128;
/// How many connections there may be where the limit leaves nothing: to serve a few is better than none.
const FEW: usize = 16;

/// How many connections this process can have before it runs out of descriptors.
pub(crate) fn connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    descriptors.map_or(usize::MAX, |limit| limit.saturating_sub(RESERVED).max(FEW))
}

#[cfg(test)]
mod tests {
    #[test]
    fn some_are_left_for_other_things() {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert!(limit.is_none_or(|limit| super::connections() < limit as usize));
    }
}
