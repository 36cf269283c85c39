//! What a fence or a search encloses.

use super::geodesy::Metric;
use super::segment::Edge;
use super::{Area, Bounds, Circle, Corridor, Point};
use crate::engine::relocate::Mover;
use crate::engine::{Error, Result};

/// How a shape lies to a box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cover {
    /// No point in common.
    Outside,
    /// Perhaps some points in common.
    Touches,
    /// The whole box lies in the shape.
    Covers,
}

/// A part of the earth, its border included. A clone shares the vertices.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// All within a distance of a point.
    Circle(Circle),
    /// Between two meridians and two parallels.
    Box(Bounds),
    /// Polygons with holes.
    Area(Area),
    /// All within a distance of a line.
    Corridor(Corridor),
}

/// Vertices that are gone through in the time that a look at a device takes.
const VERTICES_A_LOOK: usize = 8;

impl Shape {
    /// Shows its allocations to a mover.
    pub(in crate::engine) fn relocate(&mut self, mover: &mut impl Mover) {
        match self {
            Self::Circle(_) | Self::Box(_) => {}
            Self::Area(area) => area.relocate(mover),
            Self::Corridor(corridor) => corridor.relocate(mover),
        }
    }

    /// A circle.
    ///
    /// # Errors
    /// `Geometry` for a radius that is not more than 0 and at most half the earth.
    pub fn circle(center: Point, radius_m: f64) -> Result<Self> {
        Circle::new(center, radius_m).map(Self::Circle)
    }

    /// A box. It crosses the antimeridian where the south-western corner is east of the other one.
    ///
    /// # Errors
    /// `Geometry` where the south is north of the north.
    pub fn bounding_box(south_west: Point, north_east: Point) -> Result<Self> {
        if south_west.y > north_east.y {
            return Err(Error::Geometry {
                what: "the south of a box must not be north of its north",
            });
        }
        Ok(Self::Box(Bounds {
            west: south_west.x,
            south: south_west.y,
            east: north_east.x,
            north: north_east.y,
        }))
    }

    /// Polygons of rings, first the outer one, then holes. A ring may repeat its first vertex.
    ///
    /// # Errors
    /// `Shape` with the place of what is wrong, and `Limit`.
    pub fn area(polygons: Vec<Vec<Vec<Point>>>) -> Result<Self> {
        Area::new(polygons).map(Self::Area)
    }

    /// All within half a width of a line.
    ///
    /// # Errors
    /// `Geometry` for a line of one point or a width that is none, and `Limit`.
    pub fn corridor(line: Vec<Point>, width_m: f64) -> Result<Self> {
        Corridor::new(line, width_m).map(Self::Corridor)
    }

    /// Whether a point lies in it or on its border.
    pub fn contains(&self, point: Point) -> bool {
        match self {
            Self::Circle(circle) => circle.contains(point),
            Self::Box(bounds) => bounds.contains(point),
            Self::Area(area) => area.contains(point),
            Self::Corridor(corridor) => corridor.contains(point),
        }
    }

    /// A box around it.
    pub fn bounds(&self) -> Bounds {
        match self {
            Self::Circle(circle) => circle.bounds(),
            Self::Box(bounds) => *bounds,
            Self::Area(area) => area.bounds(),
            Self::Corridor(corridor) => corridor.bounds(),
        }
    }

    /// How it lies to a box that does not cross the antimeridian. It may say `Touches` of one that
    /// it does not touch or that it covers, never the other way.
    pub fn cover(&self, cell: &Bounds) -> Cover {
        match self {
            Self::Circle(circle) => circle.cover(cell),
            Self::Box(bounds) => bounds.cover(cell),
            Self::Area(area) => area.cover(cell),
            Self::Corridor(corridor) => corridor.cover(cell),
        }
    }

    /// From a point to its border in metres; 0 inside.
    pub fn distance_m(&self, point: Point) -> f64 {
        match self {
            Self::Circle(circle) => circle.distance_m(point),
            Self::Box(bounds) => bounds.distance_from_m(&Metric::new(point)),
            Self::Area(area) => area.distance_m(point),
            Self::Corridor(corridor) => corridor.distance_m(point),
        }
    }

    /// Whether a segment, the shorter way around, has a point in it.
    pub fn meets_segment(&self, a: Point, b: Point) -> bool {
        let edge = Edge::shorter(a, b);
        match self {
            Self::Circle(circle) => {
                edge.distance_m(&Metric::new(circle.center())) <= circle.radius_m()
            }
            Self::Box(bounds) => bounds.meets_edge(&edge),
            Self::Area(area) => area.meets_edge(&edge),
            Self::Corridor(corridor) => corridor.meets_edge(&edge),
        }
    }

    /// Brings what [`Shape::contains`] reads near: loads that nothing waits for. What it returns keeps
    /// them from being left out, and means nothing.
    pub(in crate::engine) fn touch(&self) -> i32 {
        match self {
            Self::Area(area) => area.touch(),
            Self::Circle(_) | Self::Box(_) | Self::Corridor(_) => 0,
        }
    }

    /// What it takes to compare something with it, in looks at a device.
    pub fn effort(&self) -> usize {
        1 + self.vertices() / VERTICES_A_LOOK
    }

    /// The same for a single place, which a large area compares with few of its edges.
    pub fn effort_of_place(&self) -> usize {
        const MOST: usize = 1 + 128 / VERTICES_A_LOOK;
        match self {
            Self::Area(_) => self.effort().min(MOST),
            _ => self.effort(),
        }
    }

    /// Boxes that have all of it in them, at most so many.
    pub(in crate::engine) fn pieces(&self, most: usize) -> Vec<Bounds> {
        match self {
            Self::Corridor(corridor) => corridor.pieces(most).collect(),
            _ => vec![self.bounds()],
        }
    }

    /// A point of it.
    pub(in crate::engine) fn a_point(&self) -> Point {
        match self {
            Self::Circle(circle) => circle.center(),
            Self::Box(bounds) => Point {
                x: bounds.west,
                y: bounds.south,
            },
            Self::Area(area) => area.starts().next().expect("BUG: an area without polygons"),
            Self::Corridor(corridor) => corridor.line()[0],
        }
    }

    /// How many vertices it has: 1 for a circle, 4 for a box.
    pub fn vertices(&self) -> usize {
        match self {
            Self::Circle(_) => 1,
            Self::Box(_) => 4,
            Self::Area(area) => area.vertices(),
            Self::Corridor(corridor) => corridor.line().len(),
        }
    }

    /// Bytes of its own allocations.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Circle(_) | Self::Box(_) => 0,
            Self::Area(area) => area.heap_bytes(),
            Self::Corridor(corridor) => corridor.heap_bytes(),
        }
    }
}
