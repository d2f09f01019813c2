//! The choice of the arbiter for the next connection: pure functions of the counts of all arbiters.

/// The counts of one arbiter that the choice depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Connections that exist.
    pub(crate) active: usize,
    /// Whether [`MAX_IN_FLIGHT`](crate::tracker::slot::MAX_IN_FLIGHT) connections wait for a claim.
    pub(crate) full: bool,
    /// Connections that were started so far.
    pub(crate) served: u64,
}

/// The difference of active connections that counts as equal. The end of a connection is counted after it happens, and
/// later on an arbiter with more work.
const SLACK: usize = 1;

/// The arbiters in the order in which they should get the next connection.
///
/// Full arbiters come last. Among the others, those with at most [`SLACK`] more active connections than the fewest come
/// first, by the connections that they have served. The rest follow by their active connections.
///
/// So the numbers of held connections differ by two at most, and short connections go round.
pub(crate) fn order(loads: &[Load]) -> impl Iterator<Item = usize> + use<> {
    let fewest = fewest(loads.iter().copied()).unwrap_or_default();
    let mut order: Vec<(usize, Load)> = loads.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, load)| key(load, fewest));
    order.into_iter().map(|(arbiter, _)| arbiter)
}

/// The first arbiter of that [order]; `None` without arbiters. Does not allocate.
pub(crate) fn best(loads: impl Iterator<Item = Load> + Clone) -> Option<usize> {
    let fewest = fewest(loads.clone())?;
    loads.enumerate().min_by_key(|(_, load)| key(load, fewest)).map(|(arbiter, _)| arbiter)
}

/// The fewest active connections of an arbiter that is not full, or of any if all are full.
fn fewest(loads: impl Iterator<Item = Load>) -> Option<usize> {
    loads.map(|load| (load.full, load.active)).min().map(|(_, active)| active)
}

fn key(load: &Load, fewest: usize) -> (bool, usize, u64) {
    let more = if load.active <= fewest.saturating_add(SLACK) { 0 } else { load.active };
    (load.full, more, load.served)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one more connection to an arbiter; returns which.
    fn transfer(loads: &mut [Load]) -> usize {
        let to = order(loads).next().expect("an arbiter");
        assert_eq!(best(loads.iter().copied()), Some(to));
        loads[to].active += 1;
        loads[to].served += 1;
        to
    }

    fn active(loads: &[Load]) -> Vec<usize> {
        loads.iter().map(|load| load.active).collect()
    }

    #[test]
    fn fewest_active_first_then_fewest_served() {
        let load = |active, served| Load { active, served, ..Load::default() };
        assert_eq!(order(&[load(5, 0), load(1, 9), load(3, 0)]).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(order(&[load(1, 5), load(0, 9), load(1, 4)]).collect::<Vec<_>>(), [2, 0, 1]);
        assert_eq!((order(&[]).next(), best([].into_iter())), (None, None));
    }

    #[test]
    fn a_full_arbiter_is_last() {
        let full = Load { active: 1, full: true, served: 1 };
        let busy = Load { active: 100, full: false, served: 1000 };
        assert_eq!(order(&[full, busy]).collect::<Vec<_>>(), [1, 0]);
        let worse = Load { active: 100, full: true, served: 1000 };
        assert_eq!(order(&[worse, full]).collect::<Vec<_>>(), [1, 0]);
    }

    #[test]
    fn the_others_are_balanced_beside_a_full_arbiter() {
        let full = Load { active: 1, full: true, served: 1 };
        let mut loads = vec![
            full,
            Load { active: 50, full: false, served: 50 },
            Load { active: 52, full: false, served: 52 },
        ];
        for _ in 0..100 {
            transfer(&mut loads);
        }
        assert_eq!(active(&loads), [1, 101, 101]);
    }

    #[test]
    fn held_connections_differ_by_one_at_most() {
        for arbiters in 1..9 {
            let mut loads = vec![Load::default(); arbiters];
            for _ in 0..1001 {
                transfer(&mut loads);
                let most = loads.iter().map(|load| load.active).max().expect("not empty");
                assert!(loads.iter().all(|load| load.active + 1 >= most), "{loads:?}");
            }
        }
    }

    #[test]
    fn short_connections_go_round_though_one_end_is_counted_late() {
        let mut loads = vec![Load::default(); 4];
        let mut ended: Option<usize> = None;
        for _ in 0..1000 {
            let to = transfer(&mut loads);
            // The end of a connection of the last arbiter is counted one connection later than those of the others.
            if let Some(late) = ended.take() {
                loads[late] = Load { active: loads[late].active - 1, ..loads[late] };
            }
            if to == 3 {
                ended = Some(to);
            } else {
                loads[to].active -= 1;
            }
        }
        assert_eq!(loads.iter().map(|load| load.served).collect::<Vec<_>>(), [250; 4]);
    }

    #[test]
    fn an_arbiter_that_lost_its_connections_gets_the_next_ones() {
        let mut loads = vec![Load { active: 10, served: 10, full: false }; 3];
        loads[2].active = 0;
        for _ in 0..10 {
            transfer(&mut loads);
        }
        let active = active(&loads);
        assert!(active.iter().all(|active| (9..=11).contains(active)), "{active:?}");
    }

    #[test]
    fn random_ends_keep_each_start_near_the_fewest() {
        let mut loads = vec![Load::default(); 5];
        let mut random = 1_u32;
        for _ in 0..10_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let victim = (random >> 16) as usize % 5;
            if random >> 31 == 0 && loads[victim].active > 0 {
                loads[victim].active -= 1;
            } else {
                let before = active(&loads);
                let to = transfer(&mut loads);
                let fewest = before.iter().min().expect("five");
                assert!(before[to] <= fewest + SLACK, "{before:?} got one at {to}");
            }
        }
    }
}
