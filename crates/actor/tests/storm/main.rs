//! Property test: random kills, stops, panics and requests on random trees of real actors, on a paused clock.
//!
//! The record of each run must satisfy the invariants of supervision.

mod actors;
mod plan;
mod record;

use std::time::Duration;

use actix_rt::System;
use impresario_actor::{ExitReason, Tree};
use proptest::prelude::{ProptestConfig, proptest};
use tokio::runtime::Builder;
use tokio::time::{Instant, timeout};

use actors::{Do, Handle, Stage, pass};
use plan::{Node, Op};

/// Bound of the test: longer than every timeout in a plan.
const LONG: Duration = Duration::from_secs(3_600);

/// Maximum time that a shutdown waits for a start in progress.
const PATIENCE: Duration = Duration::from_secs(5);

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_operations_keep_the_supervision_invariants(root in plan::root(), ops in plan::ops()) {
        let system = System::with_tokio_rt(|| {
            Builder::new_current_thread().enable_all().start_paused(true).build().expect("the runtime is built")
        });
        system.block_on(play(&root, ops));
    }
}

async fn play(root: &Node, ops: Vec<Op>) {
    let stage = Stage::default();
    let Ok(tree) = stage.tree(root).start().await else {
        // A failed first start leaves no actor running.
        return stage.check_all_gone().await;
    };
    for op in ops {
        perform(&stage, &tree, op).await;
        stage.record.check_running();
    }
    // Starts and restarts in progress complete.
    pass(PATIENCE).await;
    let alive = stage.record.alive();
    let asked = Instant::now();
    tree.stop();
    let reason = timeout(LONG, tree.stopped()).await.expect("the tree exits");
    assert!(
        matches!(reason, ExitReason::Shutdown | ExitReason::GaveUp { .. } | ExitReason::Killed),
        "{reason}"
    );
    assert!(asked.elapsed() <= root.longest_stop() + PATIENCE, "{:?} to stop", asked.elapsed());
    stage.check_all_gone().await;
    if reason == ExitReason::Shutdown {
        stage.record.check_order(&alive, root);
    }
    stage.record.check_running();
    stage.record.check_stops();
}

async fn perform(stage: &Stage, tree: &Tree, op: Op) {
    let pick = |at: usize| {
        let alive = stage.record.alive_pids();
        (!alive.is_empty()).then(|| alive[at % alive.len()].clone())
    };
    match op {
        Op::Kill(at) => pick(at).into_iter().for_each(|pid| pid.kill()),
        Op::Exit(at, reason) => pick(at).into_iter().for_each(|pid| pid.exit(reason.clone())),
        Op::Do(at, deed) => {
            let actor = pick(at).and_then(|pid| pid.actor::<actors::Member>());
            // A full or closed mailbox is a valid result.
            let _ = actor.map(|actor| actor.cast(Do(deed)).is_ok());
        }
        Op::Pass(time) => pass(time).await,
        Op::Ask(at, wish, child) => {
            let handles = stage.handles();
            let handle = if handles.is_empty() {
                Handle::Static(tree.root().clone(), Vec::new())
            } else {
                handles[at % handles.len()].clone()
            };
            let ask = handle.ask(wish, child, pick(child), stage.new_number());
            // A supervisor that is stuck in a start may not reply. The caller stops waiting after this timeout.
            let _ = timeout(PATIENCE, ask).await;
        }
        Op::Settle => {
            for _ in 0..8 {
                tokio::task::yield_now().await;
            }
        }
    }
}
