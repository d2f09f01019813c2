//! The body of the HTTP rows.

/// Body of every HTTP response, of the server and of its peer.
pub(crate) const HELLO: &[u8] = b"hello\n";
