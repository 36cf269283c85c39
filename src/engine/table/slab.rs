//! Things with small numbers: a thing keeps its number until it is removed, then another gets it.
//!
//! ```text
//! pages  | 0 .. 1023 | 1024 .. 2047 | ... |   the first grows by doubling, the others come whole
//! free   | numbers of the gaps |
//! ```
//!
//! Pages, because one growing vector would be up to half empty, and would be copied as a whole.

use std::mem::size_of;
use std::ops::Index;

use super::rounded;
use crate::engine::relocate::Mover;

/// Things in a page.
const PAGE: usize = 1024;

/// A table of `T` by number.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Slab<T> {
    pages: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            free: Vec::new(),
        }
    }
}

fn place(number: u32) -> (usize, usize) {
    let number = number as usize;
    (number / PAGE, number % PAGE)
}

impl<T> Slab<T> {
    /// Stores a thing and numbers it. O(1).
    pub(in crate::engine) fn insert(&mut self, thing: T) -> u32 {
        if let Some(number) = self.free.pop() {
            let (page, at) = place(number);
            self.pages[page][at] = Some(thing);
            return number;
        }
        if self.pages.last().is_none_or(|page| page.len() == PAGE) {
            let first = if self.pages.is_empty() { 1 } else { PAGE };
            self.pages.push(Vec::with_capacity(first));
        }
        let whole = (self.pages.len() - 1) * PAGE;
        let page = &mut self.pages[whole / PAGE];
        let number = u32::try_from(whole + page.len()).expect("BUG: more than 2^32 entries");
        page.push(Some(thing));
        number
    }

    /// Takes a thing out; its number is free. O(1).
    pub(in crate::engine) fn remove(&mut self, number: u32) -> Option<T> {
        let (page, at) = place(number);
        let thing = self.pages.get_mut(page)?.get_mut(at)?.take()?;
        self.free.push(number);
        Some(thing)
    }

    pub(in crate::engine) fn get(&self, number: u32) -> Option<&T> {
        let (page, at) = place(number);
        self.pages.get(page)?.get(at)?.as_ref()
    }

    /// A number above all that are in use.
    pub(in crate::engine) fn end(&self) -> u32 {
        let places = self.pages.len() * PAGE;
        u32::try_from(places).unwrap_or(u32::MAX)
    }

    pub(in crate::engine) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let (page, at) = place(number);
        self.pages.get_mut(page)?.get_mut(at)?.as_mut()
    }

    /// Shows allocations to a mover: the page that begins with a number, where one does, and with number 0
    /// all that is no page.
    pub(in crate::engine) fn relocate(&mut self, number: u32, mover: &mut impl Mover) {
        if number == 0 {
            mover.vector(&mut self.pages);
            mover.vector(&mut self.free);
        }
        let (page, at) = place(number);
        if at == 0
            && let Some(page) = self.pages.get_mut(page)
        {
            mover.vector(page);
        }
    }

    /// Every thing with its number, in the order of numbers.
    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.iter_from(0)
    }

    /// Those with this number or a greater one. O(1) to begin.
    pub(in crate::engine) fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, &T)> {
        let (page, at) = place(from);
        let pages = self.pages.get(page..).unwrap_or_default();
        let all = pages.iter().flatten().skip(at);
        // In this order, as the number behind the last thing may be none.
        all.zip(from..)
            .filter_map(|(thing, number)| Some((number, thing.as_ref()?)))
    }

    /// Bytes of its own allocations.
    pub(in crate::engine) fn heap_bytes(&self) -> usize {
        let pages: usize = self
            .pages
            .iter()
            .map(|page| rounded(page.capacity() * size_of::<Option<T>>()))
            .sum();
        pages
            + rounded(self.pages.capacity() * size_of::<Vec<Option<T>>>())
            + rounded(self.free.capacity() * size_of::<u32>())
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    fn index(&self, number: u32) -> &T {
        self.get(number).expect("BUG: a number nobody has")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_kept_and_used_again() {
        let mut slab = Slab::default();
        for number in 0..5000u32 {
            assert_eq!(slab.insert(number), number);
        }
        slab.remove(17);
        slab.remove(4000);
        assert_eq!(slab.get(17), None);
        assert_eq!(slab.get(5000), None);
        assert_eq!(slab.iter().count(), 4998);
        for first in [0, 1, 16, 17, 1023, 1024, 3999, 4999, 5000, 9000] {
            let rest = slab.iter().filter(|(number, _)| *number >= first);
            assert!(slab.iter_from(first).eq(rest));
        }
        let again = [slab.insert(1), slab.insert(2), slab.insert(3)];
        assert_eq!(again, [4000, 17, 5000]);
        assert_eq!(slab[4999], 4999);
    }
}
