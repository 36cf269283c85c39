//! Finding the scale of values from a few of them.
//!
//! The fewest decimal places that meet a sample are found first; where the digits seem not to end,
//! ratios of 3, 9 and 7 are tried. Nothing here decides: what is found is priced as a whole.

use super::bytes::{fold, significant_bits};
use super::image::{Image, MAX_PLACES, Scale};

/// Values looked at.
pub(super) const SAMPLE: usize = 32;
/// Corrections up to this, in units of the last place, count as rounding of the source.
const NEAR: u64 = 64;
/// Denominators beside powers of ten. 3 serves 6, 12 and 60 too, 9 serves 18 and 3600.
const QUOTIENTS: [u8; 3] = [3, 9, 7];
/// Decimal places of the numerator of a ratio.
const MAX_POWER: u8 = 4;

/// Up to [`SAMPLE`] values from all over.
pub(super) fn sample(values: &[f64]) -> ([f64; SAMPLE], usize) {
    let len = values.len().min(SAMPLE);
    let mut picked = [0.0; SAMPLE];
    for (index, pick) in picked.iter_mut().enumerate().take(len) {
        *pick = values[index * values.len() / len];
    }
    (picked, len)
}

fn decimal(places: u8) -> Scale {
    match Scale::of(Image::Decimal { places }) {
        Ok(Some(scale)) => scale,
        _ => unreachable!("BUG: places over their limit"),
    }
}

/// The fewest places that meet a value, or come near it; at least `from` where they meet it.
fn places_of(value: f64, from: u8) -> Option<u8> {
    let mut near = None;
    for places in 0..=MAX_PLACES {
        let Some((_, correction)) = decimal(places).try_value(value) else {
            break;
        };
        if correction == 0 && places >= from {
            return Some(places);
        }
        if near.is_none() && correction.unsigned_abs() <= NEAR {
            near = Some(places);
        }
    }
    near
}

/// What a value would cost at a scale, in bits, were its digits random.
fn price(value: f64, places: u8) -> u32 {
    let digits = u32::from(places) * 10 / 3;
    match decimal(places).try_value(value) {
        None => 72,
        Some((_, 0)) => digits,
        Some((_, correction)) => {
            let bits = significant_bits(fold(correction));
            digits + bits + if bits > 8 { 10 } else { 0 }
        }
    }
}

/// The decimal places that serve a sample best; `None` where none serves.
pub(super) fn decimal_places(sample: &[f64], at_least: u8) -> Option<u8> {
    let (mut tried, mut places) = (0_u16, at_least);
    for &value in sample {
        if decimal(places)
            .try_value(value)
            .is_some_and(|(_, correction)| correction == 0)
        {
            tried |= 1 << places;
        } else if let Some(found) = places_of(value, places) {
            tried |= 1 << found;
            places = places.max(found);
        }
    }
    let candidates = (0..=MAX_PLACES).filter(|places| tried >> places & 1 != 0);
    candidates.min_by_key(|&places| {
        sample
            .iter()
            .map(|&value| price(value, places))
            .sum::<u32>()
    })
}

/// A ratio that serves nearly all of a sample; `places` are those of its decimals, if any.
pub(super) fn ratio(sample: &[f64], places: Option<u8>) -> Option<Image> {
    let tolerated = sample.len() / 8;
    for quotient in QUOTIENTS {
        for power in 0..=MAX_POWER.min(places.unwrap_or(MAX_PLACES)) {
            let image = Image::Ratio {
                quotient,
                power,
                places,
            };
            let Ok(Some(scale)) = Scale::of(image) else {
                continue;
            };
            let is_far = |value: &&f64| {
                let met = scale.try_value(**value);
                met.is_none_or(|(_, correction)| correction.unsigned_abs() > NEAR)
            };
            if sample.iter().filter(is_far).take(tolerated + 1).count() <= tolerated {
                return Some(image);
            }
        }
    }
    None
}
