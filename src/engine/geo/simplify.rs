//! Lines with fewer points (Douglas and Peucker, "Algorithms for the reduction of the number of points
//! required to represent a digitized line", 1973).
//!
//! A point's distance to a piece of the line is taken in the plane that is right at the point: it is
//! exact where it matters, near the tolerance. Longitudes run on over the antimeridian.
//!
//! Splitting goes on a list, not on the stack. Lines that split off one point at a time would take the
//! square of their length; below [`MAX_DEPTH`] splits a piece is halved instead, so that it is
//! O(points), at the price of points that could go.

use super::Point;
use super::geodesy::{Metric, float};
use super::longitude::{HALF, TURN, shorter};
use crate::engine::query::{Halted, Watch};

/// Splits of one piece after which it is halved.
const MAX_DEPTH: u32 = 100;

/// A point in a plane of its own.
#[derive(Clone, Copy, Debug)]
struct Spot {
    x: i64,
    y: i64,
    /// Metres of a unit to the east and to the north.
    unit_m: (f64, f64),
}

/// The indices of points that a line needs, so that none is farther than `tolerance_m` from it; the
/// first and the last are kept always. The watch is asked for each piece.
///
/// # Errors
/// `Halted` by the watch.
pub fn simplify(
    points: &[Point],
    tolerance_m: f64,
    watch: &impl Watch,
) -> Result<Vec<usize>, Halted> {
    let spots = unrolled(points);
    if points.len() < 3 {
        return Ok((0..points.len()).collect());
    }
    let mut is_kept = vec![false; points.len()];
    is_kept[0] = true;
    is_kept[points.len() - 1] = true;
    let mut pieces = Vec::from([(0, points.len() - 1, 0)]);
    while let Some((from, to, depth)) = pieces.pop() {
        if !watch.permits(to - from) {
            return Err(Halted);
        }
        let Some((farthest, distance_m)) = farthest(&spots, from, to) else {
            continue;
        };
        // A longer piece would go the other way around.
        let is_long = (spots[to].x - spots[from].x).abs() > HALF;
        if distance_m > tolerance_m || is_long {
            let split = if depth < MAX_DEPTH {
                farthest
            } else {
                usize::midpoint(from, to)
            };
            is_kept[split] = true;
            pieces.push((from, split, depth + 1));
            pieces.push((split, to, depth + 1));
        }
    }
    Ok((0..points.len()).filter(|&at| is_kept[at]).collect())
}

fn unrolled(points: &[Point]) -> Vec<Spot> {
    let mut x = points.first().map_or(0, |first| i64::from(first.x));
    let spot = |point: &Point| {
        x += shorter(i64::from(point.x) - shorter(x.rem_euclid(TURN)));
        Spot {
            x,
            y: point.y.into(),
            unit_m: Metric::new(*point).unit_m(0.0),
        }
    };
    points.iter().map(spot).collect()
}

/// The point between two that is farthest from the edge of these.
fn farthest(spots: &[Spot], from: usize, to: usize) -> Option<(usize, f64)> {
    let (a, b) = (spots[from], spots[to]);
    (from + 1..to)
        .map(|at| (at, square_m(spots[at], a, b)))
        .max_by(|(_, left), (_, right)| left.total_cmp(right))
        .map(|(at, square)| (at, square.sqrt()))
}

/// The square of the distance of a point to an edge.
fn square_m(spot: Spot, from: Spot, to: Spot) -> f64 {
    let (across, along) = spot.unit_m;
    let metres = |to: Spot| (float(to.x - from.x) * across, float(to.y - from.y) * along);
    let (x, y) = metres(spot);
    let (dx, dy) = metres(to);
    let length_2 = dx * dx + dy * dy;
    let share = if length_2 == 0.0 {
        0.0
    } else {
        ((x * dx + y * dy) / length_2).clamp(0.0, 1.0)
    };
    (x - share * dx).powi(2) + (y - share * dy).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::query::Unwatched;

    fn simplify(points: &[Point], tolerance_m: f64) -> Vec<usize> {
        super::simplify(points, tolerance_m, &Unwatched).unwrap()
    }

    fn line(points: &[(f64, f64)]) -> Vec<Point> {
        let points = points.iter();
        points
            .map(|&(lon, lat)| Point::from_degrees(lon, lat).unwrap())
            .collect()
    }

    #[test]
    fn what_is_near_the_line_goes() {
        // 0.0001 degrees are 11 metres; at 60 degrees north half of that to the east.
        let points = line(&[
            (10.0, 60.0),
            (10.0001, 60.01),
            (10.001, 60.02),
            (10.0, 60.03),
        ]);
        assert_eq!(simplify(&points, 30.0), [0, 2, 3]);
        assert_eq!(simplify(&points, 100.0), [0, 3]);
        assert_eq!(simplify(&points, 0.0), [0, 1, 2, 3]);
        assert_eq!(simplify(&points[..1], 1.0), [0]);
        assert_eq!(simplify(&[], 1.0), [0; 0]);
    }

    #[test]
    fn the_antimeridian_is_no_corner() {
        let points = line(&[(179.99, 0.0), (180.0, 0.0), (-179.995, 0.0), (-179.99, 0.0)]);
        assert_eq!(simplify(&points, 1.0), [0, 3]);
        let around = line(&[(-100.0, 0.0), (0.0, 0.0), (100.0, 0.0), (-170.0, 0.0)]);
        assert!(simplify(&around, 1.0).len() > 2);
    }

    #[test]
    fn a_spiral_is_no_square() {
        let points: Vec<_> = (0..60_000)
            .map(|at| Point {
                x: at % 1000 * (at % 1000),
                y: at * 1000,
            })
            .collect();
        assert_eq!(simplify(&points, 0.0).len(), points.len());
    }
}
