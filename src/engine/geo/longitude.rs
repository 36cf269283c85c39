//! Longitudes around the earth, in units.

use super::point::MAX_X;

/// Once around.
pub(super) const TURN: i64 = 2 * HALF;
/// Half around.
pub(super) const HALF: i64 = MAX_X as i64;

/// A difference of two longitudes the shorter way around; one of exactly half a turn stays.
pub(super) const fn shorter(dx: i64) -> i64 {
    if dx > HALF {
        dx - TURN
    } else if dx < -HALF {
        dx + TURN
    } else {
        dx
    }
}

/// A longitude within a turn and a half as one of a point.
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most half a turn fits 32 bits"
)]
pub(super) const fn wrapped(x: i64) -> i32 {
    shorter(x) as i32
}
