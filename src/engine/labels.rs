//! Labels: the names by which series are found.
//!
//! A series holds its labels in one allocation, because a million idle series with three labels
//! each must not cost six million small ones:
//!
//! ```text
//! | name len varint | name | value len varint | value | name len | ...
//! ```
//!
//! Names and values are any bytes; the order is the one the client gave.

use super::error::{Error, Result};
use super::relocate::Mover;

/// Most labels one series may carry.
pub const MAX_LABELS: usize = 64;
/// Longest name or value of a label, in bytes.
pub const MAX_LABEL_BYTES: usize = 4096;

/// An immutable set of labels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    packed: Box<[u8]>,
}

impl Labels {
    /// Packs pairs of name and value.
    ///
    /// # Errors
    /// `Limit` over [`MAX_LABELS`] pairs or [`MAX_LABEL_BYTES`] bytes.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Result<Self> {
        let mut packed = Vec::new();
        for (index, (name, value)) in pairs.into_iter().enumerate() {
            if index >= MAX_LABELS {
                return Err(Error::Limit {
                    what: "labels",
                    max: MAX_LABELS as u64,
                });
            }
            push(&mut packed, name)?;
            push(&mut packed, value)?;
        }
        Ok(Self {
            packed: packed.into_boxed_slice(),
        })
    }

    /// Reads the packed form back, checking every length.
    ///
    /// # Errors
    /// `Corrupt` where a length points outside, `Limit` as in [`Labels::new`].
    pub fn from_packed(packed: &[u8]) -> Result<Self> {
        let mut rest = packed;
        let mut pairs = Vec::new();
        while !rest.is_empty() {
            let name = take(&mut rest).ok_or(Error::Corrupt { what: "label name" })?;
            let value = take(&mut rest).ok_or(Error::Corrupt {
                what: "label value",
            })?;
            pairs.push((name, value));
        }
        Self::new(pairs)
    }

    /// Shows its allocation to a mover.
    pub(in crate::engine) fn relocate(&mut self, mover: &mut impl Mover) {
        mover.slice(&mut self.packed);
    }

    /// The packed form, as stored.
    pub fn packed(&self) -> &[u8] {
        &self.packed
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.packed.is_empty()
    }

    /// How many there are. O(labels).
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Name and value of each, in the order given by the client.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = &*self.packed;
        std::iter::from_fn(move || Some((take(&mut rest)?, take(&mut rest)?)))
    }

    /// The value of the label `name`.
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, value)| value)
    }
}

fn push(packed: &mut Vec<u8>, text: &[u8]) -> Result<()> {
    if text.len() > MAX_LABEL_BYTES {
        return Err(Error::Limit {
            what: "bytes in a label",
            max: MAX_LABEL_BYTES as u64,
        });
    }
    // Two bytes of seven bits hold every length up to the limit.
    let [low, high] = u16::try_from(text.len()).unwrap_or(u16::MAX).to_le_bytes();
    if high == 0 && low < 0x80 {
        packed.push(low);
    } else {
        packed.push(low | 0x80);
        packed.push((high << 1) | (low >> 7));
    }
    packed.extend_from_slice(text);
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (&low, mut tail) = rest.split_first()?;
    let mut len = usize::from(low & 0x7f);
    if low & 0x80 != 0 {
        let (&high, after) = tail.split_first()?;
        len |= usize::from(high) << 7;
        tail = after;
    }
    let (text, after) = tail.split_at_checked(len)?;
    *rest = after;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_labels_read_back_as_given() {
        let long = vec![0xff; MAX_LABEL_BYTES];
        let pairs: Vec<(&[u8], &[u8])> = vec![
            (b"room", b"12"),
            (b"\0", &long),
            (&long, b""),
            (b"room2", &long[..128]),
        ];
        let labels = Labels::new(pairs.clone()).unwrap();
        assert_eq!(labels.iter().collect::<Vec<_>>(), pairs);
        assert_eq!(Labels::from_packed(labels.packed()).unwrap(), labels);
        assert_eq!(labels.get(b"room2"), Some(&long[..128]));
        assert_eq!(labels.get(b"none"), None);
    }

    #[test]
    fn limits_hold_at_the_limit_and_one_over() {
        let pair: (&[u8], &[u8]) = (b"a", b"b");
        assert!(Labels::new(vec![pair; MAX_LABELS]).is_ok());
        assert!(Labels::new(vec![pair; MAX_LABELS + 1]).is_err());
        let long = vec![b'x'; MAX_LABEL_BYTES + 1];
        assert!(Labels::new([(&long[1..], &long[1..])]).is_ok());
        assert!(Labels::new([(&long[..], &b"v"[..])]).is_err());
    }

    #[test]
    fn cut_bytes_are_corrupt_and_never_read_outside() {
        let labels = Labels::new([(&b"name"[..], &b"value"[..])]).unwrap();
        for cut in 1..labels.packed().len() {
            assert!(
                Labels::from_packed(&labels.packed()[..cut]).is_err(),
                "cut at {cut}"
            );
        }
    }
}
