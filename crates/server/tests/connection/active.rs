//! Bytes that come to their owner by themselves, as much as it asked for.

use actix::{Actor, Context, Handler as Handle};
use impresario_server::{Accepted, Active, ActiveEvent, ActiveSocket};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::owner::{Owner, SetActive, TransferTo, next, pair};
use crate::support::{run, until};

#[test]
fn once_is_one_piece_and_then_nothing() {
    run(async {
        let (mut client, accepted) = pair().await;
        let (owner, mut seen) = Owner::start(Some(Active::Once));
        owner.do_send(accepted);
        client.send("1").await;
        assert_eq!(next(&mut seen).await, "1");
        client.send("2").await;
        owner.send(SetActive(Active::Passive)).await.expect("it is running");
        assert_eq!(next(&mut seen).await, "Passive");
        assert!(seen.try_recv().is_err());
        owner.do_send(SetActive(Active::Once));
        assert_eq!((next(&mut seen).await, next(&mut seen).await), ("Once".into(), "2".into()));
        client.finish().await;
        owner.do_send(SetActive(Active::Once));
        assert_eq!((next(&mut seen).await, next(&mut seen).await), ("Once".into(), "Closed".into()));
    });
}

#[test]
fn a_count_runs_out_and_is_added_to() {
    run(async {
        let (mut client, accepted) = pair().await;
        let (owner, mut seen) = Owner::start(Some(Active::Count(1)));
        owner.do_send(accepted);
        owner.do_send(SetActive(Active::Count(2)));
        assert_eq!(next(&mut seen).await, "Count(3)");
        for piece in ["1", "2", "3"] {
            client.send(piece).await;
            assert_eq!(next(&mut seen).await, piece);
        }
        assert_eq!(next(&mut seen).await, "Passive");
        client.send("4").await;
        owner.do_send(SetActive(Active::Always));
        assert_eq!((next(&mut seen).await, next(&mut seen).await), ("Always".into(), "4".into()));
        client.0.set_zero_linger().expect("an open socket");
        drop(client);
        assert!(next(&mut seen).await.starts_with("Failed("));
    });
}

#[test]
fn a_new_owner_goes_on_where_the_old_one_was() {
    run(async {
        let (mut client, accepted) = pair().await;
        let (old, mut old_seen) = Owner::start(Some(Active::Count(3)));
        let (new, mut new_seen) = Owner::start(None);
        old.do_send(accepted);
        client.send("1").await;
        assert_eq!(next(&mut old_seen).await, "1");
        let (told, mut answer) = unbounded_channel();
        // Both are in the mailbox before a byte of what follows can be read.
        old.do_send(SetActive(Active::Passive));
        old.do_send(SetActive(Active::Count(2)));
        old.do_send(TransferTo(new.clone().recipient(), told));
        client.send("2").await;
        answer.recv().await.expect("an answer").expect("it is claimed");
        assert_eq!(next(&mut new_seen).await, "2");
        client.send("3").await;
        assert_eq!((next(&mut new_seen).await, next(&mut new_seen).await), ("3".into(), "Passive".into()));
        assert_eq!(
            (next(&mut old_seen).await, next(&mut old_seen).await),
            ("Passive".into(), "Count(2)".into())
        );
        assert!(old_seen.try_recv().is_err(), "the old owner saw more");
    });
}

#[test]
fn the_new_owner_sees_that_the_peer_closed() {
    run(async {
        for active in [false, true] {
            let (mut client, accepted) = pair().await;
            let accepted = if active {
                let (old, mut seen) = Owner::start(Some(Active::Always));
                old.do_send(accepted);
                client.finish().await;
                // The old owner has its `Passive` already.
                assert_eq!(next(&mut seen).await, "Closed");
                let (keep, mut kept) = unbounded_channel();
                let keeper = Keeper(keep).start();
                let (told, mut answer) = unbounded_channel();
                old.do_send(TransferTo(keeper.recipient(), told));
                let accepted = kept.recv().await.expect("it is given");
                assert!(answer.try_recv().is_err(), "it is unclaimed");
                accepted
            } else {
                client.send("last").await;
                client.finish().await;
                accepted
            };
            let mut socket = accepted.claim().expect("an open socket");
            if !active {
                assert_eq!(socket.recv().await.expect("bytes").expect("more"), "last");
            }
            assert_eq!(socket.recv().await.expect("an orderly end"), None);
        }
    });
}

/// Passes connections on to the test.
struct Keeper(UnboundedSender<Accepted>);

impl Actor for Keeper {
    type Context = Context<Self>;
}

impl Handle<Accepted> for Keeper {
    type Result = ();

    fn handle(&mut self, accepted: Accepted, _: &mut Context<Self>) {
        self.0.send(accepted).expect("the test listens");
    }
}

#[test]
fn it_switches_between_push_and_pull() {
    run(async {
        struct Switch(UnboundedSender<ActiveSocket>);
        impl Actor for Switch {
            type Context = Context<Self>;
        }
        impl Handle<Accepted> for Switch {
            type Result = ();
            fn handle(&mut self, accepted: Accepted, ctx: &mut Context<Self>) {
                let socket = accepted.claim().expect("an open socket").activate(Active::Once, ctx);
                self.0.send(socket).expect("the test listens");
            }
        }
        impl Handle<ActiveEvent> for Switch {
            type Result = ();
            fn handle(&mut self, pushed: ActiveEvent, _: &mut Context<Self>) {
                assert!(matches!(&pushed, ActiveEvent::Data(data) if data == "pushed"), "{pushed:?}");
            }
        }
        let (mut client, accepted) = pair().await;
        let (sender, mut sockets) = unbounded_channel();
        let switch = Switch(sender).start();
        switch.do_send(accepted);
        let active = sockets.recv().await.expect("it claims");
        client.send("pushed").await;
        until(|| active.active() == Active::Passive).await;
        let mut socket = active.deactivate();
        client.send("pulled").await;
        assert_eq!(socket.recv().await.expect("bytes").expect("more"), "pulled");
        switch.do_send(socket.release().expect("an open socket"));
        let active = sockets.recv().await.expect("it claims");
        client.send("pushed").await;
        until(|| active.active() == Active::Passive).await;
        active.try_send("sent").expect("there is room");
        client.expect("sent").await;
    });
}
