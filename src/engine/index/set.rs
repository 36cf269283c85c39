//! A set of series, as a selection returns it.

use roaring::RoaringBitmap;

/// The number of a series within its index. It stays the same as long as the series is in the
/// index, also when the key is renamed; then another series gets it.
pub type Id = u32;

/// Series of one index, in the order of their numbers. It means nothing once a series has been
/// removed from the index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdSet(pub(super) RoaringBitmap);

impl IdSet {
    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this one is there. O(log n).
    pub fn contains(&self, id: Id) -> bool {
        self.0.contains(id)
    }

    /// Takes one out, which somebody may not read, say. Returns whether it was there.
    pub fn remove(&mut self, id: Id) -> bool {
        self.0.remove(id)
    }

    /// Each, in the order of numbers, which tells nothing of the keys.
    pub fn iter(&self) -> impl Iterator<Item = Id> {
        self.0.iter()
    }
}
