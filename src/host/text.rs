//! Text for C: NUL-terminated, on the stack, and safe to stand in a line of the protocol.

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
}

impl NumberText {
    /// Formats `value`: `21.5`, `3`, `-0`, `1e300`, `NaN`, `inf`, `-inf`. No heap.
    pub(super) fn new(value: f64) -> Self {
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
        Self { bytes }
    }

    /// The text.
    #[inline]
    pub(super) fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

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
