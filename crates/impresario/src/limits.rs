//! The limit on open files as a limit of connections.

use rustix::process::{Resource, getrlimit};

/// Descriptors that are not connections: ports, listeners, the reactor, and files of user code.
const RESERVED_FDS: usize = 128;
/// The limit of connections if `RLIMIT_NOFILE` is not above [`RESERVED_FDS`]: a few connections are better than none.
const MIN_CONNECTIONS: usize = 16;

/// How many connections this process may have before `accept` fails with `EMFILE`: the soft `RLIMIT_NOFILE` without
/// [`RESERVED_FDS`].
pub(crate) fn max_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    descriptors.map_or(usize::MAX, |limit| limit.saturating_sub(RESERVED_FDS).max(MIN_CONNECTIONS))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_limit_is_below_the_limit_on_open_files() {
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        assert!(limit.is_none_or(|limit| super::max_connections() < limit as usize));
    }
}
