//! Who may talk to whom, against a table written out in full.

use impresario_wire::{Kind, Link, LinkError, Role, may_hold, may_send};

/// Every kind with the pairs that may use it, from and to.
fn table(kind: Kind) -> &'static [(Role, Role)] {
    use Role::{Main, Prototype, Router, Worker};
    match kind {
        Kind::Ready | Kind::Failed => &[(Router, Main), (Prototype, Main), (Worker, Prototype)],
        Kind::Quit => &[(Main, Router), (Main, Prototype), (Prototype, Worker)],
        Kind::NewPort | Kind::RemovePort => &[(Prototype, Main), (Main, Router)],
        Kind::Connection => &[(Router, Worker)],
        Kind::Taken | Kind::Refused | Kind::Released => &[(Worker, Router)],
    }
}

fn pairs() -> impl Iterator<Item = (Role, Role)> {
    Role::ALL.into_iter().flat_map(|from| Role::ALL.into_iter().map(move |to| (from, to)))
}

#[test]
fn every_kind_between_every_pair() {
    for (from, to) in pairs() {
        for kind in Kind::ALL {
            assert_eq!(may_send(from, to, kind), table(kind).contains(&(from, to)), "{from} to {to}: {kind}");
        }
    }
}

#[test]
fn a_port_is_held_by_those_who_talk_and_by_main_who_keeps() {
    for (holder, peer) in pairs() {
        let speaks = Kind::ALL.into_iter().any(|kind| may_send(holder, peer, kind));
        let keeps = (holder, peer) == (Role::Main, Role::Worker);
        assert_eq!(may_hold(holder, peer), speaks || keeps, "{holder} of {peer}");
        match Link::new(holder, peer) {
            Ok(link) => assert_eq!((link.own(), link.peer(), link.process()), (holder, peer, None)),
            Err(error) => {
                assert!(!may_hold(holder, peer));
                assert_eq!(error, LinkError::NoPort { own: holder, peer });
            }
        }
    }
}

#[test]
fn no_process_talks_to_its_own_kind() {
    for role in Role::ALL {
        assert!(!may_hold(role, role), "{role}");
    }
}

#[test]
fn a_link_believes_the_kernel_only() {
    let link = Link::new(Role::Prototype, Role::Worker).unwrap().only(10);
    assert_eq!(link.check(Some(10), 10, Kind::Ready), Ok(()));
    assert_eq!(link.check(None, 10, Kind::Ready), Err(LinkError::Anonymous));
    assert_eq!(link.check(Some(11), 10, Kind::Ready), Err(LinkError::Forged { sender: 11, claimed: 10 }));
    assert_eq!(link.check(Some(11), 11, Kind::Ready), Err(LinkError::Stranger { sender: 11, expected: 10 }));
    let forbidden = LinkError::Forbidden { from: Role::Worker, to: Role::Prototype, kind: Kind::Quit };
    assert_eq!(link.check(Some(10), 10, Kind::Quit), Err(forbidden));
    assert_eq!(forbidden.to_string(), "a worker process may not send quit to a prototype process");
}

#[test]
fn a_link_to_whoever_is_router_takes_any_process() {
    let link = Link::new(Role::Worker, Role::Router).unwrap();
    assert_eq!(link.check(Some(7), 7, Kind::Connection), Ok(()));
    assert_eq!(link.check(Some(8), 8, Kind::Connection), Ok(()));
    assert!(link.check(Some(8), 7, Kind::Connection).is_err());
}

#[test]
fn our_own_mistakes_are_found_before_the_peer_finds_them() {
    let link = Link::new(Role::Worker, Role::Router).unwrap();
    assert_eq!(link.check_outgoing(Kind::Taken), Ok(()));
    let error = link.check_outgoing(Kind::Connection).unwrap_err();
    assert_eq!(error, LinkError::Forbidden { from: Role::Worker, to: Role::Router, kind: Kind::Connection });
}
