//! Groups, without actors.
