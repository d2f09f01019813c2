//! The time of a world. It passes only where the scenario says so; whatever else is waited for is an event.

use std::future::pending;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// Lets time pass.
pub(super) async fn elapse(time: Duration) {
    elapse_until(Instant::now() + time).await;
}

/// Lets time pass until then.
pub(super) async fn elapse_until(end: Instant) {
    // Nothing is waited for but the end.
    let _ = timeout_at(end, pending::<()>()).await;
}
