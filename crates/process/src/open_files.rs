//! The limit on open files.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use slog::Logger;

/// Raises the soft limit `RLIMIT_NOFILE` to the hard limit. Children inherit it.
///
/// Each connection is one descriptor. The low soft limit of most systems exists for programs that call
/// `select`, which is limited to descriptors below 1,024. No process of the tree calls it.
pub(crate) fn raise_open_files(log: &Logger) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        slog::warn!(log, "cannot raise the limit on open files"; "reason" => %error);
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard - 1, hard).unwrap();
        raise_open_files(&Logger::root(Discard, o!()));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
