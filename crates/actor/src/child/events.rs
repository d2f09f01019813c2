//! What a child reports to its parent.

use std::fmt;
use std::sync::Arc;

use impresario_supervision::{Event, Incarnation};

use crate::cell::ReportFields;
use crate::registry::Registry;

/// Sends the events of the children of one parent to it. The number of queued events is bounded by that of the children:
/// each sends two events at most.
#[derive(Clone)]
pub(crate) struct EventSender(Arc<Parent<dyn Fn(Event, ReportFields) + Send + Sync>>);

/// A parent, as its children see it.
struct Parent<F: ?Sized> {
    /// The registry of its tree, for the names that a child leaves behind. It stands here, since a clone in every child
    /// would cost each start a reference count.
    registry: Registry,
    send: F,
}

impl EventSender {
    /// `send` cannot fail: a parent that has exited does not need the event, since its children exit with it.
    pub(crate) fn new(
        registry: Registry,
        send: impl Fn(Event, ReportFields) + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Parent { registry, send }))
    }

    /// Sends an event.
    pub(crate) fn send(&self, event: Event) {
        self.send_exit(event, ReportFields::new());
    }

    /// Sends an exit, and the fields that the child adds to the report of it.
    pub(crate) fn send_exit(&self, event: Event, report_fields: ReportFields) {
        (self.0.send)(event, report_fields);
    }

    /// The registry of the parent's tree.
    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }
}

impl fmt::Debug for EventSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EventSender")
    }
}

/// Reports that a child is ready.
#[derive(Clone, Debug)]
pub(crate) struct StartAck {
    events: EventSender,
    incarnation: Incarnation,
}

impl StartAck {
    /// The acknowledgement of this incarnation.
    pub(crate) fn new(events: EventSender, incarnation: Incarnation) -> Self {
        Self { events, incarnation }
    }

    /// Reports it.
    pub(crate) fn started(&self) {
        self.events.send(Event::Started(self.incarnation));
    }
}
