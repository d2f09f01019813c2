//! Hash maps by ids that count up.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A hash map by [`ChildKey`](crate::ChildKey), [`Incarnation`](crate::Incarnation) or
/// [`RequestId`](crate::RequestId).
///
/// The hash is one multiplication (Fibonacci hashing) instead of std's keyed SipHash. That is safe because supervisors
/// and drivers assign these ids in sequence: a peer cannot choose ids that collide. SipHash costs more than all other
/// work per id.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// The hasher of [`IdMap`]: spreads one number over all bits (Fibonacci hashing).
#[derive(Clone, Copy, Debug, Default)]
pub struct IdHasher(u64);

/// 2^64 divided by the golden ratio, rounded to an odd number.
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
        // hashbrown takes the bucket from the lowest bits; a product is spread best in its highest bits.
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
    fn consecutive_ids_spread_over_buckets_and_tags() {
        let hasher = BuildHasherDefault::<IdHasher>::default();
        let hash = |number| hasher.hash_one(ChildKey(number));
        let buckets: BTreeSet<u64> = (0..1024).map(|number| hash(number) % 1024).collect();
        assert!(buckets.len() > 600, "{} of 1024 buckets are used", buckets.len());
        let tags: BTreeSet<u64> = (0..1024).map(|number| hash(number) >> 57).collect();
        assert!(tags.len() > 100, "{} of 128 tags are used", tags.len());
    }

    #[test]
    fn bytes_are_hashed_one_by_one() {
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
    fn both_numbers_of_a_pair_change_the_hash() {
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
    fn id_map_inserts_finds_and_removes() {
        let mut map: IdMap<ChildKey, u64> = (0..1000).map(|number| (ChildKey(number), number)).collect();
        assert_eq!(map.len(), 1000);
        assert_eq!(map.remove(&ChildKey(999)), Some(999));
        assert_eq!(map.get(&ChildKey(500)), Some(&500));
    }
}
