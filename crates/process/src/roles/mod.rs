//! The two kinds of parent process.

pub(crate) mod main;
pub(crate) mod prototype;
pub(crate) mod worker_table;
