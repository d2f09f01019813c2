//! Which arbiter gets the next connection, decided without one.

/// The arbiters in the order in which they should get the next connection: the one with the fewest first, and among
/// equals the one that comes next after `last`.
///
/// So held connections differ by one at most, and short ones go round.
pub(crate) fn order(loads: &[usize], last: usize) -> impl Iterator<Item = usize> {
    let count = loads.len();
    let mut order: Vec<usize> = (1..=count).map(|step| (last + step) % count).collect();
    // Stable: equals stay in turn.
    order.sort_by_key(|arbiter| loads.get(*arbiter).copied());
    order.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(loads: &[usize], last: usize) -> Option<usize> {
        order(loads, last).next()
    }

    #[test]
    fn the_least_busy_is_first_and_equals_take_turns() {
        assert_eq!(first(&[2, 1, 2], 0), Some(1));
        assert_eq!(first(&[0, 0, 0], 0), Some(1));
        assert_eq!(first(&[0, 0, 0], 2), Some(0));
        assert_eq!(order(&[5, 1, 3], 1).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(first(&[], 0), None);
    }

    #[test]
    fn held_connections_differ_by_one_at_most() {
        for arbiters in 1..9 {
            let (mut loads, mut last) = (vec![0; arbiters], 0);
            for _ in 0..1001 {
                last = first(&loads, last).expect("there is one");
                loads[last] += 1;
                let most = loads.iter().max().expect("not empty");
                assert!(loads.iter().all(|load| load + 1 >= *most), "{loads:?}");
            }
        }
    }

    #[test]
    fn short_connections_go_round() {
        let (mut counts, mut last) = ([0; 4], 0);
        for _ in 0..1000 {
            last = first(&[0; 4], last).expect("there is one");
            counts[last] += 1;
        }
        assert_eq!(counts, [250; 4]);
    }

    #[test]
    fn an_arbiter_that_lost_its_connections_gets_the_next_ones() {
        let (mut loads, mut last) = ([10, 10, 0], 0);
        for _ in 0..10 {
            last = first(&loads, last).expect("there is one");
            loads[last] += 1;
        }
        assert_eq!(loads, [10; 3]);
    }
}
