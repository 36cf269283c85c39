//! The fences nearest to a point.
//!
//! ```text
//! box of 250 m, 500 m, 1 km ..   until enough fences reach into it, or it is as wide as asked for
//! their distances                the last of those that count is d: no nearer one is farther off
//! box of d                       all that may be nearer
//! ```
//!
//! A copy for a search elsewhere is made with less: one point of each fence, no nearer than the fence,
//! gives a `d` that is somewhat larger.

use super::set::FenceSet;
use crate::engine::geo::{Bounds, Metric, Point, Shape};
use crate::engine::query::{Halted, Watch};

/// Half the width of the first box, in metres.
const FIRST_M: f64 = 250.0;
/// No two places are farther apart, in metres.
const FARTHEST_M: f64 = 20_040_000.0;

/// Distances with the numbers of fences, in order.
pub(super) fn distances<'s>(
    point: Point,
    fences: impl Iterator<Item = (u32, &'s Shape)>,
    watch: &impl Watch,
) -> Result<Vec<(f64, u32)>, Halted> {
    let mut found = Vec::new();
    for (number, shape) in fences {
        if !watch.permits(shape.effort()) {
            return Err(Halted);
        }
        found.push((shape.distance_m(point), number));
    }
    found.sort_unstable_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    Ok(found)
}

/// The first of them.
pub(super) fn nearest(mut found: Vec<(f64, u32)>, radius_m: f64, count: usize) -> Vec<(f64, u32)> {
    found.truncate(count);
    found.retain(|&(distance_m, _)| distance_m <= radius_m.min(FARTHEST_M));
    found
}

impl FenceSet {
    /// Distance in metres and number of up to `count` fences within `radius_m` of a point, the
    /// nearest first; those around it are at 0, and equally near ones in the order of numbers. A fence
    /// costs 1 and an eighth of its vertices.
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
        let (numbers, reach_m) = self.first_near(point, radius_m, count);
        let mut found = distances(point, self.shapes(&numbers), watch)?;
        let last = count.checked_sub(1).and_then(|last| found.get(last));
        if let Some(&(last_m, _)) = last
            && last_m > reach_m
            && reach_m < radius_m
        {
            let numbers = self.reaching(&around(point, last_m.min(radius_m)));
            found = distances(point, self.shapes(&numbers), watch)?;
        }
        Ok(nearest(found, radius_m, count))
    }

    /// The numbers of fences among which are those that [`FenceSet::near`] finds, in order.
    pub(super) fn within_reach(&self, point: Point, radius_m: f64, count: usize) -> Vec<u32> {
        let (numbers, reach_m) = self.first_near(point, radius_m, count);
        let Some(last) = count.checked_sub(1).filter(|&last| last < numbers.len()) else {
            return numbers;
        };
        let metric = Metric::new(point);
        let points = self.shapes(&numbers).map(|(_, shape)| shape.a_point());
        let mut most_m: Vec<f64> = points.map(|point| metric.distance_m(point)).collect();
        let (_, last_m, _) = most_m.select_nth_unstable_by(last, f64::total_cmp);
        // Distances of shapes are a little less exact than those of points.
        let last_m = *last_m * 1.001 + 1.0;
        if last_m <= reach_m || reach_m >= radius_m {
            return numbers;
        }
        self.reaching(&around(point, last_m.min(radius_m)))
    }

    /// The numbers of fences that reach into a box of at least so many, and half its width.
    fn first_near(&self, point: Point, radius_m: f64, count: usize) -> (Vec<u32>, f64) {
        let radius_m = radius_m.min(FARTHEST_M);
        if count == 0 || self.is_empty() || radius_m.is_nan() {
            return (Vec::new(), radius_m);
        }
        let mut reach_m = FIRST_M.min(radius_m);
        let mut numbers = self.reaching(&around(point, reach_m));
        while numbers.len() < count && reach_m < radius_m {
            reach_m = (reach_m * 2.0).min(radius_m);
            numbers = self.reaching(&around(point, reach_m));
        }
        (numbers, reach_m)
    }
}

/// A box that has all in it that is so near to a point.
fn around(point: Point, radius_m: f64) -> Bounds {
    Shape::circle(point, radius_m).map_or(Bounds::WORLD, |circle| circle.bounds())
}
