//! A corridor: all within half a width of a line.
//!
//! The line is of straight edges in longitude and latitude, each the shorter way around. Whether a point
//! lies in it is asked of the edges that meet a box around the point, which are found by four
//! comparisons an edge; so a line of 1000 points takes about 2 us where it is far away.

use super::area::{MAX_VERTICES, VERTICES_HEAD, Vertices, nearest_m};
use super::geodesy::HALF_EARTH_M;
use super::longitude::TURN;
use super::point::MAX_Y;
use super::segment::{Edge, Meeting};
use super::{Bounds, Cover, Metric, Point};
use crate::engine::relocate::Mover;
use crate::engine::{Error, Result};

/// Everything within half a width of a line. A clone shares the line.
#[derive(Clone, Debug, PartialEq)]
pub struct Corridor {
    line: Vertices,
    width_m: f64,
}

impl Corridor {
    /// Shows its points to a mover.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        mover.shared(&mut self.line);
    }

    /// A corridor along a line of two points or more. Points that repeat the one before are left out.
    ///
    /// # Errors
    /// `Geometry` for a line of one point, and for a width that is not more than 0 and at most twice
    /// half the earth; `Limit` over [`MAX_VERTICES`].
    pub fn new(mut line: Vec<Point>, width_m: f64) -> Result<Self> {
        if line.len() > MAX_VERTICES {
            return Err(Error::Limit {
                what: "vertices",
                max: MAX_VERTICES as u64,
            });
        }
        if !(width_m > 0.0 && width_m <= 2.0 * HALF_EARTH_M) {
            return Err(Error::Geometry {
                what: "a width must be more than 0 and at most 40075016 metres",
            });
        }
        line.dedup_by(|b, a| Edge::shorter(*a, *b).is_point());
        if line.len() < 2 {
            return Err(Error::Geometry {
                what: "a line needs two different points",
            });
        }
        Ok(Self {
            line: Vertices::from_header_and_slice((), &line),
            width_m,
        })
    }

    /// Its line.
    pub fn line(&self) -> &[Point] {
        &self.line.slice
    }

    /// Bytes of its own allocations.
    pub(super) fn heap_bytes(&self) -> usize {
        VERTICES_HEAD + size_of_val(self.line())
    }

    /// Its width in metres.
    pub const fn width_m(&self) -> f64 {
        self.width_m
    }

    /// How far it goes from its line.
    pub(super) fn reach_m(&self) -> f64 {
        self.width_m / 2.0
    }

    pub(super) fn edges(&self) -> impl Iterator<Item = Edge> + Clone {
        self.line()
            .windows(2)
            .map(|ends| Edge::shorter(ends[0], ends[1]))
    }

    /// Its edges that meet a box.
    pub(super) fn edges_near(&self, bounds: Bounds) -> impl Iterator<Item = Edge> {
        self.line()
            .windows(2)
            .filter(move |ends| {
                let (a, b) = (ends[0].y, ends[1].y);
                a.max(b) >= bounds.south && a.min(b) <= bounds.north
            })
            .map(|ends| Edge::shorter(ends[0], ends[1]))
            .filter(move |edge| bounds.meets(&edge.bounds()))
    }

    /// Whether a point lies in it or on its border.
    pub fn contains(&self, point: Point) -> bool {
        let metric = Metric::new(point);
        self.edges_near(Bounds::from(point).grown(self.reach_m()))
            .any(|edge| edge.distance_m(&metric) <= self.reach_m())
    }

    /// From a point to its border in metres; 0 inside.
    pub fn distance_m(&self, point: Point) -> f64 {
        (nearest_m(&Metric::new(point), self.edges()) - self.reach_m()).max(0.0)
    }

    /// A box around it.
    pub fn bounds(&self) -> Bounds {
        let first = self.line()[0];
        let (mut x, mut south, mut north) = (i64::from(first.x), first.y, first.y);
        let (mut west, mut east) = (x, x);
        for edge in self.edges() {
            x += edge.dx;
            (west, east) = (west.min(x), east.max(x));
            let end = edge.end();
            (south, north) = (south.min(end.y), north.max(end.y));
        }
        let is_whole = east - west >= TURN;
        let bounds = Edge {
            x: west,
            y: south.into(),
            dx: east - west,
            dy: 0,
        }
        .bounds();
        let around = if is_whole { Bounds::WORLD } else { bounds };
        Bounds {
            south,
            north,
            ..around
        }
        .grown(self.reach_m())
    }

    /// Boxes around at most so many parts of it, one after the other.
    pub(super) fn pieces(&self, most: usize) -> impl Iterator<Item = Bounds> {
        let edges = self.line().len() - 1;
        let len = edges.div_ceil(most.max(1));
        (0..edges).step_by(len).map(move |from| {
            let part = &self.line()[from..=edges.min(from + len)];
            let part = Self {
                line: Vertices::from_header_and_slice((), part),
                width_m: self.width_m,
            };
            part.bounds()
        })
    }

    /// How it lies to a box that does not cross the antimeridian.
    pub fn cover(&self, cell: &Bounds) -> Cover {
        let mut found = Cover::Outside;
        for edge in self.edges_near(cell.grown(self.reach_m() * 1.01 + 1.0)) {
            if is_covered(cell, &edge, self.reach_m()) {
                return Cover::Covers;
            }
            if found == Cover::Outside && self.is_near(cell, &edge) {
                found = Cover::Touches;
            }
        }
        found
    }

    /// Whether one of its edges goes through a box or near it. Where two straight edges are nearest to
    /// each other, one of them ends; how the plane bends in between is in the 1 %.
    fn is_near(&self, cell: &Bounds, edge: &Edge) -> bool {
        let limit_m = self.reach_m() * 1.01 + 1.0;
        cell.meets_edge(edge)
            || [edge.start(), edge.end()]
                .iter()
                .any(|&end| cell.distance_from_m(&Metric::new(end)) <= limit_m)
            || corners(cell)
                .iter()
                .any(|&corner| edge.distance_m(&Metric::new(corner)) <= limit_m)
    }

    /// Whether an edge has a point in it.
    pub(super) fn meets_edge(&self, edge: &Edge) -> bool {
        self.edges_near(edge.bounds().grown(self.reach_m()))
            .any(|own| are_within(&own, edge, self.reach_m()))
    }
}

/// Whether two edges are at most a distance apart: they meet, or one of their ends is near.
pub(super) fn are_within(a: &Edge, b: &Edge, distance_m: f64) -> bool {
    let is_near = |end: Point, edge: &Edge| {
        let metric = Metric::new(end);
        metric.least_m(&edge.bounds()) <= distance_m && edge.distance_m(&metric) <= distance_m
    };
    let b_near_a = b.near(a);
    b_near_a.iter().any(|b| a.meet(b) != Meeting::Nothing)
        || is_near(a.start(), b)
        || is_near(a.end(), b)
        || is_near(b.start(), a)
        || is_near(b.end(), a)
}

fn corners(cell: &Bounds) -> [Point; 4] {
    [
        (cell.west, cell.south),
        (cell.west, cell.north),
        (cell.east, cell.south),
        (cell.east, cell.north),
    ]
    .map(|(x, y)| Point { x, y })
}

/// Whether all of a small box is within a distance of an edge: its corners are, by more than the box
/// bends. A parallel of length `l` bends by `l^2 tan (lat) / 8 R`.
fn is_covered(cell: &Bounds, edge: &Edge, distance_m: f64) -> bool {
    /// 11 times steeper than at 45 degrees.
    const STEEP_Y: i32 = MAX_Y / 18 * 17;
    let corners = corners(cell);
    let diagonal_m = super::distance_m(corners[0], corners[3]);
    let is_steep = cell.south.abs().max(cell.north.abs()) > STEEP_Y;
    if is_steep || diagonal_m > distance_m * 2.0 || cell.width() >= TURN / 4 {
        return false;
    }
    let limit_m = distance_m - 0.02 - diagonal_m * diagonal_m * 1.5e-6;
    corners
        .iter()
        .all(|&corner| edge.distance_m(&Metric::new(corner)) <= limit_m)
}
