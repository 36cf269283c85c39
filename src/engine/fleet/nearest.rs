//! The devices nearest to a place, in the order of true distance.
//!
//! ```text
//! radius   from the crowd of the leaf at the place, so that enough should lie within
//! round    all leaves that a box around the disc meets; a device is measured only where a lower
//!          bound of its distance is less than the worst of the best so far
//! again    with a larger radius, until enough lie within it or the limit is reached
//! ```
//!
//! All within the radius are in the box, so what was found is right: the box and the bounds come from
//! the least radius of curvature there is. A round asks cells for no distances, only for whole numbers,
//! which is faster where devices are near: 2.3 us for the nearest 10 of a million vehicles.
//!
//! Where they are far, and at the poles, the cells are looked into one by one, the nearest first, by
//! lower bounds that hold on all of the earth.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::f64::consts::PI;
use std::ops::ControlFlow;

use super::cell::{Cell, Path};
use super::grid::{Entry, Grid, Inside, Node};
use super::window::Window;
use crate::engine::geo::{Bounds, Circle, Metric, Point, point};
use crate::engine::query::{Halted, Watch};

/// Radius up to which the plane gives lower bounds, in metres.
const PLANE_M: f64 = 90_000.0;
/// The least radius to begin with.
const LEAST_M: f64 = 1.0;
/// A share by which the lower bounds of the plane are lowered further.
const SLACK: f64 = 1e-3;
/// Radians of a unit.
const RADIANS: f64 = PI / point::MAX_X as f64;
/// Metres of a unit with the least radius of curvature there is: along the meridian, at the equator.
const LEAST_UNIT_M: f64 = 6_335_439.0 * RADIANS;

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) center: Point,
    /// Greatest distance; may be infinite.
    pub(super) radius_m: f64,
    pub(super) count: usize,
    /// What a look at an entry costs.
    pub(super) effort: usize,
}

/// The nearest so far: a heap with the worst on top. Distances are not negative, so the order of their
/// bits is theirs.
pub(super) struct Best {
    heap: BinaryHeap<(u64, u32)>,
    count: usize,
    radius_m: f64,
    /// None where the distances may be large.
    ruler: Option<Ruler>,
    metric: Metric,
}

impl Best {
    pub(super) fn new(center: Point, radius_m: f64, count: usize) -> Self {
        Self {
            heap: BinaryHeap::with_capacity(count.min(1024)),
            count,
            radius_m,
            ruler: Ruler::new(center, radius_m),
            metric: Metric::new(center),
        }
    }

    /// Takes those of some that are nearer than the worst, and that `accept` takes.
    pub(super) fn offer(&mut self, entries: &[Entry], accept: &mut impl FnMut(Entry) -> bool) {
        let mut reach_m = self.reach_m();
        for &entry in entries {
            let point = entry.point();
            let is_far = self.ruler.is_none();
            let is_beyond = match &self.ruler {
                Some(ruler) => ruler.is_beyond(point, reach_m),
                None => self.metric.least_m(&at(point)) > reach_m,
            };
            // A geodesic costs more than a look at the device, a short distance less.
            if is_beyond || (is_far && !accept(entry)) {
                continue;
            }
            let distance_m = self.metric.distance_m(point);
            if self.takes(distance_m, entry.number) && (is_far || accept(entry)) {
                self.push(distance_m, entry.number);
                reach_m = self.reach_m();
            }
        }
    }

    pub(super) fn into_sorted(self) -> Vec<(f64, u32)> {
        let sorted = self.heap.into_sorted_vec().into_iter();
        sorted
            .map(|(bits, number)| (f64::from_bits(bits), number))
            .collect()
    }

    /// A distance at which a device is of no use.
    #[inline]
    fn reach_m(&self) -> f64 {
        if self.heap.len() < self.count {
            return self.radius_m;
        }
        let worst = self.heap.peek();
        worst.map_or(0.0, |&(bits, _)| f64::from_bits(bits))
    }

    #[inline]
    fn takes(&self, distance_m: f64, number: u32) -> bool {
        if self.heap.len() < self.count {
            return distance_m <= self.radius_m;
        }
        let worst = self.heap.peek();
        worst.is_some_and(|&worst| (distance_m.to_bits(), number) < worst)
    }

    fn push(&mut self, distance_m: f64, number: u32) {
        if self.heap.len() == self.count {
            self.heap.pop();
        }
        self.heap.push((distance_m.to_bits(), number));
    }
}

/// Lower bounds of distances from one place: those of a plane that shrinks all.
#[derive(Debug)]
struct Ruler {
    center: Point,
    /// Squared metres a unit along the parallel and the meridian.
    x: f64,
    y: f64,
}

impl Ruler {
    /// None where the plane errs too much.
    fn new(center: Point, reach_m: f64) -> Option<Self> {
        let reach = reach_m / LEAST_UNIT_M * RADIANS;
        let poleward = (f64::from(center.y) * RADIANS).abs() + reach;
        // Within these the plane errs by less than the slack.
        let is_plane = reach_m <= PLANE_M && poleward < 1.5 && reach * poleward.tan() < 0.05;
        is_plane.then(|| {
            let unit_m = LEAST_UNIT_M * (1.0 - SLACK);
            let y = unit_m * unit_m;
            let x = y * poleward.cos() * poleward.cos();
            Self { center, x, y }
        })
    }

    /// Whether it surely is farther than that.
    #[inline]
    fn is_beyond(&self, to: Point, reach_m: f64) -> bool {
        let dx = f64::from(turned(to.x, self.center.x));
        let dy = f64::from(to.y - self.center.y);
        dx * dx * self.x + dy * dy * self.y > reach_m * reach_m
    }
}

/// A point as a box.
const fn at(point: Point) -> Bounds {
    Bounds {
        west: point.x,
        south: point.y,
        east: point.x,
        north: point.y,
    }
}

/// How far it is eastwards, the shorter way around, in units.
#[inline]
fn turned(to: i32, from: i32) -> i32 {
    const HALF: i64 = point::MAX_X as i64;
    let apart = i64::from(to) - i64::from(from);
    let apart = if apart > HALF {
        apart - 2 * HALF
    } else if apart < -HALF {
        apart + 2 * HALF
    } else {
        apart
    };
    i32::try_from(apart).unwrap_or(i32::MAX)
}

impl Grid {
    /// The nearest devices that `accept` takes, by distance and then by number.
    ///
    /// # Errors
    /// `Halted` by the watch.
    pub(super) fn nearest(
        &self,
        request: &Request,
        watch: &impl Watch,
        accept: &mut impl FnMut(Entry) -> bool,
    ) -> Result<Vec<(f64, u32)>, Halted> {
        let mut radius_m = self.first_radius_m(request).min(request.radius_m);
        if request.count == 0 || request.radius_m.is_nan() {
            return Ok(Vec::new());
        }
        while Ruler::new(request.center, radius_m).is_some() {
            let best = self.round(request, radius_m, watch, accept)?;
            let found = best.heap.len();
            if radius_m >= request.radius_m || found >= request.count {
                return Ok(best.into_sorted());
            }
            radius_m = wider_m(radius_m, found, request.count).min(request.radius_m);
        }
        let best = self.by_cells(request, watch, accept)?;
        Ok(best.into_sorted())
    }

    /// A radius within which enough should be found, going by the leaf at the center.
    fn first_radius_m(&self, request: &Request) -> f64 {
        let (cell, count) = self.crowd(request.center);
        let shrink = (f64::from(request.center.y) * RADIANS).cos();
        let side_m = |from: i32, to: i32| (f64::from(to) - f64::from(from) + 1.0) * LEAST_UNIT_M;
        let area = side_m(cell.west, cell.east) * shrink * side_m(cell.south, cell.north);
        let wanted = ratio(request.count + request.count / 2 + 1, count.max(1));
        (wanted * area / PI).sqrt().max(LEAST_M)
    }

    /// The best within a radius.
    fn round(
        &self,
        request: &Request,
        radius_m: f64,
        watch: &impl Watch,
        accept: &mut impl FnMut(Entry) -> bool,
    ) -> Result<Best, Halted> {
        let circle = Circle::new(request.center, radius_m);
        let bounds = circle.map_or(Bounds::WORLD, |circle| circle.bounds());
        let window = Window::new(&bounds);
        let mut best = Best::new(request.center, radius_m, request.count);
        let mut is_halted = false;
        let mut look = |entries: &[Entry], _, _| {
            is_halted = !watch.permits(entries.len() * request.effort);
            if is_halted {
                return ControlFlow::Break(());
            }
            best.offer(entries, accept);
            ControlFlow::Continue(())
        };
        let mut part_of = |cell: Cell| window.part_of(&cell.bounds());
        self.visit(Path(0), &mut part_of, &mut look);
        if is_halted { Err(Halted) } else { Ok(best) }
    }

    /// The best by a walk through the cells, the nearest first.
    fn by_cells(
        &self,
        request: &Request,
        watch: &impl Watch,
        accept: &mut impl FnMut(Entry) -> bool,
    ) -> Result<Best, Halted> {
        let mut best = Best::new(request.center, request.radius_m, request.count);
        let mut ahead = BinaryHeap::new();
        let (node, cell) = self.root();
        ahead.push(Ahead {
            least_m: 0.0,
            node,
            cell,
        });
        while let Some(Ahead {
            least_m,
            node,
            cell,
        }) = ahead.pop()
        {
            if least_m > best.reach_m() {
                break;
            }
            match self.inside(node) {
                Inside::Entries(entries) => {
                    if !watch.permits(entries.len() * request.effort) {
                        return Err(Halted);
                    }
                    best.offer(entries, accept);
                }
                Inside::Quarters(nodes) => {
                    for (quarter, node) in nodes.into_iter().enumerate() {
                        let cell = cell.quarter(quarter);
                        let least_m = best.metric.least_m(&cell.bounds());
                        if least_m <= best.reach_m() && !self.is_empty(node) {
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
        Ok(best)
    }
}

/// A cell to be looked into, the nearest first.
pub(super) struct Ahead {
    pub(super) least_m: f64,
    pub(super) node: Node,
    pub(super) cell: Cell,
}

impl PartialEq for Ahead {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ahead {}

impl PartialOrd for Ahead {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ahead {
    fn cmp(&self, other: &Self) -> Ordering {
        other.least_m.total_cmp(&self.least_m)
    }
}

/// The radius of the next round, where `found` of `count` were within this one.
fn wider_m(radius_m: f64, found: usize, count: usize) -> f64 {
    let share = ratio(count + count / 2, found.max(1));
    radius_m * share.sqrt().clamp(1.5, 4.0)
}

fn ratio(one: usize, other: usize) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let ratio = one as f64 / other as f64;
    ratio
}
