//! Some fences as they are now, for a search that runs elsewhere later.
//!
//! Ids and vertices are shared, so that a copy takes 56 bytes a fence, and the time of some loads.

use super::meeting::{self, Meeting};
use super::near;
use super::set::{Fence, FenceId, FenceSet, SIFTED};
use crate::engine::geo::{Point, Shape};
use crate::engine::query::{Halted, Watch};

/// Copies of fences that a search looks at.
#[derive(Clone, Debug, Default)]
pub struct Candidates {
    numbers: Vec<u32>,
    /// Of each number.
    fences: Vec<(FenceId, Shape)>,
    /// The first number that was left for the next page.
    next: Option<u32>,
}

impl Candidates {
    fn new(set: &FenceSet, numbers: Vec<u32>) -> Self {
        let mut fences = Vec::with_capacity(numbers.len());
        let copied = |fence: &Fence| (fence.id.clone(), fence.shape.clone());
        for some in numbers.chunks(SIFTED) {
            set.bring_near(some);
            let some = some.iter().filter_map(|&number| set.fence(number));
            fences.extend(some.map(copied));
        }
        Self {
            numbers,
            fences,
            next: None,
        }
    }

    /// How many fences were copied.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The id of one of them.
    pub fn id(&self, number: u32) -> Option<&FenceId> {
        let at = self.numbers.binary_search(&number).ok()?;
        self.fences.get(at).map(|(id, _)| id)
    }

    fn shapes(&self) -> impl Iterator<Item = (u32, &Shape)> {
        let shapes = self.fences.iter().map(|(_, shape)| shape);
        self.numbers.iter().copied().zip(shapes)
    }

    /// As [`FenceSet::meeting`], of these.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub fn meeting(
        &self,
        shape: &Shape,
        limit: usize,
        watch: &impl Watch,
    ) -> Result<Meeting, Halted> {
        meeting::among(self.shapes(), self.next, (shape, limit), watch)
    }

    /// As [`FenceSet::near`], of these.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub fn near(
        &self,
        point: Point,
        radius_m: f64,
        count: usize,
        watch: &impl Watch,
    ) -> Result<Vec<(f64, u32)>, Halted> {
        let found = near::distances(point, self.shapes(), watch)?;
        Ok(near::nearest(found, radius_m, count))
    }
}

impl FenceSet {
    /// Copies the fences that [`FenceSet::meeting`] may have to look at.
    pub fn candidates_meeting(&self, shape: &Shape, first: u32, looks: usize) -> Candidates {
        let (numbers, next) = self.page_of(shape, first, looks);
        Candidates {
            next,
            ..Candidates::new(self, numbers)
        }
    }

    /// Copies the fences that [`FenceSet::near`] may have to look at.
    pub fn candidates_near(&self, point: Point, radius_m: f64, count: usize) -> Candidates {
        Candidates::new(self, self.within_reach(point, radius_m, count))
    }
}
