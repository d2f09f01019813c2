//! One echo on a stream, with or without TLS.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Sends `bytes` bytes, reads as many back and compares them. `buffer` is kept between calls to save allocations.
///
/// # Errors
///
/// Those of the stream, and `InvalidData` when other bytes come back.
pub(crate) async fn echo(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    bytes: usize,
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    buffer.resize(bytes, b'x');
    stream.write_all(buffer).await?;
    stream.flush().await?;
    buffer.fill(0);
    stream.read_exact(buffer).await?;
    if buffer.iter().all(|byte| *byte == b'x') {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidData, "the echoed bytes differ"))
}
