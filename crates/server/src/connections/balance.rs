//! The choice of an arbiter for the next connection, as a pure function.

/// The load of an arbiter: its connections, whether it is stuck, and how many it has received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) active: usize,
    pub(crate) stuck: bool,
    pub(crate) served: u64,
}

/// Differences up to this are ignored: the end of a connection is counted late, and later on a busy arbiter.
const SLACK: usize = 1;

/// The arbiters in the order in which they get the next connection: the one with the fewest first, and among
/// about equal ones the one that has received the fewest.
///
/// So the numbers of long connections differ by two at most, and short connections are distributed in turn. A
/// stuck arbiter gets none while there are others.
pub(crate) fn order(loads: &[Load]) -> impl Iterator<Item = usize> + use<> {
    let fewest = loads.iter().map(|load| load.active).min().unwrap_or_default();
    let mut order: Vec<(usize, Load)> = loads.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, load)| key(load, fewest));
    order.into_iter().map(|(arbiter, _)| arbiter)
}

/// The first in that [order].
pub(crate) fn best(loads: impl Iterator<Item = Load> + Clone) -> Option<usize> {
    let fewest = loads.clone().map(|load| load.active).min()?;
    loads.enumerate().min_by_key(|(_, load)| key(load, fewest)).map(|(arbiter, _)| arbiter)
}

fn key(load: &Load, fewest: usize) -> (bool, usize, u64) {
    let more = if load.active <= fewest + SLACK { 0 } else { load.active };
    (load.stuck, more, load.served)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one more connection to an arbiter; returns which.
    fn transfer(loads: &mut [Load]) -> usize {
        let to = order(loads).next().expect("there is one");
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
    fn a_stuck_arbiter_is_last() {
        let stuck = Load { active: 1, stuck: true, served: 1 };
        let busy = Load { active: 100, stuck: false, served: 1000 };
        assert_eq!(order(&[stuck, busy]).collect::<Vec<_>>(), [1, 0]);
        let worse = Load { active: 100, stuck: true, served: 1000 };
        assert_eq!(order(&[worse, stuck]).collect::<Vec<_>>(), [1, 0]);
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
            // The third arbiter counts an end one connection later than the others.
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
        let mut loads = vec![Load { active: 10, served: 10, stuck: false }; 3];
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
