//! A ring as it was given, unrolled: longitudes run on where it crosses the antimeridian.
//!
//! ```text
//! given       170    179   -178   -175            170   -170    -50     60    170
//! unrolled    170    179    182    185            170    190    310    420    530 = 170 + a turn
//!             comes back to where it began        winds around a pole
//! ```
//!
//! Each edge goes the shorter way; one of exactly half a turn goes as it is written and gets a vertex
//! in its middle, so that no edge is ambiguous later. A ring that has no width so, but is written from
//! -180 to 180, is a band around the earth: its long edges are cut in three.

use super::Point;
use super::longitude::{HALF, TURN, shorter};
use crate::engine::{Error, Result};

/// Where a ring was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RingName {
    pub(super) polygon: u32,
    pub(super) ring: u32,
}

impl RingName {
    pub(super) const fn refuse<T>(self, what: &'static str, vertex: u32) -> Result<T> {
        Err(Error::Shape {
            what,
            polygon: self.polygon,
            ring: self.ring,
            vertex,
        })
    }
}

/// A vertex of an unrolled ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Vertex {
    pub(super) x: i64,
    pub(super) y: i32,
    /// As it was given.
    pub(super) number: u32,
}

/// An unrolled ring without its closing vertex.
#[derive(Clone, Debug)]
pub(super) struct Outline {
    pub(super) name: RingName,
    pub(super) vertices: Vec<Vertex>,
    /// Whether it ends a turn east of where it began.
    pub(super) is_around_pole: bool,
}

impl Outline {
    /// Unrolls a ring.
    pub(super) fn new(ring: &[Point], name: RingName) -> Result<Self> {
        let mut vertices = unrolled(ring, shorter);
        if is_flat(&vertices) {
            vertices = unrolled(ring, |dx| dx);
        }
        if vertices.len() < 4 {
            return name.refuse("a ring of fewer than three different vertices", 0);
        }
        let turn = vertices[vertices.len() - 1].x - vertices[0].x;
        vertices.pop();
        if turn == -TURN {
            vertices.reverse();
        } else if turn != 0 && turn != TURN {
            return name.refuse("a ring more than once around the earth", 0);
        }
        let mut outline = Self {
            name,
            vertices,
            is_around_pole: turn != 0,
        };
        if turn == 0 {
            let (west, east) = outline.across();
            if east - west > TURN {
                return name.refuse("a ring more than once around the earth", 0);
            }
            // So that one ring is one ring, wherever its writer began to count.
            let by = west - ((west + HALF).rem_euclid(TURN) - HALF);
            outline
                .vertices
                .iter_mut()
                .for_each(|vertex| vertex.x -= by);
        }
        Ok(outline)
    }

    /// From its westernmost to its easternmost vertex.
    pub(super) fn across(&self) -> (i64, i64) {
        span(self.vertices.iter().map(|vertex| vertex.x))
    }

    /// From its southernmost to its northernmost vertex.
    pub(super) fn along(&self) -> (i64, i64) {
        span(self.vertices.iter().map(|vertex| i64::from(vertex.y)))
    }
}

fn span(values: impl Iterator<Item = i64> + Clone) -> (i64, i64) {
    let least = values.clone().min().unwrap_or(0);
    (least, values.max().unwrap_or(0))
}

fn is_flat(vertices: &[Vertex]) -> bool {
    vertices.iter().all(|vertex| vertex.x == vertices[0].x)
}

/// The vertices with the closing one last; those that repeat the one before are left out.
fn unrolled(ring: &[Point], way: impl Fn(i64) -> i64) -> Vec<Vertex> {
    let Some(&first) = ring.first() else {
        return Vec::new();
    };
    let mut vertices = Vec::with_capacity(ring.len() + 1);
    let mut last = Vertex {
        x: first.x.into(),
        y: first.y,
        number: 0,
    };
    vertices.push(last);
    let ends = ring.iter().skip(1).chain([&first]);
    for (number, (a, b)) in (1..).zip(ring.iter().zip(ends)) {
        let dx = way(i64::from(b.x) - i64::from(a.x));
        let dy = i64::from(b.y) - i64::from(a.y);
        if dx == 0 && dy == 0 {
            continue;
        }
        let pieces = match dx.abs() {
            HALF => 2,
            long if long > HALF => 3,
            _ => 1,
        };
        for piece in 1..pieces {
            vertices.push(Vertex {
                x: last.x + dx * piece / pieces,
                y: between(a.y, dy * piece, pieces),
                number: number - 1,
            });
        }
        last = Vertex {
            x: last.x + dx,
            y: b.y,
            number,
        };
        vertices.push(last);
    }
    vertices
}

/// A latitude and a share of a difference, rounded.
pub(super) fn between(y: i32, part: i64, whole: i64) -> i32 {
    let share = (2 * part + whole).div_euclid(2 * whole);
    i32::try_from(i64::from(y) + share).expect("BUG: a latitude between two others")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: RingName = RingName {
        polygon: 0,
        ring: 0,
    };

    fn outline(lons: &[i32]) -> Result<Outline> {
        let points = lons.iter().zip(0..).map(|(lon, at)| Point {
            x: lon * 10_000_000,
            y: at * at,
        });
        Outline::new(&points.collect::<Vec<_>>(), NAME)
    }

    #[test]
    fn longitudes_run_on() {
        let across = outline(&[170, 179, -178, -175]).unwrap();
        assert_eq!(across.across(), (1_700_000_000, 1_850_000_000));
        assert!(!across.is_around_pole);
        let pole = outline(&[170, 50, -60, -170]).unwrap();
        assert!(pole.is_around_pole);
        let xs: Vec<_> = pole.vertices.iter().map(|vertex| vertex.x).collect();
        assert!(xs.is_sorted(), "{xs:?}");
        assert!(outline(&[0, 120, -120, 0, 120, -120]).is_err());
        assert!(outline(&[1, 2]).is_err());
    }

    #[test]
    fn a_band_around_the_earth_is_cut() {
        let corners = [(-180, -60), (180, -60), (180, 60), (-180, 60), (-180, -60)];
        let band = corners.map(|(lon, lat)| Point {
            x: lon * 10_000_000,
            y: lat * 10_000_000,
        });
        let band = Outline::new(&band, NAME).unwrap();
        assert_eq!(band.vertices.len(), 8);
        assert_eq!(band.across(), (-HALF, HALF));
    }
}
