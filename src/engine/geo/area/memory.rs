//! The allocations of an area: what they take, and how they move.

use triomphe::Arc;

use super::super::stripes::Stripes;
use super::{Area, Details, Part, VERTICES_HEAD};
use crate::engine::relocate::Mover;

impl Area {
    /// Shows its allocations to a mover.
    pub(in crate::engine::geo) fn relocate(&mut self, mover: &mut impl Mover) {
        mover.shared(&mut self.vertices);
        let Some(details) = &mut self.details else {
            return;
        };
        mover.counted(details);
        let Some(details) = Arc::get_mut(details) else {
            return;
        };
        mover.slice(&mut details.parts);
        for part in &mut details.parts {
            mover.slice(&mut part.rings);
            if let Some(stripes) = &mut part.stripes {
                stripes.relocate(mover);
            }
        }
    }

    /// Bytes of its own allocations.
    pub fn heap_bytes(&self) -> usize {
        let details = self.details.as_ref().map_or(0, |details| {
            let parts: usize = details.parts.iter().map(Part::heap_bytes).sum();
            8 + size_of::<Details>() + parts
        });
        VERTICES_HEAD + size_of_val(&self.vertices.slice) + details
    }
}

impl Part {
    fn heap_bytes(&self) -> usize {
        let stripes = self.stripes.as_ref().map_or(0, Stripes::heap_bytes);
        size_of::<Self>() + size_of_val(&*self.rings) + stripes
    }
}
