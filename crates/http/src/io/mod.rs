//! The socket as hyper sees it: bytes, counters of what was read and written, and the tasks of HTTP/2 streams.
//!
//! It may not know requests, responses, phases, or limits of HTTP.

pub(crate) mod data_frames;
pub(crate) mod stream;
pub(crate) mod streams;
