//! Texts with small numbers, each stored once.
//!
//! ```text
//! text -> table of numbers (5 bytes a place) -> slab of things, which hold their text
//!         1 table, or 256 by eight bits of the hash
//! ```
//!
//! A hash table grows by moving all it has, which would stop the server for a tenth of a second at a
//! million series. Many tables grow one by one.

use std::fmt::Debug;
use std::hash::{BuildHasher, RandomState};
use std::mem::size_of;
use std::ops::Index;

use hashbrown::HashTable;

use super::rounded;
use super::slab::Slab;
use crate::engine::relocate::Mover;

/// Tables where there are many things.
const TABLES: usize = 256;
/// Things from which on there are many; it is one table again at an eighth of them.
const MANY: usize = 8192;

/// A thing that is found by a text it holds.
pub(in crate::engine) trait Named {
    fn name(&self) -> &[u8];
}

/// Things by number and by text. The hasher has random keys, since clients choose the texts; it is
/// the owner's, and the same in every call.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Dictionary<T> {
    /// None, 1 or `TABLES`.
    tables: Vec<HashTable<u32>>,
    things: Slab<T>,
    len: usize,
}

impl<T> Default for Dictionary<T> {
    fn default() -> Self {
        Self {
            tables: Vec::new(),
            things: Slab::default(),
            len: 0,
        }
    }
}

/// The place of the table for a hash, by bits that the table itself does not go by.
fn place(tables: usize, hash: u64) -> usize {
    (hash >> 40) as usize % tables.max(1)
}

impl<T: Named> Dictionary<T> {
    /// How many there are.
    pub(in crate::engine) const fn len(&self) -> usize {
        self.len
    }

    /// The number of the thing with this name.
    pub(in crate::engine) fn find(&self, name: &[u8], hasher: &RandomState) -> Option<u32> {
        let hash = hasher.hash_one(name);
        let table = self.tables.get(place(self.tables.len(), hash))?;
        let is_it = |&number: &u32| self.things[number].name() == name;
        table.find(hash, is_it).copied()
    }

    /// Adds a thing whose name no other has. O(1), or O(1/256 of the things) where a table grows.
    pub(in crate::engine) fn insert(&mut self, thing: T, hasher: &RandomState) -> u32 {
        let number = self.things.insert(thing);
        self.len += 1;
        if self.tables.is_empty() {
            self.tables.push(HashTable::new());
        }
        if self.len > MANY && self.tables.len() == 1 {
            self.spread(TABLES, hasher);
        } else {
            self.link(number, hasher);
        }
        number
    }

    /// Takes a thing out.
    pub(in crate::engine) fn remove(&mut self, number: u32, hasher: &RandomState) -> Option<T> {
        self.get(number)?;
        self.unlink(number, hasher);
        let thing = self.things.remove(number);
        self.len -= 1;
        if self.len < MANY / 8 && self.tables.len() > 1 {
            self.spread(1, hasher);
        }
        thing
    }

    /// Puts another thing in the place of one, under its number; no other may have its name.
    pub(in crate::engine) fn replace(&mut self, number: u32, thing: T, hasher: &RandomState) {
        self.unlink(number, hasher);
        if let Some(place) = self.things.get_mut(number) {
            *place = thing;
        }
        self.link(number, hasher);
    }

    /// Enters all things into so many tables.
    fn spread(&mut self, tables: usize, hasher: &RandomState) {
        self.tables = vec![HashTable::new(); tables];
        let numbers: Vec<u32> = self.things.iter().map(|(number, _)| number).collect();
        for number in numbers {
            self.link(number, hasher);
        }
    }

    fn link(&mut self, number: u32, hasher: &RandomState) {
        let hash_of = |&number: &u32| hasher.hash_one(self.things[number].name());
        let hash = hash_of(&number);
        let at = place(self.tables.len(), hash);
        self.tables[at].insert_unique(hash, number, hash_of);
    }

    fn unlink(&mut self, number: u32, hasher: &RandomState) {
        let hash_of = |&number: &u32| hasher.hash_one(self.things[number].name());
        let hash = hash_of(&number);
        let at = place(self.tables.len(), hash);
        let table = &mut self.tables[at];
        if let Ok(entry) = table.find_entry(hash, |&other| other == number) {
            entry.remove();
        }
        // Half a table stays for what comes next; eight times too much does not.
        if table.capacity() > 64 && table.len() < table.capacity() / 8 {
            table.shrink_to(table.len() * 2, hash_of);
        }
    }

    pub(in crate::engine) fn get(&self, number: u32) -> Option<&T> {
        self.things.get(number)
    }

    pub(in crate::engine) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        self.things.get_mut(number)
    }

    /// Shows allocations to a mover, as [`Slab::relocate`].
    pub(in crate::engine) fn relocate(&mut self, number: u32, mover: &mut impl Mover) {
        if number == 0 {
            mover.vector(&mut self.tables);
        }
        self.things.relocate(number, mover);
    }

    /// Every thing with its number, in the order of numbers.
    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.things.iter()
    }

    /// The same from a number on.
    pub(in crate::engine) fn iter_from(&self, first: u32) -> impl Iterator<Item = (u32, &T)> {
        self.things.iter_from(first)
    }

    /// A number above all that are in use.
    pub(in crate::engine) fn end(&self) -> u32 {
        self.things.end()
    }

    /// Bytes of its own allocations.
    pub(in crate::engine) fn heap_bytes(&self) -> usize {
        let tables = self.tables.iter();
        let tables: usize = tables.map(|table| rounded(table.allocation_size())).sum();
        let places = rounded(self.tables.capacity() * size_of::<HashTable<u32>>());
        tables + places + self.things.heap_bytes()
    }
}

impl<T> Index<u32> for Dictionary<T> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        &self.things[number]
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Range;

    use super::super::text::Text;
    use super::*;

    #[test]
    fn things_are_found_by_name_until_they_are_removed() {
        const THINGS: u32 = 20_000;
        let hasher = RandomState::new();
        let name = |number: u32| number.to_string().into_bytes();
        let mut dictionary = Dictionary::default();
        assert_eq!(dictionary.find(b"0", &hasher), None);
        for number in 0..THINGS {
            let thing = Text::new(&name(number));
            assert_eq!(dictionary.insert(thing, &hasher), number);
        }
        assert_eq!(dictionary.tables.len(), TABLES);
        dictionary.replace(5, Text::new(b"five"), &hasher);
        assert_eq!(dictionary.find(b"five", &hasher), Some(5));
        assert_eq!(dictionary.find(b"5", &hasher), None);
        let find_all = |dictionary: &Dictionary<Text>, numbers: Range<u32>| {
            for number in numbers {
                assert_eq!(dictionary.find(&name(number), &hasher), Some(number));
            }
        };
        find_all(&dictionary, 6..THINGS);
        let full = dictionary.heap_bytes();
        for number in 10..THINGS {
            dictionary.remove(number, &hasher);
            if number == THINGS - 2000 {
                find_all(&dictionary, number + 1..THINGS);
            }
        }
        assert_eq!(dictionary.find(&name(10), &hasher), None);
        find_all(&dictionary, 6..10);
        assert_eq!((dictionary.len(), dictionary.tables.len()), (10, 1));
        assert!(dictionary.tables[0].capacity() < 500, "the table shrinks");
        assert!(dictionary.heap_bytes() < full);
    }
}
