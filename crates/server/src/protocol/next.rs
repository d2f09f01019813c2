//! The result of a handler's callback.

/// What a connection does after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for more bytes.
    Continue,
    /// Close the connection. Sent bytes are still delivered.
    Close,
}
