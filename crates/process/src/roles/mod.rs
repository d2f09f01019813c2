//! The two kinds of parent process: main and prototypes.
//!
//! Each provides a `ParentRole` for the loop of `parent/`, and the continuation of its children. This folder
//! knows all others of the crate.

pub(crate) mod main;
mod main_role;
mod prototype;
mod worker_table;
