//! A text in 24 bytes, which most keys and values of labels need no allocation beside.
//!
//! ```text
//! | 0 | length | up to 22 bytes            |
//! | 1 |  -  -  -  -  -  -  | address | length |
//! ```

use std::mem::size_of;

use super::dictionary::Named;
use super::rounded;
use crate::engine::relocate::Mover;

/// Longest text that lies inside, in bytes.
const INLINE_BYTES: usize = 22;

/// An immutable string of any bytes.
#[derive(Clone, Debug)]
pub(in crate::engine) enum Text {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Heap(Box<[u8]>),
}

const _: () = assert!(size_of::<Option<Text>>() == 24, "a slot is no larger");

impl Text {
    pub(in crate::engine) fn new(text: &[u8]) -> Self {
        match u8::try_from(text.len()) {
            Ok(len) if text.len() <= INLINE_BYTES => {
                let mut bytes = [0; INLINE_BYTES];
                bytes[..text.len()].copy_from_slice(text);
                Self::Inline { len, bytes }
            }
            _ => Self::Heap(text.into()),
        }
    }

    /// Shows its allocation to a mover.
    pub(in crate::engine) fn relocate(&mut self, mover: &mut impl Mover) {
        if let Self::Heap(text) = self {
            mover.slice(text);
        }
    }

    /// Bytes allocated beside it.
    pub(in crate::engine) fn heap_bytes(&self) -> usize {
        match self {
            Self::Inline { .. } => 0,
            Self::Heap(text) => rounded(text.len()),
        }
    }
}

impl Named for Text {
    fn name(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Heap(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_length_read_back() {
        for len in [0, 1, INLINE_BYTES, INLINE_BYTES + 1, 255, 256, 5000] {
            let given = vec![0xa5; len];
            let text = Text::new(&given);
            assert_eq!(text.name(), given);
            assert_eq!(text.heap_bytes() == 0, len <= INLINE_BYTES);
        }
    }
}
