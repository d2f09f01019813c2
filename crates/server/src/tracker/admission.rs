//! Admission: which connection gets a permit, and when an acceptor may accept the next one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::ConnectionTracker;
use super::alarm::FiredAlarm;
use super::limits::{Policy, RejectReason};
use super::metrics::Counter;
use super::permit::Permit;
use super::rate::{Bucket, Rate};
use super::wait::Waiter;
use crate::address::Address;

/// The permit of an admitted connection, or why it was rejected.
pub(crate) type Admission = Result<Permit, RejectReason>;

impl ConnectionTracker {
    /// Takes a permit for a connection; `None` when the limit is reached or the listener drains.
    pub fn admit(&self) -> Option<Permit> {
        if self.is_draining() { None } else { self.permit() }
    }

    /// Takes a permit; `None` when the limit is reached.
    pub(crate) fn permit(&self) -> Option<Permit> {
        Permit::reserve(self.shared())
    }

    /// Whether the permit is one of this tracker.
    pub(crate) fn has_given(&self, permit: &Permit) -> bool {
        Arc::ptr_eq(self.shared(), permit.shared())
    }

    /// Waits until a permit is free, under [`Policy::Queue`]. Takes none.
    pub(crate) async fn wait_for_capacity(&self) {
        let free = || {
            let below = || self.shared().permits.load(Ordering::SeqCst) < self.limit();
            (self.policy() == Policy::Reject || below()).then_some(())
        };
        Waiter::new(self.shared(), |shared| &shared.capacity).until(free).await;
    }

    /// Waits until the rate limit has a token, under [`Policy::Queue`]. Takes none: the peer of the next connection is
    /// known only after accept(2), and a peer above its own limit takes no token.
    pub(crate) async fn wait_for_rate(&self) {
        if !self.shared().has_rules.load(Ordering::Acquire) {
            return;
        }
        while self.policy() == Policy::Queue {
            let bucket = self.shared().rules().rate;
            let wait = bucket.and_then(|bucket| Some((bucket.wait(self.now())?, bucket.rate())));
            let Some((wait, rate)) = wait else { return };
            // An elapsed timeout means that there may be a token. Otherwise policy or rate has changed.
            drop(tokio::time::timeout(wait, self.wait_rate_changed(rate)).await);
        }
    }

    /// Waits until the policy or the rate is another one.
    async fn wait_rate_changed(&self, rate: Rate) {
        let holds = || self.policy() == Policy::Queue && self.rate() == Some(rate);
        Waiter::new(self.shared(), |shared| &shared.capacity).until(|| (!holds()).then_some(())).await;
    }

    fn rate(&self) -> Option<Rate> {
        self.shared().rules().rate.as_ref().map(Bucket::rate)
    }

    /// Accepts a connection with `accept` and decides whether it is admitted. Rejections are counted.
    ///
    /// `Ok(None)` under [`Policy::Queue`] when no permit or no token is free: nothing is accepted then.
    ///
    /// # Errors
    ///
    /// Those of `accept`. No permit and no token is taken then.
    pub(crate) fn admit_next<T, E>(
        &self,
        accept: impl FnOnce() -> Result<T, E>,
        peer: impl FnOnce(&T) -> &Address,
    ) -> Result<Option<(T, Admission)>, E> {
        let queues = self.policy() == Policy::Queue;
        let permit = self.permit();
        if queues && permit.is_none() {
            return Ok(None);
        }
        if !self.shared().has_rules.load(Ordering::Acquire) {
            let accepted = accept()?;
            let admitted = self.connect(permit, peer(&accepted), |_| Ok(false));
            return Ok(Some((accepted, admitted)));
        }
        // Locked over accept(2), which does not block: another acceptor of this tracker cannot take the token that the
        // accepted connection needs.
        let mut rules = self.shared().rules();
        let now = self.now();
        if queues && !rules.has_token(now) {
            return Ok(None);
        }
        let accepted = accept()?;
        let address = peer(&accepted);
        let checked = if permit.is_some() { rules.check_admission(now, address) } else { Ok(false) };
        // Before a permit is dropped: that may wake tasks, and may take this lock.
        drop(rules);
        let admitted = self.connect(permit, address, |_| checked);
        Ok(Some((accepted, admitted)))
    }

    /// Admits a connection that comes without a permit. Rejections are counted.
    pub(crate) fn check_admission(&self, peer: &Address) -> Result<Permit, RejectReason> {
        let has_rules = self.shared().has_rules.load(Ordering::Acquire);
        let check = |peer: &Address| match has_rules {
            true => self.shared().rules().check_admission(self.now(), peer),
            false => Ok(false),
        };
        self.connect(self.permit(), peer, check)
    }

    /// Gives the permit to the connection, if there is one and `check` admits the peer.
    fn connect(
        &self,
        permit: Option<Permit>,
        peer: &Address,
        check: impl FnOnce(&Address) -> Result<bool, RejectReason>,
    ) -> Result<Permit, RejectReason> {
        let checked = permit.ok_or(RejectReason::Full).and_then(|permit| Ok((permit, check(peer)?)));
        match &checked {
            Ok(_) => {}
            Err(RejectReason::Full) => self.count(Counter::RejectedFull),
            Err(RejectReason::Peer) => self.count(Counter::RejectedPeer),
            Err(RejectReason::Rate) => self.count(Counter::RejectedRate),
        }
        checked.map(|(mut permit, of_peer)| {
            permit.connect(peer, of_peer);
            permit
        })
    }

    /// The alarms that fire at the present number of connections. To be called after each admission.
    pub(crate) fn fire_alarms(&self) -> Vec<FiredAlarm> {
        let active = self.active();
        if active < self.shared().alarm_at.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.shared().rules().alarms.fire(self.shared().now(), active)
    }
}
