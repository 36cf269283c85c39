//! Which value of a label each series has: the postings the other way round.
//!
//! ```text
//! pages | ids 0 .. 1023 | ids 1024 .. 2047 | ... |     a page: 1024 numbers of values, or nothing
//! ```
//!
//! With it a few series are tried one by one, where else every value would be looked at. It is kept
//! only for labels with many values, at 4 bytes a series.

use std::mem::size_of;

use super::super::table::rounded;

/// Series in a page.
const PAGE: usize = 1024;
/// What stands for a series without the label.
const NONE: u32 = u32::MAX;

/// Numbers of values by the id of the series.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    pages: Vec<Box<[u32]>>,
}

fn place(id: u32) -> (usize, usize) {
    let id = id as usize;
    (id / PAGE, id % PAGE)
}

impl Column {
    pub(super) fn set(&mut self, id: u32, value: u32) {
        let (page, at) = place(id);
        if page >= self.pages.len() {
            self.pages.resize(page + 1, Box::default());
        }
        let page = &mut self.pages[page];
        if page.is_empty() {
            *page = vec![NONE; PAGE].into();
        }
        page[at] = value;
    }

    pub(super) fn unset(&mut self, id: u32) {
        let (page, at) = place(id);
        if let Some(value) = self.pages.get_mut(page).and_then(|page| page.get_mut(at)) {
            *value = NONE;
        }
    }

    pub(super) fn get(&self, id: u32) -> Option<u32> {
        let (page, at) = place(id);
        let value = *self.pages.get(page)?.get(at)?;
        (value != NONE).then_some(value)
    }

    /// How many series have a value. O(series).
    pub(super) fn len(&self) -> usize {
        let all = self.pages.iter().flat_map(|page| page.iter());
        all.filter(|&&value| value != NONE).count()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let pages = self.pages.iter().map(|page| rounded(size_of_val(&**page)));
        rounded(self.pages.capacity() * size_of::<Box<[u32]>>()) + pages.sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_in_use_are_allocated() {
        let mut column = Column::default();
        column.set(5000, 7);
        column.set(5001, 0);
        column.unset(5001);
        column.unset(9_000_000);
        let ids = [0, 4999, 5000, 5001, 6000];
        assert_eq!(
            ids.map(|id| column.get(id)),
            [None, None, Some(7), None, None]
        );
        assert_eq!(column.len(), 1);
        assert!(column.heap_bytes() < 4096 + 200);
    }
}
