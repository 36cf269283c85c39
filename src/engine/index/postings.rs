//! The series that carry one value of a label.
//!
//! ```text
//! One   id                                  no allocation: a value that is unique to a series
//! Few   -> | count | id id id ... |         up to 128 ids in order
//! Many  -> roaring bitmap                   2 bytes an id where they are rare, 1 bit where dense
//! ```
//!
//! A bitmap costs some 50 bytes for every 65,536 ids it reaches into, so spread over a million
//! series it pays from about 200 ids on; a value that nearly all series have costs one bit each.

use std::mem::{size_of, size_of_val};

use roaring::RoaringBitmap;
use triomphe::ThinArc;

use super::super::table::rounded;

/// Most ids in a slice.
const MAX_FEW: usize = 128;
/// Bitmaps with fewer ids become slices: half of the above, so that no value goes to and fro.
const MIN_MANY: u64 = 64;
/// Bytes of a container of 65,536 bits.
const BITSET_BYTES: u64 = 8192;
/// Bytes of a container's place in a bitmap.
const CONTAINER_BYTES: u64 = 40;

/// A set of ids that is never empty.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Postings {
    One(u32),
    Few(ThinArc<(), u32>),
    Many(Box<RoaringBitmap>),
}

const _: () = assert!(size_of::<Postings>() == 16, "a value's slot has 40 bytes");

/// What is left when an id has been taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum Removed {
    /// The id was not there.
    Nothing,
    /// Others are left.
    One,
    /// It was the last; the postings must be dropped.
    Last,
}

impl Postings {
    /// Adds an id that is not there yet. O(128) or the cost of a bitmap's.
    pub(in crate::engine) fn insert(&mut self, id: u32) {
        let ids = match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Few(few) => &few.slice,
            Self::Many(many) => {
                many.insert(id);
                return;
            }
        };
        let at = ids.partition_point(|&other| other < id);
        let mut grown = Vec::with_capacity(ids.len() + 1);
        grown.extend_from_slice(&ids[..at]);
        grown.push(id);
        grown.extend_from_slice(&ids[at..]);
        *self = if grown.len() > MAX_FEW {
            Self::Many(Box::new(grown.into_iter().collect()))
        } else {
            Self::Few(ThinArc::from_header_and_slice((), &grown))
        };
    }

    /// Takes an id out.
    pub(in crate::engine) fn remove(&mut self, id: u32) -> Removed {
        match self {
            Self::One(one) if *one == id => return Removed::Last,
            Self::One(_) => return Removed::Nothing,
            Self::Few(few) => {
                let Ok(at) = few.slice.binary_search(&id) else {
                    return Removed::Nothing;
                };
                let left = [&few.slice[..at], &few.slice[at + 1..]].concat();
                *self = Self::from_sorted(&left);
            }
            Self::Many(many) => {
                if !many.remove(id) {
                    return Removed::Nothing;
                }
                // Counting is a walk over the containers, so only where they are few enough.
                if many.len() < MIN_MANY {
                    let left: Vec<u32> = many.iter().collect();
                    *self = Self::from_sorted(&left);
                }
            }
        }
        Removed::One
    }

    fn from_sorted(ids: &[u32]) -> Self {
        match ids {
            [one] => Self::One(*one),
            _ => Self::Few(ThinArc::from_header_and_slice((), ids)),
        }
    }

    /// The ids, where they are no bitmap.
    pub(in crate::engine) fn as_slice(&self) -> Result<&[u32], &RoaringBitmap> {
        match self {
            Self::One(one) => Ok(std::slice::from_ref(one)),
            Self::Few(few) => Ok(&few.slice),
            Self::Many(many) => Err(many),
        }
    }

    pub(in crate::engine) fn len(&self) -> u64 {
        match self.as_slice() {
            Ok(ids) => ids.len() as u64,
            Err(many) => many.len(),
        }
    }

    pub(in crate::engine) fn contains(&self, id: u32) -> bool {
        match self.as_slice() {
            Ok(ids) => ids.binary_search(&id).is_ok(),
            Err(many) => many.contains(id),
        }
    }

    /// Whether no id is in `set`.
    pub(super) fn is_disjoint(&self, set: &RoaringBitmap) -> bool {
        match self.as_slice() {
            Ok(ids) => !ids.iter().any(|&id| set.contains(id)),
            Err(many) => many.is_disjoint(set),
        }
    }

    /// Takes out of `set` what is here.
    pub(super) fn subtract(&self, set: &mut RoaringBitmap) {
        match self.as_slice() {
            Ok(ids) => {
                for &id in ids {
                    set.remove(id);
                }
            }
            Err(many) => *set -= many,
        }
    }

    /// Bytes allocated beside it.
    pub(in crate::engine) fn heap_bytes(&self) -> usize {
        match self {
            Self::One(_) => 0,
            // Two words before the ids: the number of owners and the length.
            Self::Few(few) => rounded(16 + size_of_val(&few.slice)),
            Self::Many(many) => rounded(size_of::<RoaringBitmap>()) + bitmap_bytes(many),
        }
    }
}

/// Bytes that a bitmap has allocated, nearly: its array containers grow by doubling, and how far
/// each has grown does not show.
pub(in crate::engine) fn bitmap_bytes(bitmap: &RoaringBitmap) -> usize {
    let facts = bitmap.statistics();
    let arrays = u64::from(facts.n_array_containers);
    let mean_len = u64::from(facts.n_values_array_containers)
        .checked_div(arrays)
        .unwrap_or(0);
    let array_bytes = (mean_len.next_power_of_two() * 2).next_multiple_of(16);
    let bytes = u64::from(facts.n_containers).next_power_of_two() * CONTAINER_BYTES
        + arrays * array_bytes
        + facts.n_bytes_run_containers
        + u64::from(facts.n_bitset_containers) * BITSET_BYTES;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

/// The union of many postings: single ids are gathered and sorted once, since a bitmap takes them
/// in order several times faster than at random.
#[derive(Debug, Default)]
pub(super) struct Union {
    ids: Vec<u32>,
    bitmap: RoaringBitmap,
}

impl Union {
    /// Adds postings, or of them only what is also in `within`.
    pub(super) fn add(&mut self, postings: &Postings, within: Option<&RoaringBitmap>) {
        match (postings.as_slice(), within) {
            (Ok(ids), None) => self.ids.extend_from_slice(ids),
            (Ok(ids), Some(within)) => {
                let both = ids.iter().copied().filter(|&id| within.contains(id));
                self.ids.extend(both);
            }
            (Err(many), None) => self.bitmap |= many,
            (Err(many), Some(within)) => self.bitmap |= many & within,
        }
    }

    /// Adds one id.
    pub(super) fn push(&mut self, id: u32) {
        self.ids.push(id);
    }

    pub(super) fn finish(mut self) -> RoaringBitmap {
        self.ids.sort_unstable();
        self.bitmap.extend(self.ids);
        self.bitmap
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bitmap_of_all_series_takes_a_bit_for_each() {
        let all: RoaringBitmap = (0..1_000_000).collect();
        let some = (0..1_000_000).filter(|id| id % 100 > 0).collect();
        for bitmap in [all, some] {
            let bytes = bitmap_bytes(&bitmap);
            assert!((100_000..150_000).contains(&bytes), "{bytes}");
        }
    }

    fn ids(postings: &Postings) -> Vec<u32> {
        match postings.as_slice() {
            Ok(ids) => ids.to_vec(),
            Err(many) => many.iter().collect(),
        }
    }

    #[test]
    fn every_form_grows_and_shrinks_into_the_next() {
        let order: Vec<u32> = (0..1000).map(|at| at * 7919 % 1000).collect();
        let mut postings = Postings::One(order[0]);
        for (len, &id) in (2..).zip(&order[1..]) {
            assert!(!postings.contains(id));
            postings.insert(id);
            assert!(postings.contains(id));
            assert_eq!(postings.len(), len);
        }
        assert_eq!(ids(&postings), (0..1000).collect::<Vec<_>>());
        for (at, &id) in order[..999].iter().enumerate() {
            assert_eq!(postings.remove(id), Removed::One);
            assert_eq!(postings.remove(id), Removed::Nothing);
            assert_eq!(postings.len(), 999 - at as u64);
            let is_bitmap = postings.as_slice().is_err();
            assert!(
                is_bitmap == (postings.len() >= MIN_MANY),
                "{}",
                postings.len()
            );
        }
        assert_eq!(postings.remove(order[0]), Removed::Nothing);
        assert_eq!(postings.remove(order[999]), Removed::Last);
    }

    #[test]
    fn every_form_knows_the_operations_of_sets() {
        for len in [1, 2, 100, 500] {
            let mut postings = Postings::One(0);
            (1..len).for_each(|id| postings.insert(id * 2));
            let set: RoaringBitmap = (0..10).collect();
            let here: Vec<u32> = ids(&postings);
            let (both, rest): (Vec<u32>, Vec<u32>) = set.iter().partition(|id| here.contains(id));
            let mut left = set.clone();
            postings.subtract(&mut left);
            assert_eq!(left.iter().collect::<Vec<_>>(), rest);
            let mut union = Union::default();
            union.add(&postings, Some(&set));
            assert_eq!(union.finish().iter().collect::<Vec<_>>(), both);
            let mut union = Union::default();
            union.add(&postings, None);
            assert_eq!(union.finish().iter().collect::<Vec<_>>(), here);
            assert!(!postings.is_disjoint(&set));
            assert!(postings.is_disjoint(&RoaringBitmap::from_iter([1, 3])));
        }
    }
}
