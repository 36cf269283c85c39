//! One label: its values, and the series of each.
//!
//! ```text
//! values    text -> | text | postings |      a value stands here once, and nowhere else
//! column    id -> value                      only where there are many values
//! present   the series that carry the label, whichever value
//! ```
//!
//! A value without series is dropped.

use std::hash::RandomState;

use roaring::RoaringBitmap;

use super::super::table::{Dictionary, Named, Text};
use super::column::Column;
use super::postings::{Postings, Removed, bitmap_bytes};

/// Values from which on there is a column; it is dropped at half of them. To look at so many takes
/// some hundred microseconds.
const MANY_VALUES: usize = 4096;
/// What finding one value by the column costs, in things looked at one after another.
const JUMP: u64 = 4;

/// A value and the series that carry it.
#[derive(Clone, Debug)]
struct Value {
    text: Text,
    postings: Postings,
}

impl Named for Value {
    fn name(&self) -> &[u8] {
        self.text.name()
    }
}

/// The values of a label.
#[derive(Clone, Debug, Default)]
pub(super) struct Label {
    values: Dictionary<Value>,
    present: RoaringBitmap,
    column: Option<Column>,
}

impl Label {
    /// Notes that series `id` carries this value; false, and nothing done, if it carries one
    /// already.
    pub(super) fn insert(&mut self, text: &[u8], id: u32, hasher: &RandomState) -> bool {
        if !self.present.insert(id) {
            return false;
        }
        let number = if let Some(number) = self.values.find(text, hasher) {
            if let Some(value) = self.values.get_mut(number) {
                value.postings.insert(id);
            }
            number
        } else {
            let value = Value {
                text: Text::new(text),
                postings: Postings::One(id),
            };
            self.values.insert(value, hasher)
        };
        match &mut self.column {
            Some(column) => column.set(id, number),
            None if self.values.len() > MANY_VALUES => self.column = Some(self.turned()),
            None => {}
        }
        true
    }

    /// The column of all values. O(series).
    fn turned(&self) -> Column {
        let mut column = Column::default();
        for (number, value) in self.values.iter() {
            match value.postings.as_slice() {
                Ok(ids) => ids.iter().for_each(|&id| column.set(id, number)),
                Err(many) => many.iter().for_each(|id| column.set(id, number)),
            }
        }
        column
    }

    /// Takes series `id` from this value; false, and nothing done, if it does not carry it.
    pub(super) fn remove(&mut self, text: &[u8], id: u32, hasher: &RandomState) -> bool {
        let number = self.values.find(text, hasher);
        number.is_some_and(|number| self.remove_from(number, id, hasher))
    }

    /// Takes series `id` from whichever value it carries. O(values), but for many values O(1).
    pub(super) fn sweep(&mut self, id: u32, hasher: &RandomState) -> bool {
        let number = match &self.column {
            Some(column) => column.get(id),
            None => self
                .values
                .iter()
                .find(|(_, value)| value.postings.contains(id))
                .map(|(number, _)| number),
        };
        number.is_some_and(|number| self.remove_from(number, id, hasher))
    }

    fn remove_from(&mut self, number: u32, id: u32, hasher: &RandomState) -> bool {
        let Some(value) = self.values.get_mut(number) else {
            return false;
        };
        let removed = value.postings.remove(id);
        if removed == Removed::Nothing {
            return false;
        }
        if removed == Removed::Last {
            self.values.remove(number, hasher);
        }
        self.present.remove(id);
        if self.values.len() < MANY_VALUES / 2 {
            self.column = None;
        } else if let Some(column) = &mut self.column {
            column.unset(id);
        }
        true
    }

    /// The series that carry the label.
    pub(super) const fn present(&self) -> &RoaringBitmap {
        &self.present
    }

    /// How many values are in use.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// The series with this value.
    pub(super) fn postings(&self, text: &[u8], hasher: &RandomState) -> Option<&Postings> {
        let value = self.values.get(self.values.find(text, hasher)?)?;
        Some(&value.postings)
    }

    /// Every value with its series, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = (&[u8], &Postings)> {
        let values = self.values.iter();
        values.map(|(_, value)| (value.text.name(), &value.postings))
    }

    /// The value of each of these series that has one; `None` where to look at `others` things
    /// one after another is the cheaper way.
    pub(super) fn values_by_id<'a>(
        &'a self,
        ids: &RoaringBitmap,
        others: u64,
    ) -> Option<impl Iterator<Item = (u32, &'a [u8])>> {
        let column = self.column.as_ref()?;
        let pair = |id| Some((id, self.values.get(column.get(id)?)?.text.name()));
        let is_cheap = ids.len() * JUMP < others;
        is_cheap.then(|| ids.iter().filter_map(pair))
    }

    /// The values that some of these series have, in no order, maybe repeated.
    pub(super) fn values_within(&self, ids: &RoaringBitmap) -> Vec<&[u8]> {
        if let Some(pairs) = self.values_by_id(ids, self.present.len()) {
            return pairs.map(|(_, value)| value).collect();
        }
        let in_use = |postings: &Postings| !postings.is_disjoint(ids);
        let values = self.values().filter(|(_, postings)| in_use(postings));
        values.map(|(value, _)| value).collect()
    }

    /// Whether what is stored twice agrees. O(series).
    pub(super) fn is_consistent(&self) -> bool {
        let posted: u64 = self.values().map(|(_, postings)| postings.len()).sum();
        let column = self.column.as_ref();
        let is_turned = |column: &Column| {
            let has_value = |id| {
                let value = column.get(id).and_then(|number| self.values.get(number));
                value.is_some_and(|value| value.postings.contains(id))
            };
            column.len() as u64 == posted && self.present.iter().all(has_value)
        };
        posted > 0 && posted == self.present.len() && column.is_none_or(is_turned)
    }

    /// Bytes allocated beside it. O(values).
    pub(super) fn heap_bytes(&self) -> usize {
        let values = self.values.iter();
        let beside: usize = values
            .map(|(_, value)| value.text.heap_bytes() + value.postings.heap_bytes())
            .sum();
        let column = self.column.as_ref().map_or(0, Column::heap_bytes);
        beside + column + bitmap_bytes(&self.present) + self.values.heap_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_carries_one_value_of_a_label() {
        let hasher = RandomState::new();
        let mut label = Label::default();
        assert!(label.insert(b"a", 1, &hasher));
        assert!(!label.insert(b"a", 1, &hasher));
        assert!(!label.insert(b"b", 1, &hasher));
        assert!(label.insert(b"b", 2, &hasher));
        assert!(!label.remove(b"a", 2, &hasher));
        assert!(!label.remove(b"c", 2, &hasher));
        assert_eq!(label.present().len(), 2);
        assert!(label.remove(b"a", 1, &hasher));
        assert!(label.postings(b"a", &hasher).is_none());
        assert!(label.sweep(2, &hasher));
        assert!(!label.sweep(2, &hasher));
        assert_eq!((label.len(), label.present().len()), (0, 0));
    }

    #[test]
    fn many_values_have_a_column_until_they_are_few() {
        let hasher = RandomState::new();
        let mut label = Label::default();
        let text = |id: u32| (id / 2).to_string().into_bytes();
        let ids = RoaringBitmap::from_iter([1, 5, 7, 90_000]);
        for id in 0..20_000 {
            assert!(label.insert(&text(id), id, &hasher));
            if id % 1000 == 0 {
                assert!(label.is_consistent());
            }
        }
        let found: Vec<(u32, &[u8])> = label.values_by_id(&ids, 10_000).unwrap().collect();
        assert_eq!(found, [(1, &b"0"[..]), (5, b"2"), (7, b"3")]);
        assert!(label.values_by_id(label.present(), 10_000).is_none());
        for id in 0..19_999 {
            assert_eq!(
                label.column.is_some(),
                label.len() >= MANY_VALUES / 2,
                "{id}"
            );
            let is_known = id % 3 == 0;
            let removed = is_known && label.remove(&text(id), id, &hasher);
            assert!(removed || label.sweep(id, &hasher));
            if id % 1000 == 0 {
                assert!(label.is_consistent());
            }
        }
        assert!(label.values_by_id(&ids, 10_000).is_none());
    }
}
