//! What a callback of a handler returns.

/// What comes next on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for more bytes.
    Continue,
    /// Close the connection. What was sent is still delivered.
    Close,
}
