//! What the tests share: two processes' ports in one process, and events to wait for.

// Every test file is a program of its own and uses a part of this.
#![allow(dead_code)]

use std::future::Future;
use std::time::Duration;

use actix::{Actor, Addr};
use impresario_port::{CloseReason, Incoming, Port, PortEvent, PortHandle};
use impresario_sys::SeqPacket;
use impresario_wire::{Address, Message, PortPolicy, Role};
use slog::{Discard, Logger, o};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// How long a test waits for what must come at once.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Events = UnboundedReceiver<PortEvent>;

/// Runs a test in an actor system.
pub(crate) fn run(test: impl Future<Output = ()>) {
    actix_rt::System::new().block_on(test);
}

pub(crate) fn link(own: Role, peer: Role) -> PortPolicy {
    PortPolicy::new(own, peer).unwrap()
}

pub(crate) fn log() -> Logger {
    Logger::root(Discard, o!())
}

/// Handles of both ends; no actor serves them yet.
pub(crate) fn pair(one: Role, other: Role) -> (PortHandle, PortHandle) {
    let (left, right) = SeqPacket::pair().unwrap();
    (PortHandle::new(left, link(one, other)), PortHandle::new(right, link(other, one)))
}

/// One end as a handle, the other as a bare socket for saying anything.
pub(crate) fn raw_pair(own: PortPolicy) -> (PortHandle, SeqPacket) {
    let (left, right) = SeqPacket::pair().unwrap();
    (PortHandle::new(left, own), right)
}

/// Starts an actor that passes on what it is told.
pub(crate) fn serve(handle: &PortHandle) -> Events {
    serve_with(handle, |_| {}).1
}

/// The same; `first` sees the event before.
pub(crate) fn serve_with(
    handle: &PortHandle,
    mut first: impl FnMut(&PortEvent) + 'static,
) -> (Addr<Port>, Events) {
    let (sender, events) = unbounded_channel();
    let port = Port::new(handle.clone(), log(), move |event| {
        first(&event);
        // The test may have heard enough.
        let _ = sender.send(event);
    });
    (port.start(), events)
}

/// What must come, within the test's patience.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

pub(crate) async fn message(events: &mut Events) -> Incoming {
    match soon(events.recv()).await {
        Some(PortEvent::Message(incoming)) => incoming,
        other => panic!("expected a message, got {other:?}"),
    }
}

/// The end; asserts that nothing comes after it.
pub(crate) async fn closed(events: &mut Events) -> CloseReason {
    let reason = match soon(events.recv()).await {
        Some(PortEvent::Closed(reason)) => reason,
        other => panic!("expected the end, got {other:?}"),
    };
    assert!(soon(events.recv()).await.is_none(), "the end is told once, and the handler is dropped");
    reason
}

pub(crate) fn connection(read_ahead: Vec<u8>) -> Message {
    let address = Address::Unix(Vec::new());
    Message::Connection { peer: address.clone(), local: address, read_ahead }
}
