//! Where the plane of an area is cut.
//!
//! Rings lie in a plane whose longitudes are relative to an origin, so that all of them are within half
//! a turn of it and the meridian opposite is the seam:
//!
//! ```text
//! rings only          no ring crosses the seam; origin 0 if the antimeridian may be it
//! around a pole       every such ring meets the seam once, and no other does
//!
//!    pole   +---------------------------------+      closed over the pole along the seam:
//!           :                                 :      these three edges are in no list of edges
//!           v0 -- v1 -- v2 -- ... -- vn -- v0'
//!         -half                             half     v0 and v0' are one vertex on the seam
//! ```
//!
//! A ring around a pole that has no vertex on the seam gets one, rounded to the next unit.

use super::Point;
use super::longitude::{HALF, TURN, wrapped};
use super::outline::{Outline, Vertex, between};
use super::point::MAX_Y;
use crate::engine::Result;

/// Most seams that are tried for rings around a pole.
const MAX_SEAMS: usize = 64;

/// How a chain of vertices becomes a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Close {
    /// Its last vertex is its first.
    Closed,
    /// Along the seam and over the north pole.
    North,
    /// Along the seam and over the south pole.
    South,
}

/// The origin of a plane that polygons fit into, if there is one. Each polygon is its rings.
pub(super) fn origin(polygons: &[Vec<Outline>]) -> Option<i32> {
    let all = || polygons.iter().flatten();
    if let Some(around) = all().find(|outline| outline.is_around_pole) {
        let seams = seams(around);
        let step = seams.len().div_ceil(MAX_SEAMS).max(1);
        let seam = seams
            .into_iter()
            .step_by(step)
            .find(|&seam| all().all(|outline| is_met_rightly(outline, seam)))?;
        return Some(opposite(seam));
    }
    let mut spans: Vec<_> = polygons.iter().map(|rings| rings[0].across()).collect();
    spans.sort_unstable();
    let farthest = spans.iter().map(|&(_, east)| east).max()?;
    let mut end = farthest - TURN;
    let mut widest = None;
    for (west, east) in spans {
        if west >= end && widest.is_none_or(|(from, to)| west - end > to - from) {
            widest = Some((end, west));
        }
        end = end.max(east);
    }
    let (from, to) = widest?;
    if (from..=to).contains(&-HALF) {
        return Some(0);
    }
    Some(opposite(from.midpoint(to)))
}

fn opposite(seam: i64) -> i32 {
    wrapped((seam + HALF + HALF).rem_euclid(TURN) - HALF)
}

/// Meridians that a ring around a pole meets once: of vertices, then between two of them.
fn seams(outline: &Outline) -> Vec<i64> {
    let xs: Vec<_> = outline.vertices.iter().map(|vertex| vertex.x).collect();
    let (west, east) = outline.across();
    // How far the ring has been before and at each vertex, and how far back it comes from there on.
    let mut reached = xs.clone();
    reached[0] = reached[0].max(east - TURN);
    for at in 1..xs.len() {
        reached[at] = reached[at].max(reached[at - 1]);
    }
    let mut returns = xs.clone();
    returns.push(west + TURN);
    for at in (0..xs.len()).rev() {
        returns[at] = returns[at].min(returns[at + 1]);
    }
    let is_alone = |at: usize| {
        let before = if at == 0 {
            east - TURN
        } else {
            reached[at - 1]
        };
        before < xs[at] && xs[at] < returns[at + 1]
    };
    let vertices = (0..xs.len()).filter(|&at| is_alone(at)).map(|at| xs[at]);
    let gaps = (0..xs.len())
        .filter(|&at| returns[at + 1] - reached[at] >= 2)
        .map(|at| reached[at].midpoint(returns[at + 1]));
    vertices.chain(gaps).collect()
}

/// Whether a ring meets a seam once if it winds around a pole, and not at all if not.
fn is_met_rightly(outline: &Outline, seam: i64) -> bool {
    let turns = |x: i64| (x - seam).div_euclid(TURN);
    let is_on = |x: i64| (x - seam).rem_euclid(TURN) == 0;
    let mut meetings = 0;
    let (first, turn) = (
        outline.vertices[0],
        i64::from(outline.is_around_pole) * TURN,
    );
    let ends = outline.vertices.iter().skip(1).map(|vertex| vertex.x);
    for (a, b) in outline.vertices.iter().zip(ends.chain([first.x + turn])) {
        let is_passed = !is_on(b) && turns(a.x) != turns(b);
        meetings += i32::from(is_on(a.x) || is_passed);
    }
    meetings == i32::from(outline.is_around_pole)
}

/// The chain of a ring in the plane around an origin, each vertex with its number. `pole` is the one
/// that the outer ring of its polygon holds, where the ring is not the outer one.
pub(super) fn placed(
    outline: &Outline,
    origin: i32,
    pole: Option<Close>,
) -> Result<(Vec<(Point, u32)>, Close)> {
    if outline.is_around_pole {
        let close = pole.unwrap_or_else(|| nearer_pole(outline));
        return Ok((placed_around(outline, origin), close));
    }
    let (west, east) = outline.across();
    let origin = i64::from(origin);
    let by = (west - origin + HALF).rem_euclid(TURN) - HALF - west;
    if east + by > HALF {
        return outline.name.refuse("a hole outside its polygon", 0);
    }
    let chain = outline.vertices.iter().chain(&outline.vertices[..1]);
    let chain = chain.map(|&vertex| in_plane(vertex, by)).collect();
    Ok((chain, Close::Closed))
}

fn in_plane(vertex: Vertex, by: i64) -> (Point, u32) {
    let x = i32::try_from(vertex.x + by).expect("BUG: a vertex out of its frame");
    (Point { x, y: vertex.y }, vertex.number)
}

fn nearer_pole(outline: &Outline) -> Close {
    let (south, north) = outline.along();
    let limit = i64::from(MAX_Y);
    if limit - north <= south + limit {
        Close::North
    } else {
        Close::South
    }
}

/// A ring around a pole, from the seam to the seam.
fn placed_around(outline: &Outline, origin: i32) -> Vec<(Point, u32)> {
    let seam = i64::from(origin) - HALF;
    let vertices = &outline.vertices;
    let len = vertices.len();
    // The vertex at any place of the endless chain.
    let vertex = |at: usize| Vertex {
        x: vertices[at % len].x + if at >= len { TURN } else { 0 },
        ..vertices[at % len]
    };
    let turns = |x: i64| (x - seam).div_euclid(TURN);
    let at = (0..len)
        .find(|&at| turns(vertex(at).x) < turns(vertex(at + 1).x))
        .expect("BUG: a ring around a pole that meets no seam");
    let (a, b) = (vertex(at), vertex(at + 1));
    let start_x = seam + turns(b.x) * TURN;
    let start = Vertex {
        x: start_x,
        y: between(
            a.y,
            (i64::from(b.y) - i64::from(a.y)) * (start_x - a.x),
            b.x - a.x,
        ),
        ..b
    };
    let by = -HALF - start_x;
    let mut chain = vec![in_plane(start, by)];
    let first = if b.x == start_x { at + 2 } else { at + 1 };
    chain.extend((first..=at + len).map(|at| in_plane(vertex(at), by)));
    let end = Vertex {
        x: start_x + TURN,
        ..start
    };
    chain.push(in_plane(end, by));
    chain
}
