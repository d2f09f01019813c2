//! Shared by the tests: both ends of a port in one process, and their events.

// Each test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::future::Future;
use std::time::Duration;

use actix::{Actor, Addr};
use impresario_port::{CloseReason, Incoming, Port, PortEvent, PortHandle};
use impresario_sys::SeqPacket;
use impresario_wire::{Address, Message, PortPolicy, Role};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Timeout of each wait. Events that a test waits for come immediately.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) type Events = UnboundedReceiver<PortEvent>;

/// Runs a test in an actor system.
pub(crate) fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

pub(crate) fn policy(own: Role, peer: Role) -> PortPolicy {
    PortPolicy::new(own, peer).unwrap()
}

pub(crate) fn log() -> Logger {
    Logger::root(Discard, o!())
}

/// Handles of both ends, without actors.
pub(crate) fn pair(one: Role, other: Role) -> (PortHandle, PortHandle) {
    let (left, right) = SeqPacket::pair().unwrap();
    (PortHandle::new(left, policy(one, other)), PortHandle::new(right, policy(other, one)))
}

/// One end as a handle, the other as a plain socket that sends arbitrary bytes.
pub(crate) fn raw_pair(own: PortPolicy) -> (PortHandle, SeqPacket) {
    let (left, right) = SeqPacket::pair().unwrap();
    (PortHandle::new(left, own), right)
}

/// Starts an actor that forwards its events.
pub(crate) fn serve(handle: &PortHandle) -> Events {
    serve_with(handle, |_| {}).1
}

/// As [`serve`]; `first` is called with each event before it is forwarded.
pub(crate) fn serve_with(
    handle: &PortHandle,
    mut first: impl FnMut(&PortEvent) + 'static,
) -> (Addr<Port>, Events) {
    let (sender, events) = unbounded_channel();
    let port = Port::new(handle.clone(), log(), move |event| {
        first(&event);
        // An error means that the test has dropped its receiver.
        let _ = sender.send(event);
    });
    (port.start(), events)
}

/// Awaits `event` for at most [`TIMEOUT`].
pub(crate) async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(TIMEOUT, event).await.unwrap()
}

/// The next event, which must be a message.
pub(crate) async fn message(events: &mut Events) -> Incoming {
    match soon(events.recv()).await {
        Some(PortEvent::Message(incoming)) => incoming,
        other => panic!("expected a message, got {other:?}"),
    }
}

/// The reason of the closed event. Asserts that no event follows.
pub(crate) async fn closed(events: &mut Events) -> CloseReason {
    let reason = match soon(events.recv()).await {
        Some(PortEvent::Closed(reason)) => reason,
        other => panic!("expected the closed event, got {other:?}"),
    };
    assert!(soon(events.recv()).await.is_none(), "closed is delivered once, and the handler is dropped");
    reason
}

pub(crate) fn connection(read_ahead: Vec<u8>) -> Message {
    let address = Address::Unix(Vec::new());
    Message::Connection { peer: address.clone(), local: address, read_ahead }
}
