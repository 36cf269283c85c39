//! The index of labels: which series of a database have which labels.
//!
//! ```text
//!                  keys                          labels, by name
//! key of a series -> | id | key | count |   name -> values -> | value | postings | -> ids
//!                                                -> present: ids with any value of it
//!                                                -> column: id -> value, for many values
//! all: ids
//! ```
//!
//! A series is a number, its [`Id`]; keys and the values of a label are stored once. A million
//! series with five labels take 109 bytes each, keys of 16 bytes included: 35 for the key and its
//! place in a hash table, 55 for a value that no other series has, 12 for one that 20 have, and 1
//! to 4 for values that many have. `cargo bench --bench index` shows it.
//!
//! **Which labels a series has** is not stored again, since the series has them: who removes a
//! series says which labels they were. A count of labels tells when that was wrong: if fewer
//! were found than there are, the values of the labels are searched for the rest. So labels that
//! do not match cost time and never leave an id behind; [`Index::check`] tells when something did.
//!
//! Two labels of one name cannot be given by a client. Where stored bytes have them the first
//! counts, as in [`Labels::get`].

mod check;
mod column;
mod glob;
mod label;
pub(in crate::engine) mod postings;
mod regex;
mod select;
mod selector;
mod set;

use std::collections::BTreeMap;
use std::hash::RandomState;
use std::mem::size_of;

use roaring::RoaringBitmap;

use super::labels::Labels;
use super::table::{Dictionary, Named, Text, rounded};
use label::Label;
use postings::bitmap_bytes;

pub use check::Difference;
pub use glob::{Glob, MAX_GLOB_BYTES};
pub use regex::{MAX_REGEX_BYTES, Regex};
pub use selector::{Comparison, Limits, Matcher, Predicate, Selector, Values, number};
pub use set::{Id, IdSet};

/// The label index of one database.
#[derive(Clone, Debug, Default)]
pub struct Index {
    keys: Dictionary<Text>,
    /// By id: how many postings it is in.
    counts: Vec<u8>,
    all: RoaringBitmap,
    labels: BTreeMap<Box<[u8]>, Label>,
    hasher: RandomState,
}

impl Index {
    /// An empty index, whose hash tables have random keys of their own.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The series at `key`. O(1).
    pub fn id(&self, key: &[u8]) -> Option<Id> {
        self.keys.find(key, &self.hasher)
    }

    /// The key of a series. O(1).
    pub fn key(&self, id: Id) -> Option<&[u8]> {
        self.keys.get(id).map(Text::name)
    }

    /// Adds the series at `key`. O(labels).
    ///
    /// If there is one already, it takes these labels; unless they are the ones it has, those are
    /// searched for among all values. [`Index::relabel`] is the way where they are known.
    pub fn insert(&mut self, key: &[u8], labels: &Labels) -> Id {
        if let Some(id) = self.id(key) {
            if !self.has_exactly(id, labels) {
                self.detach(id, &Labels::default());
                self.attach(id, labels);
            }
            return id;
        }
        let id = self.keys.insert(Text::new(key), &self.hasher);
        self.all.insert(id);
        self.attach(id, labels);
        id
    }

    /// Removes the series at `key`, which has these labels; returns whether there was one.
    /// O(labels), or O(values of the labels) where others are given than it has.
    pub fn remove(&mut self, key: &[u8], labels: &Labels) -> bool {
        let Some(id) = self.id(key) else {
            return false;
        };
        self.detach(id, labels);
        self.all.remove(id);
        self.keys.remove(id, &self.hasher);
        if self.is_empty() {
            self.clear();
        }
        true
    }

    /// Gives the series at `key` another key; returns whether there was one. O(1).
    ///
    /// A series that has the new key already is removed; best by the caller before, since its
    /// labels are not known here and are searched for.
    pub fn rename(&mut self, key: &[u8], new_key: &[u8]) -> bool {
        let Some(id) = self.id(key) else {
            return false;
        };
        if key != new_key {
            self.remove(new_key, &Labels::default());
            let hasher = &self.hasher;
            self.keys.replace(id, Text::new(new_key), hasher);
        }
        true
    }

    /// Gives the series at `key`, which has the labels `old`, others; returns whether there is
    /// one. Costs as in [`Index::remove`].
    pub fn relabel(&mut self, key: &[u8], old: &Labels, new: &Labels) -> bool {
        let Some(id) = self.id(key) else {
            return false;
        };
        self.detach(id, old);
        self.attach(id, new);
        true
    }

    /// Removes all, and gives the memory back.
    pub fn clear(&mut self) {
        *self = Self {
            hasher: self.hasher.clone(),
            ..Self::default()
        };
    }

    /// Every series with its key, in the order of numbers.
    pub fn iter(&self) -> impl Iterator<Item = (Id, &[u8])> {
        self.keys.iter().map(|(id, key)| (id, key.name()))
    }

    /// Keys and numbers of series, in the order of keys. O(n log n).
    pub fn sorted_keys(&self, ids: &IdSet) -> Vec<(&[u8], Id)> {
        let with_key = |id| Some((self.key(id)?, id));
        let mut keys: Vec<_> = ids.iter().filter_map(with_key).collect();
        keys.sort_unstable();
        keys
    }

    /// The names of labels that are in use, or are by one of these series, in order.
    /// O(labels), and for each as many bitmap containers as `within` has.
    pub fn names(&self, within: Option<&IdSet>) -> Vec<&[u8]> {
        let in_use = |label: &Label| within.is_none_or(|ids| !ids.0.is_disjoint(label.present()));
        let labels = self.labels.iter().filter(|(_, label)| in_use(label));
        labels.map(|(name, _)| &**name).collect()
    }

    /// The values of a label that are in use, or are by one of these series, in order.
    /// O(n log n) for n values in use.
    pub fn values_of(&self, name: &[u8], within: Option<&IdSet>) -> Vec<&[u8]> {
        let Some(label) = self.labels.get(name) else {
            return Vec::new();
        };
        let mut values: Vec<&[u8]> = match within {
            None => label.values().map(|(value, _)| value).collect(),
            Some(ids) => label.values_within(&ids.0),
        };
        values.sort_unstable();
        values.dedup();
        values
    }

    /// Bytes allocated, as an allocator with classes of 16 bytes gives them; nearly, since bitmaps
    /// do not tell what they hold in reserve. O(series and values): a walk over all.
    pub fn heap_bytes(&self) -> usize {
        /// Places in a node of the tree.
        const PLACES: usize = 11;
        /// How many of them are taken, on average.
        const TAKEN: usize = 8;
        let node = rounded(PLACES * (size_of::<Box<[u8]>>() + size_of::<Label>()) + 16);
        let keys: usize = self.keys.iter().map(|(_, key)| key.heap_bytes()).sum();
        let labels = self.labels.iter();
        let labels: usize = labels
            .map(|(name, label)| rounded(name.len()) + label.heap_bytes())
            .sum();
        keys + labels
            + self.keys.heap_bytes()
            + rounded(self.counts.capacity())
            + bitmap_bytes(&self.all)
            + self.labels.len().div_ceil(TAKEN) * node
    }

    /// Enters a series that is in no postings into those of its labels.
    fn attach(&mut self, id: Id, labels: &Labels) {
        let mut count = 0;
        for (name, value) in labels.iter() {
            if !self.labels.contains_key(name) {
                self.labels.insert(name.into(), Label::default());
            }
            if let Some(label) = self.labels.get_mut(name) {
                count += u8::from(label.insert(value, id, &self.hasher));
            }
        }
        let at = id as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = count;
    }

    /// Takes a series out of the postings of its labels, and of all others it is in.
    fn detach(&mut self, id: Id, labels: &Labels) {
        let hasher = &self.hasher;
        let mut left = self.counts[id as usize];
        for (name, value) in labels.iter() {
            let Some(label) = self.labels.get_mut(name) else {
                continue;
            };
            left -= u8::from(label.remove(value, id, hasher));
            if label.len() == 0 {
                self.labels.remove(name);
            }
        }
        if left > 0 {
            self.labels.retain(|_, label| {
                if label.present().contains(id) {
                    label.sweep(id, hasher);
                }
                label.len() > 0
            });
        }
        self.counts[id as usize] = 0;
    }

    /// Whether a series is in the postings of these labels, and in no others.
    fn has_exactly(&self, id: Id, labels: &Labels) -> bool {
        self.first_missing(id, labels).is_none()
            && usize::from(self.counts[id as usize]) == distinct(labels).count()
    }

    /// The name of the first label that the postings of a series lack.
    fn first_missing<'a>(&self, id: Id, labels: &'a Labels) -> Option<&'a [u8]> {
        let is_there = |name: &[u8], value: &[u8]| {
            let label = self.labels.get(name)?;
            let postings = label.postings(value, &self.hasher)?;
            Some(postings.contains(id) && label.present().contains(id))
        };
        let mut labels = distinct(labels);
        let missing = labels.find(|&(name, value)| is_there(name, value) != Some(true));
        missing.map(|(name, _)| name)
    }
}

/// Labels with the first of each name.
fn distinct(labels: &Labels) -> impl Iterator<Item = (&[u8], &[u8])> {
    let all = labels.iter().enumerate();
    let is_first = |at: usize, name| labels.iter().take(at).all(|(other, _)| other != name);
    all.filter(move |&(at, (name, _))| is_first(at, name))
        .map(|(_, pair)| pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        let bytes = pairs.iter();
        Labels::new(bytes.map(|(name, value)| (name.as_bytes(), value.as_bytes()))).unwrap()
    }

    #[test]
    fn wrong_labels_leave_nothing_behind() {
        let right = labels(&[("a", "1"), ("b", "2")]);
        let others = [
            labels(&[]),
            labels(&[("a", "2"), ("b", "1")]),
            labels(&[("a", "1")]),
            labels(&[("c", "1"), ("b", "2"), ("b", "2"), ("a", "3")]),
        ];
        for wrong in &others {
            let mut index = Index::new();
            index.insert(b"stays", &others[1]);
            index.insert(b"goes", &right);
            assert!(index.remove(b"goes", wrong));
            assert_eq!(index.check([(&b"stays"[..], &others[1])]), Ok(()));
            index.insert(b"changes", &right);
            assert!(index.relabel(b"changes", wrong, &others[3]));
            let series = [(&b"stays"[..], &others[1]), (b"changes", &others[3])];
            assert_eq!(index.check(series), Ok(()));
        }
    }

    #[test]
    fn a_series_keeps_its_number_until_it_is_removed() {
        let (one, two) = (labels(&[("a", "1")]), labels(&[("a", "2")]));
        let mut index = Index::new();
        let id = index.insert(b"k", &one);
        assert_eq!(index.insert(b"k", &one), id);
        assert_eq!(index.insert(b"k", &two), id);
        let other = index.insert(b"l", &one);
        assert!(index.rename(b"k", b"l"));
        assert!(index.rename(b"l", b"l"));
        assert_eq!((index.id(b"l"), index.id(b"k")), (Some(id), None));
        assert_eq!((index.key(id), index.key(other)), (Some(&b"l"[..]), None));
        assert_eq!(index.check([(&b"l"[..], &two)]), Ok(()));
        assert_eq!(index.insert(b"m", &labels(&[])), other);
        assert!(!index.rename(b"k", b"m"));
        assert!(!index.remove(b"k", &one));
        assert!(!index.relabel(b"k", &one, &two));
        assert_eq!(
            index.iter().collect::<Vec<_>>(),
            [(id, &b"l"[..]), (other, b"m")]
        );
        index.clear();
        assert_eq!(
            (index.len(), index.is_empty(), index.id(b"m")),
            (0, true, None)
        );
    }
}
