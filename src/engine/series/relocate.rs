//! Where the allocations of a series lie: active defragmentation.
//!
//! ```text
//! labels, links                    moved; links only while no snapshot shares them
//! open block                       moved: its stream or its columns
//! descriptors of sealed blocks     moved, those of a group only while no snapshot shares it
//! payloads                         moved one by one, each only while no query reads it
//! ```

use super::Series;
use super::open::{Open, Tail};
use crate::engine::relocate::{Mover, STRIDE};

impl Series {
    /// Shows allocations to a mover, from one on, until it must pause. Returns where it goes on.
    pub fn relocate(&mut self, from: u64, mover: &mut impl Mover) -> Option<u64> {
        if from == 0 {
            self.options.labels.relocate(mover);
            if let Some(open) = &mut self.open {
                open.relocate(mover);
            }
            self.relocate_links(mover);
            self.sealed.relocate(mover);
        }
        let first = usize::try_from(from).ok()?;
        for (number, payload) in (0..).zip(self.sealed.payloads_mut()).skip(first) {
            if number > from && number % u64::from(STRIDE) == 0 && mover.must_pause() {
                return Some(number);
            }
            mover.shared(payload);
        }
        None
    }
}

impl Open {
    fn relocate(&mut self, mover: &mut impl Mover) {
        match self.tail_mut() {
            Tail::Stream(encoder) => mover.vector(encoder.buffer_mut()),
            Tail::Columns(plain) => {
                mover.block(plain);
                mover.vector(&mut plain.columns.times);
                mover.vector(&mut plain.columns.values);
            }
        }
    }
}
