//! What else is said of a device: fields by name, each a number or a text.
//!
//! ```text
//! | name len u8 | name | 0 | f64 le              |
//! | name len u8 | name | 1 | len u16 le | text   |  ..   in the order of names, one allocation
//! ```
//!
//! Most devices have none or a few, so a look-up is a walk. A clone shares the bytes.

use triomphe::ThinArc;

use crate::engine::relocate::Mover;
use crate::engine::table::rounded;
use crate::engine::{Error, Result};

/// Most fields of a device.
pub const MAX_FIELDS: usize = 64;
/// Longest name of a field, in bytes.
pub const MAX_FIELD_NAME_BYTES: usize = 64;
/// Longest text of a field, in bytes.
pub const MAX_FIELD_TEXT_BYTES: usize = 1024;

/// Bytes before the slice in a thin shared allocation: count and length.
const ARC_HEAD: usize = 16;
const NUMBER: u8 = 0;
const TEXT: u8 = 1;
const CORRUPT: Error = Error::Corrupt {
    what: "fields of a device",
};

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// A number.
    Number(f64),
    /// Any bytes. In a change, an empty text removes the field.
    Text(&'a [u8]),
}

impl Value<'_> {
    /// Whether it is stored the same.
    fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one.to_bits() == other.to_bits(),
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

/// The fields of a device.
#[derive(Clone, Debug, Default)]
pub struct Fields(Option<ThinArc<(), u8>>);

impl Fields {
    /// No field.
    pub const NONE: Self = Self(None);

    /// Name and value of each, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Value<'_>)> {
        let mut rest = self.packed();
        std::iter::from_fn(move || take(&mut rest))
    }

    /// The value of a field. O(fields).
    pub fn get(&self, name: &[u8]) -> Option<Value<'_>> {
        let mut all = self.iter();
        all.find(|&(one, _)| one == name).map(|(_, value)| value)
    }

    /// Shows its allocation to a mover.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        if let Some(packed) = &mut self.0 {
            mover.shared(packed);
        }
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes as stored.
    pub(in crate::engine) fn packed(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |packed| &packed.slice)
    }

    /// Reads bytes back, checking all that [`Fields::merged`] ensures.
    ///
    /// # Errors
    /// `Corrupt` where they are not as stored.
    pub(in crate::engine) fn from_packed(packed: &[u8]) -> Result<Self> {
        let (mut rest, mut before, mut count) = (packed, None, 0);
        while !rest.is_empty() {
            let (name, value) = take(&mut rest).ok_or(CORRUPT)?;
            count += 1;
            let is_empty = matches!(value, Value::Text([]));
            let is_sound = check(name, value).is_ok() && !is_empty && count <= MAX_FIELDS;
            if !is_sound || before.is_some_and(|before| before >= name) {
                return Err(CORRUPT);
            }
            before = Some(name);
        }
        Ok(Self::new(packed))
    }

    fn new(packed: &[u8]) -> Self {
        let is_some = !packed.is_empty();
        Self(is_some.then(|| ThinArc::from_header_and_slice((), packed)))
    }

    /// These fields with some changed; `None` where that changes nothing.
    ///
    /// # Errors
    /// `Limit` over [`MAX_FIELDS`], [`MAX_FIELD_NAME_BYTES`] or [`MAX_FIELD_TEXT_BYTES`].
    pub fn merged(&self, changes: &[(&[u8], Value<'_>)]) -> Result<Option<Self>> {
        let is_there = |&(name, value): &(&[u8], Value<'_>)| {
            let stored = self.get(name);
            stored.is_some_and(|stored| stored.is_same(value))
        };
        if changes.iter().all(is_there) {
            return Ok(None);
        }
        let mut all: Vec<(&[u8], Value<'_>)> = self.iter().collect();
        for &(name, value) in changes {
            check(name, value)?;
            let place = all.binary_search_by(|(one, _)| (*one).cmp(name));
            match (place, matches!(value, Value::Text([]))) {
                (Ok(at), false) => all[at].1 = value,
                (Ok(at), true) => drop(all.remove(at)),
                (Err(at), false) => all.insert(at, (name, value)),
                (Err(_), true) => {}
            }
            if all.len() > MAX_FIELDS {
                return Err(Error::Limit {
                    what: "fields of a device",
                    max: MAX_FIELDS as u64,
                });
            }
        }
        let mut packed = Vec::new();
        for (name, value) in all {
            put(name, value, &mut packed);
        }
        Ok(Some(Self::new(&packed)))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let packed = self.0.as_ref();
        packed.map_or(0, |packed| rounded(ARC_HEAD + packed.slice.len()))
    }
}

fn check(name: &[u8], value: Value<'_>) -> Result<()> {
    if name.len() > MAX_FIELD_NAME_BYTES {
        return Err(Error::Limit {
            what: "bytes in the name of a field",
            max: MAX_FIELD_NAME_BYTES as u64,
        });
    }
    match value {
        Value::Text(text) if text.len() > MAX_FIELD_TEXT_BYTES => Err(Error::Limit {
            what: "bytes in the text of a field",
            max: MAX_FIELD_TEXT_BYTES as u64,
        }),
        _ => Ok(()),
    }
}

fn put(name: &[u8], value: Value<'_>, packed: &mut Vec<u8>) {
    packed.push(u8::try_from(name.len()).expect("BUG: a name over its limit"));
    packed.extend(name);
    match value {
        Value::Number(number) => {
            packed.push(NUMBER);
            packed.extend(number.to_le_bytes());
        }
        Value::Text(text) => {
            let len = u16::try_from(text.len()).expect("BUG: a text over its limit");
            packed.push(TEXT);
            packed.extend(len.to_le_bytes());
            packed.extend(text);
        }
    }
}

fn take<'p>(rest: &mut &'p [u8]) -> Option<(&'p [u8], Value<'p>)> {
    let (&len, tail) = rest.split_first()?;
    let (name, tail) = tail.split_at_checked(usize::from(len))?;
    let (&kind, tail) = tail.split_first()?;
    let (value, tail) = match kind {
        NUMBER => {
            let (number, tail) = tail.split_first_chunk()?;
            (Value::Number(f64::from_le_bytes(*number)), tail)
        }
        TEXT => {
            let (len, tail) = tail.split_first_chunk()?;
            let len = usize::from(u16::from_le_bytes(*len));
            let (text, tail) = tail.split_at_checked(len)?;
            (Value::Text(text), tail)
        }
        _ => return None,
    };
    *rest = tail;
    Some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_merged_and_an_empty_text_removes() {
        let none = Fields::default();
        let text = |text: &'static str| Value::Text(text.as_bytes());
        let changes = [
            (&b"b"[..], Value::Number(1.5)),
            (b"a", text("x")),
            (b"c", text("")),
        ];
        let fields = none.merged(&changes).unwrap().unwrap();
        let all: Vec<_> = fields.iter().collect();
        assert_eq!(all, [(&b"a"[..], text("x")), (b"b", Value::Number(1.5))]);
        assert!(fields.merged(&changes[..2]).unwrap().is_none());
        assert!(fields.merged(&[]).unwrap().is_none());
        let fewer = fields.merged(&[(b"a", text("")), (b"b", text("y"))]);
        let fewer = fewer.unwrap().unwrap();
        assert_eq!((fewer.get(b"a"), fewer.get(b"b")), (None, Some(text("y"))));
        let back = Fields::from_packed(fewer.packed()).unwrap();
        assert_eq!(back.packed(), fewer.packed());
        assert!(
            fewer
                .merged(&[(b"b", text(""))])
                .unwrap()
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn sizes_have_limits() {
        let none = Fields::default();
        let number = Value::Number(0.0);
        let names: Vec<String> = (0..=MAX_FIELDS).map(|one| format!("{one:064}")).collect();
        let all: Vec<_> = names.iter().map(|name| (name.as_bytes(), number)).collect();
        assert!(none.merged(&all[1..]).is_ok());
        assert!(none.merged(&all).is_err());
        assert!(
            none.merged(&[(&[0; MAX_FIELD_NAME_BYTES + 1], number)])
                .is_err()
        );
        let long = [1; MAX_FIELD_TEXT_BYTES + 1];
        assert!(none.merged(&[(b"a", Value::Text(&long[1..]))]).is_ok());
        assert!(none.merged(&[(b"a", Value::Text(&long))]).is_err());
        for bad in [
            &b"\x01a"[..],
            b"\x01a\x01\0\0",
            b"\x00\x02",
            b"\x01a\x00\x01",
        ] {
            assert!(Fields::from_packed(bad).is_err());
        }
    }
}
