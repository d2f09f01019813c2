//! The limit on open files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use slog::Logger;

/// Raises the soft limit `RLIMIT_NOFILE` to the hard limit. Children inherit it.
///
/// Each connection is one descriptor. The low soft limit of most systems exists for programs that call
/// `select`, which is limited to descriptors below 1,024. No process of the tree calls it.
pub(crate) fn raise_open_files(log: &Logger) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return;
    }
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        slog::warn!(log, "cannot raise the limit on open files"; "reason" => %error);
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;

    #[test]
    fn the_soft_limit_becomes_the_hard_limit() {
        let hard = getrlimit(Resource::Nofile).maximum;
        let lower = hard.map_or(1_024, |hard| hard - 1);
        setrlimit(Resource::Nofile, Rlimit { current: Some(lower), maximum: hard }).unwrap();
        raise_open_files(&Logger::root(Discard, o!()));
        assert_eq!(getrlimit(Resource::Nofile), Rlimit { current: hard, maximum: hard });
    }
}
