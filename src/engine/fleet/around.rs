//! The leaves that have the nearest to a place, by what is known of the leaves alone.
//!
//! ```text
//! leaf    no device of it is nearer than `least`, none farther than `most`
//! bound   the least distance within which leaves lie as a whole that have enough devices together
//! ```
//!
//! One device of a leaf is measured, so that this takes a tenth of the time of a search.

use std::collections::BinaryHeap;

use super::grid::{Entry, Grid, Inside};
use super::nearest::Ahead;
use crate::engine::geo::point;
use crate::engine::geo::{Bounds, Metric, Point};

/// Metres of a unit along a meridian at the poles, where they are longest, and a bit more: no unit
/// anywhere is longer.
const MOST_UNIT_M: f64 = 6_410_000.0 * std::f64::consts::PI / point::MAX_X as f64;

/// Distances within which devices surely lie: a heap with the farthest on top.
struct Bound {
    /// The bits of distances, which are in their order, and how many devices are within them.
    heap: BinaryHeap<(u64, usize)>,
    sure: usize,
    count: usize,
    radius_m: f64,
}

impl Bound {
    fn add(&mut self, most_m: f64, devices: usize) {
        self.heap.push((most_m.to_bits(), devices));
        self.sure += devices;
        while let Some(&(_, farthest)) = self.heap.peek()
            && self.sure - farthest >= self.count
        {
            self.heap.pop();
            self.sure -= farthest;
        }
    }

    /// No device farther than that is of use.
    fn reach_m(&self) -> f64 {
        if self.sure < self.count {
            return self.radius_m;
        }
        let farthest = self.heap.peek();
        farthest.map_or(0.0, |&(bits, _)| f64::from_bits(bits).min(self.radius_m))
    }
}

/// No two places of a cell are farther apart, in metres.
fn across_m(cell: &Bounds) -> f64 {
    let side_m = |from: i32, to: i32| (f64::from(to) - f64::from(from)) * MOST_UNIT_M;
    side_m(cell.west, cell.east) + side_m(cell.south, cell.north)
}

impl Grid {
    /// Visits the leaves that have the `count` devices nearest to a center within a radius, the nearest
    /// leaf first, and perhaps some beside.
    pub(super) fn around(
        &self,
        center: Point,
        radius_m: f64,
        count: usize,
        visit: &mut impl FnMut(&[Entry]),
    ) {
        let metric = Metric::new(center);
        let mut bound = Bound {
            heap: BinaryHeap::new(),
            sure: 0,
            count,
            radius_m,
        };
        let (node, cell) = self.root();
        let mut ahead = BinaryHeap::from([Ahead {
            least_m: 0.0,
            node,
            cell,
        }]);
        while let Some(Ahead {
            least_m,
            node,
            cell,
        }) = ahead.pop()
        {
            if least_m > bound.reach_m() {
                break;
            }
            match self.inside(node) {
                Inside::Entries([]) => {}
                Inside::Entries(entries) => {
                    visit(entries);
                    if count < usize::MAX {
                        let most_m = metric.distance_m(entries[0].point()) * 1.001;
                        bound.add(most_m + across_m(&cell.bounds()), entries.len());
                    }
                }
                Inside::Quarters(nodes) => {
                    for (quarter, node) in nodes.into_iter().enumerate() {
                        let cell = cell.quarter(quarter);
                        let least_m = metric.least_m(&cell.bounds());
                        if least_m <= bound.reach_m() && !self.is_empty(node) {
                            ahead.push(Ahead {
                                least_m,
                                node,
                                cell,
                            });
                        }
                    }
                }
            }
        }
    }
}
