//! Who may talk to whom, against a table written out in full.

use impresario_wire::{MessageKind, PortPolicy, PortPolicyError, Role, may_hold_port, may_send};

/// Every kind with the pairs that may use it, from and to.
fn table(kind: MessageKind) -> &'static [(Role, Role)] {
    use Role::{Main, Prototype, Router, Worker};
    match kind {
        MessageKind::Ready | MessageKind::Failed => &[(Router, Main), (Prototype, Main), (Worker, Prototype)],
        MessageKind::Quit => &[(Main, Router), (Main, Prototype), (Prototype, Worker)],
        MessageKind::NewPort | MessageKind::RemovePort => &[(Prototype, Main), (Main, Router)],
        MessageKind::Connection => &[(Router, Worker)],
        MessageKind::Taken | MessageKind::Refused | MessageKind::Released => &[(Worker, Router)],
    }
}

fn pairs() -> impl Iterator<Item = (Role, Role)> {
    Role::ALL.into_iter().flat_map(|from| Role::ALL.into_iter().map(move |to| (from, to)))
}

#[test]
fn every_kind_between_every_pair() {
    for (from, to) in pairs() {
        for kind in MessageKind::ALL {
            assert_eq!(may_send(from, to, kind), table(kind).contains(&(from, to)), "{from} to {to}: {kind}");
        }
    }
}

#[test]
fn a_port_is_held_by_those_who_talk_and_by_main_who_keeps() {
    for (holder, peer) in pairs() {
        let speaks = MessageKind::ALL.into_iter().any(|kind| may_send(holder, peer, kind));
        let keeps = (holder, peer) == (Role::Main, Role::Worker);
        assert_eq!(may_hold_port(holder, peer), speaks || keeps, "{holder} of {peer}");
        match PortPolicy::new(holder, peer) {
            Ok(link) => assert_eq!((link.own(), link.peer(), link.process()), (holder, peer, None)),
            Err(error) => {
                assert!(!may_hold_port(holder, peer));
                assert_eq!(error, PortPolicyError::NoPort { own: holder, peer });
            }
        }
    }
}

#[test]
fn no_process_talks_to_its_own_kind() {
    for role in Role::ALL {
        assert!(!may_hold_port(role, role), "{role}");
    }
}

#[test]
fn a_link_believes_the_kernel_only() {
    let link = PortPolicy::new(Role::Prototype, Role::Worker).unwrap().with_peer_pid(10);
    assert_eq!(link.check(Some(10), 10, MessageKind::Ready), Ok(()));
    assert_eq!(link.check(None, 10, MessageKind::Ready), Err(PortPolicyError::MissingCredentials));
    assert_eq!(
        link.check(Some(11), 10, MessageKind::Ready),
        Err(PortPolicyError::SenderMismatch { sender: 11, claimed: 10 })
    );
    assert_eq!(
        link.check(Some(11), 11, MessageKind::Ready),
        Err(PortPolicyError::WrongPeer { sender: 11, expected: 10 })
    );
    let forbidden =
        PortPolicyError::Forbidden { from: Role::Worker, to: Role::Prototype, kind: MessageKind::Quit };
    assert_eq!(link.check(Some(10), 10, MessageKind::Quit), Err(forbidden));
    assert_eq!(forbidden.to_string(), "a worker process may not send quit to a prototype process");
}

#[test]
fn a_link_to_whoever_is_router_takes_any_process() {
    let link = PortPolicy::new(Role::Worker, Role::Router).unwrap();
    assert_eq!(link.check(Some(7), 7, MessageKind::Connection), Ok(()));
    assert_eq!(link.check(Some(8), 8, MessageKind::Connection), Ok(()));
    assert!(link.check(Some(8), 7, MessageKind::Connection).is_err());
}

#[test]
fn our_own_mistakes_are_found_before_the_peer_finds_them() {
    let link = PortPolicy::new(Role::Worker, Role::Router).unwrap();
    assert_eq!(link.check_outgoing(MessageKind::Taken), Ok(()));
    let error = link.check_outgoing(MessageKind::Connection).unwrap_err();
    assert_eq!(
        error,
        PortPolicyError::Forbidden { from: Role::Worker, to: Role::Router, kind: MessageKind::Connection }
    );
}
