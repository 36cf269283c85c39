//! What divides all of a column: found and taken away.
//!
//! Offsets from the first number are divided as doubles, which SIMD does, where dividing integers
//! takes ten times as long. Below 2^51 a quotient without a rest is exact, and one with a rest
//! gives itself away: the nearest integer, times the divisor, is another number.

use super::image::{are_within_limit, float, nearest};
use super::packing::GROUP;

/// The greatest number that divides all differences; 1 where it would overflow or not help.
pub(super) fn common_divisor(numbers: &[i64]) -> i64 {
    let first = numbers[0];
    let mut divisor = 0_u64;
    for group in numbers.chunks(GROUP) {
        // Nearly always multiples of what was found so far.
        if divisor > 1 && are_multiples(group, first, divisor) {
            continue;
        }
        for &number in group {
            let Some(offset) = number.checked_sub(first) else {
                return 1;
            };
            divisor = greatest_common(divisor, offset.unsigned_abs());
            if divisor == 1 {
                return 1;
            }
        }
    }
    match i64::try_from(divisor) {
        Ok(divisor) if divisor > 1 => divisor,
        _ => 1,
    }
}

fn greatest_common(one: u64, other: u64) -> u64 {
    // The multiple first: one division is then all it takes.
    let (mut one, mut other) = (other, one);
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Whether the offsets of a group are multiples of a divisor; false also where none can tell.
fn are_multiples(group: &[i64], first: i64, divisor: u64) -> bool {
    let divisor = divisor.cast_signed();
    let offsets = || group.iter().map(|&number| number.wrapping_sub(first));
    if !are_within_limit(offsets().chain([divisor])) {
        return false;
    }
    let divisor = float(divisor);
    let rests = offsets().map(|offset| {
        let quotient = float(nearest(float(offset) / divisor));
        (quotient * divisor).to_bits() ^ float(offset).to_bits()
    });
    rests.fold(0, |all, rest| all | rest) == 0
}

/// Makes `out` the offsets of numbers from the first of them, divided by what divides them.
pub(super) fn divide(numbers: &[i64], divisor: i64, out: &mut Vec<i64>) {
    out.clear();
    let first = numbers[0];
    let offsets = || numbers.iter().map(|&number| number.wrapping_sub(first));
    if are_within_limit(offsets().chain([divisor])) {
        let divisor = float(divisor);
        out.extend(offsets().map(|offset| nearest(float(offset) / divisor)));
    } else {
        out.extend(offsets().map(|offset| offset / divisor));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_any_size_are_divided() {
        for divisor in [2, 3, 10, 60_000, (1 << 51) - 1, 1 << 51, 1 << 58] {
            for shift in 0..64 {
                let greatest = i64::MAX >> shift;
                let numbers = [-5, 0, 1, -1, 2, greatest / divisor / 2 - 1]
                    .map(|quotient| 7 + quotient * divisor);
                let mut divided = Vec::new();
                divide(&numbers, divisor, &mut divided);
                let again = divided.iter().map(|one| numbers[0] + one * divisor);
                assert!(again.eq(numbers), "{divisor} {numbers:?}");
                assert_eq!(common_divisor(&numbers), divisor);
            }
        }
    }

    #[test]
    fn what_is_no_multiple_is_seen_in_any_group() {
        for at in 1..300 {
            let mut numbers: Vec<i64> = (0..300).map(|index| 600 * index).collect();
            numbers[at] += 60;
            assert_eq!(common_divisor(&numbers), 60);
            numbers[at] -= 59;
            assert_eq!(common_divisor(&numbers), 1);
        }
        assert_eq!(common_divisor(&[i64::MIN, i64::MAX]), 1);
        assert_eq!(common_divisor(&[4, 4, 4]), 1);
    }
}
