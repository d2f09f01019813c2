//! Encryption.

mod wire;

pub(crate) use wire::Wire;

/// An encrypted transport.
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<Wire>;

/// Whether bytes are decrypted and not read yet.
pub(crate) fn has_plaintext(stream: &TlsStream) -> bool {
    // rustls wants to read more unless there is something that was not taken from it.
    !stream.get_ref().1.wants_read()
}
