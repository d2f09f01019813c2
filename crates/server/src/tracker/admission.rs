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

impl ConnectionTracker {
    /// Gives a permit to a connection; `None` when the limit is reached or the listener drains.
    pub fn admit(&self) -> Option<Permit> {
        if self.is_draining() { None } else { self.permit() }
    }

    /// A permit; `None` when the limit is reached.
    pub(crate) fn permit(&self) -> Option<Permit> {
        Permit::reserve(self.shared())
    }

    /// Whether this tracker has given the permit.
    pub(crate) fn has_given(&self, permit: &Permit) -> bool {
        Arc::ptr_eq(self.shared(), permit.shared())
    }

    /// Waits until a permit is free, under [`Policy::Queue`].
    pub(crate) async fn wait_for_capacity(&self) {
        let free = || {
            let below = || self.shared().permits.load(Ordering::SeqCst) < self.limit();
            (self.policy() == Policy::Reject || below()).then_some(())
        };
        Waiter::new(self.shared(), |shared| &shared.capacity).until(free).await;
    }

    /// Waits until the rate limit has a token and takes it, under [`Policy::Queue`]. Returns whether it took one. The
    /// caller keeps it until a connection is admitted.
    pub(crate) async fn wait_for_rate(&self) -> bool {
        if !self.shared().has_rules.load(Ordering::Acquire) {
            return false;
        }
        while self.policy() == Policy::Queue {
            let taken = match &mut self.shared().rules().rate {
                Some(bucket) => bucket.take(self.shared().now()).map_err(|wait| (wait, bucket.rate())),
                None => return false,
            };
            match taken {
                Ok(()) => return true,
                // Until there is a token, or another limit holds.
                Err((wait, rate)) => drop(tokio::time::timeout(wait, self.wait_rate_changed(rate)).await),
            }
        }
        false
    }

    /// Waits until acceptors do not wait by this rate any more.
    async fn wait_rate_changed(&self, rate: Rate) {
        let holds = || self.policy() == Policy::Queue && self.rate() == Some(rate);
        Waiter::new(self.shared(), |shared| &shared.capacity).until(|| (!holds()).then_some(())).await;
    }

    fn rate(&self) -> Option<Rate> {
        self.shared().rules().rate.as_ref().map(Bucket::rate)
    }

    /// Admits a connection that was accepted with this permit, or without one. Rejections are counted.
    pub(crate) fn check_admission(
        &self,
        permit: Option<Permit>,
        peer: &Address,
    ) -> Result<Permit, RejectReason> {
        let admitted = self.try_admit(permit, peer);
        match &admitted {
            Ok(_) => {}
            Err(RejectReason::Full) => self.count(Counter::RejectedFull),
            Err(RejectReason::Peer) => self.count(Counter::RejectedPeer),
            Err(RejectReason::Rate) => self.count(Counter::RejectedRate),
        }
        admitted
    }

    fn try_admit(&self, permit: Option<Permit>, peer: &Address) -> Result<Permit, RejectReason> {
        let mut permit = permit.or_else(|| self.permit()).ok_or(RejectReason::Full)?;
        let has_rules = self.shared().has_rules.load(Ordering::Acquire);
        let of_peer =
            has_rules && self.shared().rules().check_admission(self.policy(), self.shared().now(), peer)?;
        permit.connect(peer, of_peer);
        Ok(permit)
    }

    /// The alarms that fire now that one more connection was admitted.
    pub(crate) fn fire_alarms(&self) -> Vec<FiredAlarm> {
        let active = self.active();
        if active < self.shared().alarm_at.load(Ordering::Acquire) {
            return Vec::new();
        }
        self.shared().rules().alarms.fire(self.shared().now(), active)
    }
}
