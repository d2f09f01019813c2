//! Which roles may send which kinds to which roles, against a table written out in full.

use impresario_wire::{MessageKind, PortPolicy, PortPolicyError, Role, may_hold_port, may_send};

/// The pairs (from, to) that may exchange this kind.
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
fn may_send_equals_the_table() {
    for (from, to) in pairs() {
        for kind in MessageKind::ALL {
            assert_eq!(may_send(from, to, kind), table(kind).contains(&(from, to)), "{from} to {to}: {kind}");
        }
    }
}

#[test]
fn roles_that_send_hold_a_port_and_main_keeps_workers() {
    for (holder, peer) in pairs() {
        let sends = MessageKind::ALL.into_iter().any(|kind| may_send(holder, peer, kind));
        let keeps = (holder, peer) == (Role::Main, Role::Worker);
        assert_eq!(may_hold_port(holder, peer), sends || keeps, "{holder} of {peer}");
        match PortPolicy::new(holder, peer) {
            Ok(policy) => assert_eq!((policy.own(), policy.peer(), policy.process()), (holder, peer, None)),
            Err(error) => {
                assert!(!may_hold_port(holder, peer));
                assert_eq!(error, PortPolicyError::NoPort { own: holder, peer });
            }
        }
    }
}

#[test]
fn no_role_holds_a_port_to_itself() {
    for role in Role::ALL {
        assert!(!may_hold_port(role, role), "{role}");
    }
}

#[test]
fn check_compares_source_with_kernel_credentials() {
    let policy = PortPolicy::new(Role::Prototype, Role::Worker).unwrap().with_peer_pid(10);
    assert_eq!(policy.check(Some(10), 10, MessageKind::Ready), Ok(()));
    assert_eq!(policy.check(None, 10, MessageKind::Ready), Err(PortPolicyError::MissingCredentials));
    assert_eq!(
        policy.check(Some(11), 10, MessageKind::Ready),
        Err(PortPolicyError::SenderMismatch { sender: 11, claimed: 10 })
    );
    assert_eq!(
        policy.check(Some(11), 11, MessageKind::Ready),
        Err(PortPolicyError::WrongPeer { sender: 11, expected: 10 })
    );
    let forbidden =
        PortPolicyError::Forbidden { from: Role::Worker, to: Role::Prototype, kind: MessageKind::Quit };
    assert_eq!(policy.check(Some(10), 10, MessageKind::Quit), Err(forbidden));
    assert_eq!(forbidden.to_string(), "a worker process may not send quit to a prototype process");
}

#[test]
fn without_a_peer_pid_any_process_may_send() {
    let policy = PortPolicy::new(Role::Worker, Role::Router).unwrap();
    assert_eq!(policy.check(Some(7), 7, MessageKind::Connection), Ok(()));
    assert_eq!(policy.check(Some(8), 8, MessageKind::Connection), Ok(()));
    assert!(policy.check(Some(8), 7, MessageKind::Connection).is_err());
}

#[test]
fn check_outgoing_forbids_a_kind_of_another_role() {
    let policy = PortPolicy::new(Role::Worker, Role::Router).unwrap();
    assert_eq!(policy.check_outgoing(MessageKind::Taken), Ok(()));
    let error = policy.check_outgoing(MessageKind::Connection).unwrap_err();
    assert_eq!(
        error,
        PortPolicyError::Forbidden { from: Role::Worker, to: Role::Router, kind: MessageKind::Connection }
    );
}
