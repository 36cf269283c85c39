//! Doubles as integers.
//!
//! ```text
//! bits        the bit pattern, negative ones flipped, so that integers are in the order of doubles
//! decimal     d = round(v * 10^places)                 v = d / 10^places
//! ratio       k = round(v * q * 10^power)              v = k / (q * 10^power)
//!             and where devices print so many places   v = round(k * 10^(places - power) / q) / 10^places
//! ```
//!
//! Division and not multiplication by 0.1: IEEE division rounds correctly, so a double that was
//! parsed from a decimal of up to 15 digits is met without exception. A ratio serves means of
//! three, ninths (degrees Fahrenheit made Celsius) and sevenths, whose digits never end.
//!
//! What an image misses gets a *correction*: the difference of the bit patterns. Where the source
//! multiplied by 0.1 or added up, that is one or two units in the last place. NaN, infinities and
//! -0.0 are corrections too, large ones, which become patches. So every image serves every double.
//!
//! Only +, -, * and / on doubles below 2^53 are used, each rounded once: the same on every
//! processor with IEEE 754 arithmetic.

use crate::engine::{Error, Result};

/// 10 to the power of the index; all exact.
pub(super) const POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];
/// Most decimal places.
pub(super) const MAX_PLACES: u8 = 15;
/// Integers of an image are less than this in magnitude; 2^51.
pub(super) const LIMIT: f64 = 2_251_799_813_685_248.0;
/// 1.5 * 2^52: added to a number within [`LIMIT`], it leaves the nearest integer in the lower bits.
const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// How doubles are made integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Image {
    /// Ordered bit patterns.
    Bits,
    /// Decimals of so many places.
    Decimal { places: u8 },
    /// Multiples of 1 / (`quotient` * 10^`power`), perhaps rounded to decimal places.
    Ratio {
        quotient: u8,
        power: u8,
        places: Option<u8>,
    },
}

/// A double as the integer of the same rank; its own inverse on integers.
#[inline]
pub(super) const fn ordered(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// An integer within [`LIMIT`] as a double; another one as some double. Unlike `as`, which has no
/// SIMD instruction before AVX-512, this is an addition and a subtraction.
#[inline]
pub(super) const fn float(number: i64) -> f64 {
    let bits = number.wrapping_add(ROUNDER.to_bits().cast_signed());
    f64::from_bits(bits.cast_unsigned()) - ROUNDER
}

/// The integer nearest to a number within [`LIMIT`]; of another one, or none, an integer that is
/// not within it either.
#[inline]
pub(super) fn nearest(number: f64) -> i64 {
    bits_of(number + ROUNDER).wrapping_sub(bits_of(ROUNDER))
}

/// Whether all numbers are within [`LIMIT`], so that [`float`] and [`nearest`] serve them.
#[inline]
pub(super) fn are_within_limit(numbers: impl Iterator<Item = i64>) -> bool {
    const HALF: i64 = 1 << 51;
    let above = numbers.map(|number| number.wrapping_add(HALF).cast_unsigned());
    above.fold(0, |all, one| all | one) >> 52 == 0
}

#[inline]
fn bits_of(value: f64) -> i64 {
    value.to_bits().cast_signed()
}

/// The factor between a value and its integer, and what undoes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    factor: f64,
    /// For decimals 1 / 1.
    up: f64,
    down: f64,
    /// 10^places of what is rounded.
    divisor: f64,
    is_rounded: bool,
}

impl Scale {
    /// The scale of an image; `None` for bit patterns.
    ///
    /// # Errors
    /// `Corrupt` for places and powers that no encoder writes.
    pub(super) fn of(image: Image) -> Result<Option<Self>> {
        let corrupt = Error::Corrupt { what: "scale" };
        let power_of = |places: u8| POWERS.get(usize::from(places)).copied().ok_or(corrupt);
        let scale = match image {
            Image::Bits => return Ok(None),
            Image::Decimal { places } => {
                let factor = power_of(places)?;
                Self {
                    factor,
                    up: 1.0,
                    down: 1.0,
                    divisor: factor,
                    is_rounded: false,
                }
            }
            Image::Ratio {
                quotient,
                power,
                places,
            } => {
                let factor = f64::from(quotient.max(1)) * power_of(power)?;
                match places {
                    None => Self {
                        factor,
                        up: 1.0,
                        down: 1.0,
                        divisor: factor,
                        is_rounded: false,
                    },
                    Some(places) => Self {
                        factor,
                        up: power_of(places.checked_sub(power).ok_or(corrupt)?)?,
                        down: f64::from(quotient.max(1)),
                        divisor: power_of(places)?,
                        is_rounded: true,
                    },
                }
            }
        };
        Ok(Some(scale))
    }

    /// The value of an integer, given as a double.
    #[inline]
    pub(super) fn value_of(&self, number: f64) -> f64 {
        if self.is_rounded {
            self.rounded_value_of(number)
        } else {
            number / self.divisor
        }
    }

    #[inline]
    fn rounded_value_of(&self, number: f64) -> f64 {
        (number * self.up / self.down + ROUNDER - ROUNDER) / self.divisor
    }

    /// The integer nearest to a value, and the correction: 0 where it is met exactly. `None`
    /// where no integer is near.
    #[inline]
    pub(super) fn try_value(&self, value: f64) -> Option<(i64, i64)> {
        let scaled = value * self.factor;
        if scaled.abs() < LIMIT {
            let number = nearest(scaled);
            let correction = bits_of(value) - bits_of(self.value_of(float(number)));
            return Some((number, correction));
        }
        None
    }
}

/// Values as integers; returns how many of them need a correction.
pub(super) fn forward(
    image: Image,
    values: &[f64],
    numbers: &mut Vec<i64>,
    corrections: &mut Vec<i64>,
) -> usize {
    numbers.clear();
    corrections.clear();
    let Ok(Some(scale)) = Scale::of(image) else {
        numbers.extend(values.iter().map(|&value| ordered(bits_of(value))));
        return 0;
    };
    numbers.extend(values.iter().map(|&value| nearest(value * scale.factor)));
    if are_within_limit(numbers.iter().copied()) {
        // Rid of the values out of reach, both loops are SIMD's.
        let pairs = values.iter().zip(&*numbers);
        corrections.extend(pairs.map(|(&value, &number)| {
            bits_of(value).wrapping_sub(bits_of(scale.value_of(float(number))))
        }));
    } else {
        forward_far(&scale, values, numbers, corrections);
    }
    corrections
        .iter()
        .filter(|&&correction| correction != 0)
        .count()
}

/// As [`forward`], of values some of which are out of reach.
fn forward_far(scale: &Scale, values: &[f64], numbers: &mut Vec<i64>, corrections: &mut Vec<i64>) {
    numbers.clear();
    // A value out of reach repeats the integer before, which is cheap wherever it stands.
    let mut before = values
        .iter()
        .find_map(|&value| scale.try_value(value))
        .map_or(0, |(number, _)| number);
    for &value in values {
        let (number, correction) = scale.try_value(value).unwrap_or_else(|| {
            let near = scale.value_of(float(before));
            (before, bits_of(value).wrapping_sub(bits_of(near)))
        });
        numbers.push(number);
        corrections.push(correction);
        before = number;
    }
}

/// What integers mean, for reading them.
#[derive(Clone, Copy, Debug)]
pub(super) enum Target<'a> {
    /// Ordered bit patterns.
    Bits,
    /// Decimals.
    Decimal(Decimal),
    /// Ratios.
    Ratio(Scale),
    /// Indices into the entries of a dictionary.
    Entries(Entries<'a>),
}

/// The entries of a dictionary: the first `len` of the values.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entries<'a> {
    pub(super) values: &'a [f64; MAX_ENTRIES],
    pub(super) len: usize,
}

impl Entries<'_> {
    /// Appends the values of indices.
    ///
    /// # Errors
    /// `Corrupt` where one is none.
    #[inline]
    pub(super) fn look_up(self, indices: &[u32], out: &mut Vec<f64>) -> Result<()> {
        let greatest = indices
            .iter()
            .fold(0, |greatest, &index| index.max(greatest));
        out.extend(indices.iter().map(|&index| self.at(index)));
        self.check(greatest)
    }

    /// The value of an index; some value where it is none.
    #[inline]
    fn at(&self, index: u32) -> f64 {
        self.values[usize::from(index.to_le_bytes()[0])]
    }

    fn check(&self, greatest: u32) -> Result<()> {
        if (greatest as usize) < self.len {
            return Ok(());
        }
        Err(Error::Corrupt {
            what: "index into a dictionary",
        })
    }
}

/// Most entries of a dictionary.
pub(super) const MAX_ENTRIES: usize = 256;

/// Decimals of so many places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal {
    power: f64,
    pub(super) reciprocal: Option<Reciprocal>,
}

impl Decimal {
    /// Integers below 2^29 in magnitude are small: a reciprocal serves them.
    pub(super) const SMALL_BITS: u32 = 29;

    /// The value of an integer of any size.
    #[inline]
    pub(super) fn value_of(&self, number: i64) -> f64 {
        float(number) / self.power
    }

    /// Less than 2^29 for numbers within -2^28..2^28, and at least that for others.
    #[inline]
    const fn magnitude(number: i64) -> u64 {
        number
            .wrapping_add(1 << (Self::SMALL_BITS - 1))
            .cast_unsigned()
    }

    fn convert_all(&self, numbers: &[i64], out: &mut Vec<f64>) {
        let spread = numbers
            .iter()
            .fold(0, |all, &number| all | Self::magnitude(number));
        match self.reciprocal {
            Some(reciprocal) if spread >> Self::SMALL_BITS == 0 => {
                let value_of = |&number| reciprocal.times(float(number));
                out.extend(numbers.iter().map(value_of));
            }
            _ => out.extend(numbers.iter().map(|&number| self.value_of(number))),
        }
    }
}

impl Target<'_> {
    /// What an image means.
    ///
    /// # Errors
    /// As [`Scale::of`].
    pub(super) fn of(image: Image) -> Result<Self> {
        Ok(match (image, Scale::of(image)?) {
            (Image::Decimal { places }, Some(scale)) => Self::Decimal(Decimal {
                power: scale.divisor,
                reciprocal: Reciprocal::of(places),
            }),
            (_, Some(scale)) => Self::Ratio(scale),
            (_, None) => Self::Bits,
        })
    }

    /// Appends the values of integers as they come.
    ///
    /// # Errors
    /// `Corrupt` where one is no index.
    #[inline]
    pub(super) fn convert(
        &self,
        numbers: impl Iterator<Item = i64>,
        out: &mut Vec<f64>,
    ) -> Result<()> {
        // A loop for each, so that none asks a number what it is.
        match self {
            Self::Bits => {
                let value_of = |number| f64::from_bits(ordered(number).cast_unsigned());
                out.extend(numbers.map(value_of));
            }
            Self::Decimal(decimal) => out.extend(numbers.map(|number| decimal.value_of(number))),
            Self::Ratio(scale) if scale.is_rounded => {
                out.extend(numbers.map(|number| scale.rounded_value_of(float(number))));
            }
            Self::Ratio(scale) => out.extend(numbers.map(|number| float(number) / scale.divisor)),
            Self::Entries(entries) => {
                let mut greatest = 0;
                out.extend(numbers.map(|number| {
                    let index = u32::try_from(number).unwrap_or(u32::MAX);
                    greatest = greatest.max(index);
                    entries.at(index)
                }));
                return entries.check(greatest);
            }
        }
        Ok(())
    }

    /// Appends the values of integers below 2^29 in magnitude, two's complement.
    ///
    /// # Errors
    /// As [`Target::convert`].
    #[inline]
    pub(super) fn convert_small(&self, numbers: &[u32], out: &mut Vec<f64>) -> Result<()> {
        let signed = numbers.iter().map(|number| number.cast_signed());
        match self {
            Self::Entries(entries) => entries.look_up(numbers, out),
            Self::Decimal(Decimal {
                reciprocal: Some(reciprocal),
                ..
            }) => {
                out.extend(signed.map(|number| reciprocal.times(f64::from(number))));
                Ok(())
            }
            _ => self.convert(signed.map(i64::from), out),
        }
    }

    /// Appends the values of integers that are all there.
    ///
    /// # Errors
    /// As [`Target::convert`].
    #[inline]
    pub(super) fn convert_all(&self, numbers: &[i64], out: &mut Vec<f64>) -> Result<()> {
        if let Self::Decimal(decimal) = self {
            decimal.convert_all(numbers, out);
            return Ok(());
        }
        self.convert(numbers.iter().copied(), out)
    }
}

/// 10^-places in two pieces: multiplying by it gives exactly what dividing by 10^places gives, at
/// a quarter of the time.
///
/// `high` has the first 24 bits, so that its product with an integer `d` below 2^29 is exact. `low`
/// is the rest, less than 2^-23 of it, and rounded once, as is its product with `d`. So before the
/// one rounding of the sum, the error is at most 2 * 2^-53 * 2^-23 = 2^-75 of the value. The
/// sum rounds otherwise than the quotient only if a midpoint of two doubles lies between. But
/// d / 10^places is no midpoint (that takes 2^47 and more), and since both are fractions over
/// 10^places times a power of two, it is away from any by 1 / (10^places * 2^54) of the value or
/// more: 2^-73.93 for 6 places.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reciprocal {
    high: f64,
    low: f64,
}

impl Reciprocal {
    /// One for each number of decimal places.
    const ALL: [Self; 7] = Self::all();

    /// The reciprocal of 10^`places`, if it serves.
    #[inline]
    pub(super) fn of(places: u8) -> Option<Self> {
        Self::ALL.get(usize::from(places)).copied()
    }

    /// `number` / 10^places, for an integer below 2^29.
    #[inline]
    pub(super) fn times(self, number: f64) -> f64 {
        number * self.high + number * self.low
    }

    const fn all() -> [Self; 7] {
        let mut all = [Self {
            high: 1.0,
            low: 0.0,
        }; 7];
        let mut places = 1;
        while places < all.len() {
            let power = POWERS[places];
            let high = f64::from_bits((1.0 / power).to_bits() >> 29 << 29);
            // Exact: 24 bits by at most 20, and close to 1.
            let rest = 1.0 - high * power;
            let low = rest / power;
            all[places] = Self { high, low };
            places += 1;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiplying_by_a_reciprocal_is_dividing() {
        let mut state = 1_u64;
        for (reciprocal, power) in Reciprocal::ALL.iter().zip(POWERS) {
            let edges = (0..=Decimal::SMALL_BITS).flat_map(|bits| {
                let edge = 1_i64 << bits;
                (-300..300).map(move |offset| edge + offset)
            });
            let random = (0..300_000).map(|_| {
                state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                (state >> 35).cast_signed()
            });
            for number in edges.chain(random) {
                if number.unsigned_abs() >> Decimal::SMALL_BITS != 0 {
                    continue;
                }
                for number in [float(number), -float(number)] {
                    let (product, quotient) = (reciprocal.times(number), number / power);
                    assert_eq!(product, quotient, "{number} / {power}");
                }
            }
        }
    }

    #[test]
    fn a_double_and_its_rank_have_the_same_order() {
        let doubles = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, f64::MIN_POSITIVE, 2.0];
        let ranks = doubles.map(|one| ordered(one.to_bits().cast_signed()));
        assert!(ranks.is_sorted());
        for (rank, double) in ranks.into_iter().zip(doubles) {
            assert_eq!(ordered(rank).cast_unsigned(), double.to_bits());
        }
    }
}
