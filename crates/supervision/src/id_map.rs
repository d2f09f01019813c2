//! Maps by ids that count upwards.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A hash map by [`ChildKey`](crate::ChildKey), [`Incarnation`](crate::Incarnation) or
/// [`RequestId`](crate::RequestId).
///
/// These ids are handed out by us, one after the other: nobody can choose ones that collide, so they are hashed by one
/// multiplication instead of std's keyed hash, which costs more than all else that is done with them.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// Spreads one number over all bits (Fibonacci hashing).
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

/// 2^64 divided by the golden ratio, made odd.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0.rotate_left(5) ^ number).wrapping_mul(SPREAD);
    }

    fn finish(&self) -> u64 {
        // The map takes its place from the lowest bits, and the highest are the best.
        self.0.rotate_left(26)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::hash::BuildHasher;

    use super::*;
    use crate::ChildKey;

    #[test]
    fn ids_in_a_row_are_spread() {
        let hasher = BuildHasherDefault::<IdHasher>::default();
        let hash = |number| hasher.hash_one(ChildKey(number));
        let places: BTreeSet<u64> = (0..1024).map(|number| hash(number) % 1024).collect();
        assert!(places.len() > 600, "only {} places of 1024 are taken", places.len());
        let tags: BTreeSet<u64> = (0..1024).map(|number| hash(number) >> 57).collect();
        assert!(tags.len() > 100, "only {} tags of 128 are used", tags.len());
    }

    #[test]
    fn whatever_else_is_hashed_is_hashed_byte_by_byte() {
        let hash = |bytes: &[u8]| {
            let mut hasher = IdHasher::default();
            hasher.write(bytes);
            hasher.finish()
        };
        let mut numbers = IdHasher::default();
        numbers.write_u64(1);
        numbers.write_u64(2);
        assert_eq!(hash(&[1, 2]), numbers.finish());
        let different = [hash(&[]), hash(&[1]), hash(&[2]), hash(&[1, 2]), hash(&[2, 1])];
        assert_eq!(BTreeSet::from(different).len(), different.len());
    }

    #[test]
    fn of_two_numbers_both_count() {
        let hash = |first, second| {
            let mut hasher = IdHasher::default();
            hasher.write_u64(first);
            hasher.write_u64(second);
            hasher.finish()
        };
        for of in [|number| (1, number), |number| (number, 1)] {
            let hashes = (0..1024).map(of).map(|(first, second)| hash(first, second));
            assert_eq!(hashes.collect::<BTreeSet<u64>>().len(), 1024);
        }
    }

    #[test]
    fn a_map_by_ids_is_a_map() {
        let mut map: IdMap<ChildKey, u64> = (0..1000).map(|number| (ChildKey(number), number)).collect();
        assert_eq!(map.len(), 1000);
        assert_eq!(map.remove(&ChildKey(999)), Some(999));
        assert_eq!(map.get(&ChildKey(500)), Some(&500));
    }
}
