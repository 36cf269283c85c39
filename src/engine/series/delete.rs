//! Deleting ranges, and forgetting for good what retention only hides.

use std::ops::Range;

use super::{Order, Series};
use crate::engine::codec::Columns;
use crate::engine::{TimeRange, Timestamp};

impl Series {
    /// Deletes the visible samples in `range`; returns how many there were. Blocks inside go
    /// without being decoded; at most the two at its ends are re-encoded. O(blocks).
    pub fn delete(&mut self, range: TimeRange) -> u64 {
        if range.is_empty() || self.is_empty() {
            return 0;
        }
        // Otherwise the window would move back with the newest sample, and what was hidden
        // would come to light again.
        self.forget_hidden();
        self.forget_next_close();
        let visible = self.visible();
        let mut deleted = self.delete_sealed(range);
        if let Some(open) = &self.open
            && range.from <= open.newest.time_ms
            && range.to >= open.first_ms()
        {
            let mut columns = Columns::default();
            open.read_from(0, &mut columns);
            deleted += cut_out(&mut columns, range);
            self.replace_open(&columns);
        }
        // Without any sample left, a series begins anew.
        if self
            .newest()
            .is_some_and(|newest| newest.time_ms < visible.to)
        {
            self.begin_rules_at(visible.from);
        }
        deleted as u64
    }

    fn delete_sealed(&mut self, range: TimeRange) -> usize {
        let Range { start, end } = self.sealed.inside(range);
        let mut deleted = 0;
        // From the end, so that the indexes before stay as they are.
        let mut inside = start..start;
        for index in (start..end).rev() {
            let Some(block) = self.sealed.get(index) else {
                continue;
            };
            if range.covers(block.first_ms(), block.last_ms()) {
                deleted += block.len();
                inside = if inside.is_empty() {
                    index..index + 1
                } else {
                    index..inside.end
                };
            } else {
                let mut columns = Columns::default();
                block.read(&mut columns);
                deleted += cut_out(&mut columns, range);
                let form = self.form();
                self.replace_sealed(index, &columns, form);
            }
        }
        self.sealed.remove(inside);
        deleted
    }

    /// Makes what retention hides gone for good. At most one block is re-encoded.
    pub(super) fn forget_hidden(&mut self) {
        self.expire();
        let cutoff_ms = self.visible().from;
        let Some(first) = self.parts(TimeRange::ALL, Order::Ascending).next() else {
            return;
        };
        if first.first_ms() >= cutoff_ms {
            return;
        }
        let mut columns = Columns::default();
        first.read(TimeRange::new(cutoff_ms, Timestamp::MAX), &mut columns);
        if first.sealed().is_some() {
            let form = self.form();
            self.replace_sealed(0, &columns, form);
        } else {
            self.replace_open(&columns);
        }
    }
}

/// Removes the samples in `range`; returns how many there were.
fn cut_out(columns: &mut Columns, range: TimeRange) -> usize {
    let start = columns
        .times
        .partition_point(|&time_ms| time_ms < range.from);
    let end = columns
        .times
        .partition_point(|&time_ms| time_ms <= range.to);
    columns.times.drain(start..end);
    columns.values.drain(start..end);
    end - start
}
