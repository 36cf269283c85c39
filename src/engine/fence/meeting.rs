//! The fences that share a point with a shape.

use super::set::FenceSet;
use crate::engine::geo::Shape;
use crate::engine::query::{Halted, Watch};

/// A part of the fences that meet a shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meeting {
    /// Numbers, in order.
    pub numbers: Vec<u32>,
    /// The number to go on at, unless all was searched.
    pub next: Option<u32>,
}

/// The first `limit` of some fences, in order, that meet a shape. Behind them it goes on at `next`.
pub(super) fn among<'s>(
    fences: impl Iterator<Item = (u32, &'s Shape)>,
    next: Option<u32>,
    (shape, limit): (&Shape, usize),
    watch: &impl Watch,
) -> Result<Meeting, Halted> {
    let effort = shape.effort_of_place();
    let mut numbers = Vec::new();
    for (number, other) in fences {
        if !watch.permits(other.effort() + effort) {
            return Err(Halted);
        }
        if other.meets(shape) {
            if numbers.len() >= limit {
                let next = Some(number);
                return Ok(Meeting { numbers, next });
            }
            numbers.push(number);
        }
    }
    Ok(Meeting { numbers, next })
}

impl FenceSet {
    /// The numbers of up to `limit` fences that share a point with a shape, from a number on, in order;
    /// of up to `looks` that may do so. A fence costs 1 and an eighth of its vertices, and the shape as
    /// much again.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub fn meeting(
        &self,
        shape: &Shape,
        first: u32,
        (limit, looks): (usize, usize),
        watch: &impl Watch,
    ) -> Result<Meeting, Halted> {
        let (numbers, next) = self.page_of(shape, first, looks);
        among(self.shapes(&numbers), next, (shape, limit), watch)
    }

    /// The numbers of up to `looks` fences that may meet a shape, and the next one.
    pub(super) fn page_of(
        &self,
        shape: &Shape,
        first: u32,
        looks: usize,
    ) -> (Vec<u32>, Option<u32>) {
        let mut numbers = self.reaching(&shape.bounds());
        numbers.drain(..numbers.partition_point(|&number| number < first));
        let next = numbers.get(looks).copied();
        numbers.truncate(looks);
        (numbers, next)
    }
}
