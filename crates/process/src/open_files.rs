//! The limit on open files: every connection is one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use slog::Logger;

/// Raises the limit on open files as far as this process may, for itself and all it will fork. The low limit that
/// most systems begin with is for programs that use `select`, which this is not.
pub(crate) fn raise_open_files(log: &Logger) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        if soft < hard { setrlimit(Resource::RLIMIT_NOFILE, hard, hard) } else { Ok(()) }
    });
    if let Err(error) = raised {
        slog::warn!(log, "the limit on open files cannot be raised"; "reason" => %error);
    }
}

#[cfg(test)]
mod tests {
    use slog::{Discard, o};

    use super::*;

    #[test]
    fn all_that_is_allowed_is_used() {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, hard - 1, hard).unwrap();
        raise_open_files(&Logger::root(Discard, o!()));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (hard, hard));
    }
}
