//! Text for C: NUL-terminated, on the stack, and safe to stand in a line of the protocol.

use std::cmp::Ordering;
use std::ffi::CStr;
use std::fmt;

/// A line of at most `N - 1` bytes; what is longer is cut, and control characters become spaces:
/// a NUL would end it, CR or LF would put a client's stream out of step.
pub(super) struct Line<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Line<N> {
    /// An empty line.
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// The line so far.
    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Write for Line<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..N - 1];
        let taken = room.len().min(text.len());
        for (slot, &byte) in room.iter_mut().zip(text.as_bytes()) {
            *slot = if byte.is_ascii_control() { b' ' } else { byte };
        }
        self.len += taken;
        Ok(())
    }
}

/// A number in its shortest form that reads back as the same number.
pub(super) struct NumberText {
    /// Ryu writes at most 24 bytes; the rest is NUL.
    bytes: [u8; 25],
    len: usize,
}

impl NumberText {
    /// Formats `value`: `21.5`, `3`, `-0`, `1e300`, `NaN`, `inf`, `-inf`. No heap.
    #[inline]
    pub(super) fn new(value: f64) -> Self {
        Self::short_decimal(value).unwrap_or_else(|| Self::any(value))
    }

    fn any(value: f64) -> Self {
        let mut buffer = ryu::Buffer::new();
        let text = if value.is_finite() {
            let text = buffer.format_finite(value);
            text.strip_suffix(".0").unwrap_or(text)
        } else if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "inf"
        } else {
            "-inf"
        };
        let mut bytes = [0; 25];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        let len = text.len();
        Self { bytes, len }
    }

    /// Formats a number with at most nine digits before its point and four behind it, as most
    /// readings are: they need no search for the shortest form.
    ///
    /// Fifteen digits tell any two numbers apart, and a division is rounded correctly. So if
    /// `n / 10^p` is the value, then `n` with its point moved by `p` reads back as the value, and
    /// nothing shorter does, `p` being the smallest that serves.
    #[inline]
    fn short_decimal(value: f64) -> Option<Self> {
        const SCALES: [u32; 5] = [1, 10, 100, 1_000, 10_000];
        let magnitude = value.abs();
        let is_minus_zero = value == 0.0 && value.is_sign_negative();
        // NaN is not below anything.
        if is_minus_zero || magnitude.partial_cmp(&1e9) != Some(Ordering::Less) {
            return None;
        }
        for (places, scale) in SCALES.into_iter().enumerate() {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "from 0 to 10^13"
            )]
            let scaled = (magnitude * f64::from(scale) + 0.5) as u64;
            #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
            if scaled as f64 / f64::from(scale) == magnitude {
                return Some(Self::of_digits(value < 0.0, scaled, places));
            }
        }
        None
    }

    /// The number whose digits are those of `scaled`, the last `places` of them behind the point.
    #[inline]
    fn of_digits(is_negative: bool, scaled: u64, places: usize) -> Self {
        // From the end to the front; 14 digits, point and sign at most.
        let mut reversed = [0; 25];
        let (mut rest, mut len) = (scaled, 0);
        let mut put = |byte| {
            reversed[len] = byte;
            len += 1;
        };
        for _ in 0..places {
            put(digit(rest));
            rest /= 10;
        }
        if places > 0 {
            put(b'.');
        }
        put(digit(rest));
        rest /= 10;
        while rest > 0 {
            put(digit(rest));
            rest /= 10;
        }
        if is_negative {
            put(b'-');
        }
        reversed[..len].reverse();
        Self {
            bytes: reversed,
            len,
        }
    }

    /// The text.
    #[inline]
    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_with_nul(&self.bytes[..=self.len]).unwrap_or_default()
    }
}

/// The last digit of a number.
#[inline]
fn digit(number: u64) -> u8 {
    b'0' + (number % 10).to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[track_caller]
    fn check_short(value: f64) {
        let (text, expected) = (NumberText::new(value), NumberText::any(value));
        assert_eq!(text.as_c_str(), expected.as_c_str(), "{value:e}");
    }

    #[test]
    fn a_short_decimal_has_the_text_that_the_search_would_find() {
        for value in [
            0.0,
            1.0,
            0.1 + 0.2,
            0.0001,
            0.00001,
            0.00015,
            999_999_999.999_9,
            1e9,
            1e15,
            1e16,
            5e-324,
            f64::MAX,
            f64::NAN,
            f64::INFINITY,
        ] {
            check_short(value);
            check_short(-value);
        }
        let mut bits = 1_u64;
        for step in 0..200_000_u32 {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            check_short(f64::from_bits(bits));
            let [_, _, _, _, digits @ ..] = bits.to_le_bytes();
            let decimal =
                f64::from(u32::from_le_bytes(digits)) / 10_f64.powi((step % 12).cast_signed());
            for value in [decimal, -decimal, decimal.next_up(), decimal.next_down()] {
                check_short(value);
            }
        }
    }

    #[track_caller]
    fn check_number(value: f64, expected: &str) {
        let text = NumberText::new(value);
        assert_eq!(text.as_c_str().to_str(), Ok(expected));
    }

    #[test]
    fn numbers_are_short_and_read_back() {
        check_number(21.5, "21.5");
        check_number(3.0, "3");
        check_number(-0.0, "-0");
        check_number(0.1 + 0.2, "0.30000000000000004");
        check_number(1e300, "1e300");
        check_number(f64::NAN, "NaN");
        check_number(-f64::NAN, "NaN");
        check_number(f64::INFINITY, "inf");
        check_number(f64::NEG_INFINITY, "-inf");
    }

    #[test]
    fn the_longest_numbers_fit() {
        for value in [-f64::MIN_POSITIVE, -f64::MAX, -1.234_567_890_123_456_7e-300] {
            let text = NumberText::new(value);
            let text = text.as_c_str().to_str().unwrap();
            assert_eq!(text.parse::<f64>().unwrap().to_bits(), value.to_bits());
        }
    }

    #[test]
    fn a_line_is_cut_and_never_holds_what_ends_it() {
        let mut line = Line::<8>::new();
        write!(line, "a\0b\r\n").unwrap();
        write!(line, "cdefg").unwrap();
        write!(line, "more").unwrap();
        assert_eq!(line.as_c_str(), c"a b  cd");
    }
}
