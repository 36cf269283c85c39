//! Whether rings make polygons: no ring meets itself, rings of different kinds do not cross, holes lie in
//! their polygon, polygons do not overlap.
//!
//! Two passes, both exact:
//!
//! 1. A sweep over the edges, along the axis on which they are shorter, finds all pairs that meet. In
//!    one ring that is wrong; in two rings, crossing is wrong, and touching is noted.
//! 2. Where rings touch, they are cut there. The middle of every piece lies either on no other ring, then
//!    by even-odd in the right place or not, or on one other, then there must be inside on both
//!    sides: so neighbours may share a border. A ring that touches none has one piece to look at.
//!
//! What both may do is bounded ([`MAX_COMPARISONS`]), since edges that lie beside each other in great
//! numbers make pairs in the square of them.

use std::cmp::Ordering;

use super::Point;
use super::frame::Close;
use super::outline::RingName;
use super::segment::{Edge, Meeting};
use super::stripes::Stripes;
use crate::engine::{Error, Result};

/// Most pairs of edges that are compared: about half a second. Rings as people draw them have some
/// dozen edges beside each, so that a million vertices are well below.
const MAX_COMPARISONS: u64 = 1 << 27;
/// What it takes to see whether two edges meet, in comparisons of their extents.
const MEETING: usize = 8;

/// A ring in the plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Laid {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) close: Close,
    pub(super) name: RingName,
}

/// Rings in one plane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane<'a> {
    pub(super) vertices: &'a [Point],
    /// Of each vertex as it was given.
    pub(super) numbers: &'a [u32],
    pub(super) rings: &'a [Laid],
    pub(super) stripes: Option<&'a Stripes>,
}

/// Edges that touch, each by its first vertex.
type Touch = (usize, usize);

impl Plane<'_> {
    /// Refuses rings that are no polygons.
    pub(super) fn check(&self) -> Result<()> {
        for ring in self.rings {
            self.check_turns(ring)?;
        }
        let mut work = Work(MAX_COMPARISONS);
        let touches = self.sweep(&mut work)?;
        if self.rings.len() > 1 {
            Pieces::new(self, &touches).check(&mut work)?;
        }
        Ok(())
    }

    fn edge(&self, at: usize) -> Edge {
        Edge::plain(self.vertices[at], self.vertices[at + 1])
    }

    fn refuse<T>(&self, ring: &Laid, what: &'static str, at: usize) -> Result<T> {
        ring.name.refuse(what, self.numbers[at])
    }

    /// Refuses an edge that goes back on the one before.
    fn check_turns(&self, ring: &Laid) -> Result<()> {
        let last = ring.end - 2;
        let wrap = (ring.close == Close::Closed).then_some((last, ring.start));
        let pairs = (ring.start..last).map(|at| (at, at + 1)).chain(wrap);
        for (before, after) in pairs {
            let (a, b) = (self.edge(before), self.edge(after));
            let is_straight = a.side(b.x + b.dx, b.y + b.dy) == Ordering::Equal;
            if is_straight && a.dx * b.dx + a.dy * b.dy < 0 {
                return self.refuse(ring, "a ring that turns back on itself", after);
            }
        }
        Ok(())
    }

    /// Every pair of touching edges of different rings.
    fn sweep(&self, work: &mut Work) -> Result<Vec<Touch>> {
        let mut edges = self.swept();
        edges.sort_unstable_by_key(|edge| (edge.low, edge.at));
        let mut open: Vec<Swept> = Vec::new();
        let mut touches = Vec::new();
        for edge in edges {
            work.spend(open.len())?;
            let mut at = 0;
            while at < open.len() {
                if open[at].high < edge.low {
                    open.swap_remove(at);
                    continue;
                }
                if open[at].is_beside(&edge) {
                    work.spend(MEETING)?;
                    if self.is_touch(&open[at], &edge)? {
                        touches.push((open[at].at as usize, edge.at as usize));
                    }
                }
                at += 1;
            }
            open.push(edge);
        }
        Ok(touches)
    }

    /// The edges, each with its extent along the axis of the sweep: the one they are shorter on.
    fn swept(&self) -> Vec<Swept> {
        let mut edges = Vec::with_capacity(self.vertices.len());
        let mut sums = (0, 0);
        for (number, ring) in (0..).zip(self.rings) {
            for at in ring.start..ring.end - 1 {
                let (a, b) = (self.vertices[at], self.vertices[at + 1]);
                sums.0 += i64::from(a.x.abs_diff(b.x));
                sums.1 += i64::from(a.y.abs_diff(b.y));
                edges.push(Swept {
                    low: a.x.min(b.x),
                    high: a.x.max(b.x),
                    side_low: a.y.min(b.y),
                    side_high: a.y.max(b.y),
                    at: u32::try_from(at).expect("BUG: vertices over their limit"),
                    ring: number,
                });
            }
        }
        let width = |value: fn(&Point) -> i32| {
            let values = || self.vertices.iter().map(value);
            let (low, high) = (values().min().unwrap_or(0), values().max().unwrap_or(0));
            i128::from(high.abs_diff(low))
        };
        let is_turned = i128::from(sums.0) * width(|point| point.y)
            > i128::from(sums.1) * width(|point| point.x);
        if is_turned {
            edges.iter_mut().for_each(Swept::turn);
        }
        edges
    }

    /// Whether two edges of different rings touch; refuses what must not be.
    fn is_touch(&self, a: &Swept, b: &Swept) -> Result<bool> {
        let (first, second) = (a.at.min(b.at) as usize, a.at.max(b.at) as usize);
        let ring = &self.rings[a.ring as usize];
        if a.ring == b.ring && ring.are_neighbours(first, second) {
            return Ok(false);
        }
        let meeting = self.edge(first).meet(&self.edge(second));
        if meeting == Meeting::Nothing {
            return Ok(false);
        }
        if a.ring == b.ring {
            return self.refuse(ring, "a ring that meets itself", first);
        }
        if meeting == Meeting::Touch {
            return Ok(true);
        }
        let other = &self.rings[b.ring as usize];
        let later = if a.at > b.at { ring } else { other };
        let what = if ring.name.polygon == other.name.polygon {
            "a hole that crosses another ring of its polygon"
        } else {
            "polygons that overlap"
        };
        self.refuse(later, what, second)
    }
}

impl Laid {
    fn are_neighbours(&self, first: usize, second: usize) -> bool {
        second - first == 1
            || (self.close == Close::Closed && first == self.start && second == self.end - 2)
    }

    const fn is_hole(&self) -> bool {
        self.name.ring > 0
    }
}

/// Comparisons that are left.
struct Work(u64);

impl Work {
    fn spend(&mut self, comparisons: usize) -> Result<()> {
        self.0 = self
            .0
            .checked_sub(comparisons as u64 + 1)
            .ok_or(Error::Limit {
                what: "edges beside each other",
                max: MAX_COMPARISONS,
            })?;
        Ok(())
    }
}

/// An edge in the sweep.
#[derive(Clone, Copy, Debug)]
struct Swept {
    low: i32,
    high: i32,
    side_low: i32,
    side_high: i32,
    at: u32,
    ring: u32,
}

impl Swept {
    const fn is_beside(&self, other: &Self) -> bool {
        self.side_low <= other.side_high && other.side_low <= self.side_high
    }

    fn turn(&mut self) {
        std::mem::swap(&mut self.low, &mut self.side_low);
        std::mem::swap(&mut self.high, &mut self.side_high);
    }
}

/// The second pass.
struct Pieces<'a> {
    plane: &'a Plane<'a>,
    /// Where edges are cut: the edge and a vertex on it, sorted.
    cuts: Vec<(usize, Point)>,
    is_touched: Vec<bool>,
    /// Rings around a pole.
    around: Vec<usize>,
    /// The ring of each edge.
    ring_of: Vec<u32>,
}

/// What lies east of the middle of a piece: whether an odd number of edges, by whose they are.
#[derive(Default)]
struct Parity {
    own: bool,
    polygon: bool,
    others: bool,
    /// Other rings that it lies on.
    on: usize,
}

impl<'a> Pieces<'a> {
    fn new(plane: &'a Plane<'a>, touches: &[Touch]) -> Self {
        let mut ring_of = vec![0; plane.vertices.len()];
        for (number, ring) in (0..).zip(plane.rings) {
            ring_of[ring.start..ring.end].fill(number);
        }
        let mut is_touched = vec![false; plane.rings.len()];
        let mut cuts = Vec::new();
        for &(a, b) in touches {
            for (edge, other) in [(a, b), (b, a)] {
                is_touched[ring_of[edge] as usize] = true;
                let on_edge = [plane.vertices[other], plane.vertices[other + 1]]
                    .into_iter()
                    .filter(|end| plane.edge(edge).holds(end.x.into(), end.y.into()));
                cuts.extend(on_edge.map(|end| (edge, end)));
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        let rings = plane.rings.iter().enumerate();
        let around = rings.filter(|(_, ring)| ring.close != Close::Closed);
        Self {
            plane,
            cuts,
            is_touched,
            around: around.map(|(number, _)| number).collect(),
            ring_of,
        }
    }

    fn check(&self, work: &mut Work) -> Result<()> {
        for (number, ring) in self.plane.rings.iter().enumerate() {
            let end = if self.is_touched[number] {
                ring.end - 1
            } else {
                ring.start + 1
            };
            for at in ring.start..end {
                self.check_edge(number, at, work)?;
            }
        }
        Ok(())
    }

    fn check_edge(&self, ring: usize, at: usize, work: &mut Work) -> Result<()> {
        let first = self.cuts.partition_point(|&(edge, _)| edge < at);
        let cuts = self.cuts[first..]
            .iter()
            .take_while(|&&(edge, _)| edge == at);
        let (a, b) = (self.plane.vertices[at], self.plane.vertices[at + 1]);
        // Sorted by longitude, then latitude, as points are: so along the edge.
        let mut ends: Vec<_> = cuts.map(|&(_, cut)| cut).chain([a, b]).collect();
        ends.sort_unstable();
        ends.dedup();
        for piece in ends.windows(2) {
            let twice = |a: i32, b: i32| i64::from(a) + i64::from(b);
            let middle = (twice(piece[0].x, piece[1].x), twice(piece[0].y, piece[1].y));
            let parity = self.parity(ring, middle, work)?;
            self.judge(ring, at, &parity)?;
        }
        Ok(())
    }

    fn judge(&self, ring: usize, at: usize, parity: &Parity) -> Result<()> {
        let ring = &self.plane.rings[ring];
        let is_right = match parity.on {
            0 if ring.is_hole() => parity.polygon,
            0 => !parity.others,
            1 => parity.own ^ parity.polygon ^ parity.others,
            _ => false,
        };
        if is_right {
            return Ok(());
        }
        let what = if ring.is_hole() {
            "a hole outside its polygon or in another hole"
        } else {
            "polygons that overlap"
        };
        self.plane.refuse(ring, what, at)
    }

    /// What lies east of a point, which is given by twice its coordinates.
    fn parity(&self, ring: usize, (x, y): (i64, i64), work: &mut Work) -> Result<Parity> {
        let mut parity = Parity::default();
        let level = i32::try_from(y.div_euclid(2)).expect("BUG: a latitude between two others");
        if let Some(stripes) = self.plane.stripes {
            let edges = stripes.at(level);
            work.spend(edges.len())?;
            for &at in edges {
                self.count(ring, at as usize, (x, y), &mut parity);
            }
        } else {
            work.spend(self.plane.vertices.len())?;
            for laid in self.plane.rings {
                (laid.start..laid.end - 1).for_each(|at| self.count(ring, at, (x, y), &mut parity));
            }
        }
        for &around in &self.around {
            let laid = &self.plane.rings[around];
            let is_above = 2 * i64::from(self.plane.vertices[laid.start].y) > y;
            if is_above == (laid.close == Close::South) {
                *self.whose(ring, around, &mut parity) ^= true;
            }
        }
        Ok(parity)
    }

    fn count(&self, ring: usize, at: usize, (x, y): (i64, i64), parity: &mut Parity) {
        let edge = self.plane.edge(at);
        let other = self.ring_of[at] as usize;
        let is_above = |end: i64| 2 * end > y;
        if is_above(edge.y) == is_above(edge.y + edge.dy) {
            let (west, east) = edge.across();
            let is_on = edge.dy == 0 && 2 * edge.y == y && 2 * west < x && x < 2 * east;
            parity.on += usize::from(is_on && other != ring);
            return;
        }
        let left = i128::from(edge.dx) * i128::from(y - 2 * edge.y);
        let right = i128::from(edge.dy) * i128::from(x - 2 * edge.x);
        match left.cmp(&right) {
            Ordering::Equal => parity.on += usize::from(other != ring),
            side => {
                *self.whose(ring, other, parity) ^= (side == Ordering::Greater) == (edge.dy > 0);
            }
        }
    }

    fn whose<'p>(&self, ring: usize, other: usize, parity: &'p mut Parity) -> &'p mut bool {
        let rings = self.plane.rings;
        if ring == other {
            &mut parity.own
        } else if rings[ring].name.polygon == rings[other].name.polygon {
            &mut parity.polygon
        } else {
            &mut parity.others
        }
    }
}
