//! Which fences a group has, and which name a device.
//!
//! A name with its numbers is in memory only as long as there are any.

use std::hash::RandomState;
use std::mem::size_of;

use crate::engine::index::postings::{Postings, Removed};
use crate::engine::table::rounded;
use crate::engine::table::{Dictionary, Named};

/// The fences of a group.
#[derive(Clone, Debug)]
pub struct Group {
    name: Box<[u8]>,
    fences: Postings,
}

impl Group {
    /// Its name.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// How many fences it has: one at least.
    pub fn count(&self) -> u64 {
        self.fences.len()
    }

    /// Whether a fence is in it.
    pub fn contains(&self, number: u32) -> bool {
        self.fences.contains(number)
    }

    /// The numbers of its fences from one on, in order.
    pub fn from(&self, first: u32) -> Box<dyn Iterator<Item = u32> + '_> {
        match self.fences.as_slice() {
            Ok(numbers) => {
                let at = numbers.partition_point(|&number| number < first);
                Box::new(numbers[at..].iter().copied())
            }
            Err(numbers) => Box::new(numbers.range(first..)),
        }
    }
}

/// The fences that name a device, which are asked for with every fix of it: a slice in any case.
#[derive(Clone, Debug)]
pub(super) struct Naming {
    device: Box<[u8]>,
    fences: Vec<u32>,
}

impl Naming {
    pub(super) fn fences(&self) -> &[u32] {
        &self.fences
    }
}

/// Numbers under a name, at least one.
pub(super) trait Members: Named {
    fn new(name: &[u8], number: u32) -> Self;
    /// Adds a number that is not there.
    fn insert(&mut self, number: u32);
    /// Takes a number out; returns whether it was the last.
    fn remove(&mut self, number: u32) -> bool;
    /// Bytes allocated beside it.
    fn heap_bytes(&self) -> usize;
}

impl Named for Group {
    fn name(&self) -> &[u8] {
        &self.name
    }
}

impl Named for Naming {
    fn name(&self) -> &[u8] {
        &self.device
    }
}

impl Members for Group {
    fn new(name: &[u8], number: u32) -> Self {
        Self {
            name: name.into(),
            fences: Postings::One(number),
        }
    }

    fn insert(&mut self, number: u32) {
        self.fences.insert(number);
    }

    fn remove(&mut self, number: u32) -> bool {
        self.fences.remove(number) == Removed::Last
    }

    fn heap_bytes(&self) -> usize {
        rounded(self.name.len()) + self.fences.heap_bytes()
    }
}

impl Members for Naming {
    fn new(name: &[u8], number: u32) -> Self {
        Self {
            device: name.into(),
            fences: vec![number],
        }
    }

    fn insert(&mut self, number: u32) {
        let at = self.fences.partition_point(|&other| other < number);
        self.fences.insert(at, number);
    }

    fn remove(&mut self, number: u32) -> bool {
        if let Ok(at) = self.fences.binary_search(&number) {
            self.fences.remove(at);
        }
        self.fences.is_empty()
    }

    fn heap_bytes(&self) -> usize {
        rounded(self.device.len()) + rounded(self.fences.capacity() * size_of::<u32>())
    }
}

/// Members by name.
#[derive(Clone, Debug)]
pub(super) struct Roll<T>(Dictionary<T>);

impl<T> Default for Roll<T> {
    fn default() -> Self {
        Self(Dictionary::default())
    }
}

impl<T: Members> Roll<T> {
    pub(super) fn get(&self, name: &[u8], hasher: &RandomState) -> Option<&T> {
        // Mostly there is none at all, and then no hash is needed.
        if self.0.len() == 0 {
            return None;
        }
        self.0.get(self.0.find(name, hasher)?)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, members)| members)
    }

    /// Adds a number under a name.
    pub(super) fn join(&mut self, name: &[u8], number: u32, hasher: &RandomState) {
        let place = self.0.find(name, hasher);
        if let Some(members) = place.and_then(|place| self.0.get_mut(place)) {
            members.insert(number);
        } else {
            self.0.insert(T::new(name, number), hasher);
        }
    }

    /// Takes a number out from under a name.
    pub(super) fn leave(&mut self, name: &[u8], number: u32, hasher: &RandomState) {
        let Some(place) = self.0.find(name, hasher) else {
            return;
        };
        let members = self.0.get_mut(place);
        if members.is_some_and(|members| members.remove(number)) {
            self.0.remove(place, hasher);
        }
    }

    /// Bytes of all allocations. O(names).
    pub(super) fn heap_bytes(&self) -> usize {
        self.0.heap_bytes() + self.iter().map(T::heap_bytes).sum::<usize>()
    }
}
