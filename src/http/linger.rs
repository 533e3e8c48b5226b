//! Closing a connection without losing the last answer: a socket that is dropped with unread data resets
//! the connection, and a reset overtakes what was sent (RFC 9112, section 9.6). Does not know what it was.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long a client may go on sending.
const LINGER: Duration = Duration::from_secs(2);
/// How much it may go on sending, in bytes.
const LINGER_LEN_MAX: u64 = 64 << 20;

/// Says `last_words`, if any, and that nothing more will come; then reads and forgets what the client still
/// sends.
pub(super) async fn close(mut io: impl AsyncRead + AsyncWrite + Unpin, last_words: &[u8]) {
    let closing = async {
        io.write_all(last_words).await?;
        io.shutdown().await?;
        let mut forgotten = vec![0; 8_192];
        let mut left = LINGER_LEN_MAX;
        while left > 0 {
            match io.read(&mut forgotten).await? {
                0 => break,
                len => left = left.saturating_sub(len as u64),
            }
        }
        std::io::Result::Ok(())
    };
    // However it ends, the socket goes.
    let _ = tokio::time::timeout(LINGER, closing).await;
}
