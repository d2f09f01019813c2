//! The time of a world. Only scenario steps and start delays wait for time; everything else waits for an
//! event.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Lets this time pass.
pub(super) async fn elapse(time: Duration) {
    elapse_until(Instant::now() + time).await;
}

/// Lets time pass until `end`.
pub(super) async fn elapse_until(end: Instant) {
    // The future is pending, so the result is always a timeout.
    let _ = timeout_at(end, pending::<()>()).await;
}
