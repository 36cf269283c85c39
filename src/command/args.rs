//! A cursor over the arguments of a command.

use super::error::{Error, Result, Token};
use super::host::Key;
use super::number;
use crate::engine;

/// The arguments not yet read. Every command reads them to the end: [`Args::finish`] refuses what
/// is left over.
#[derive(Clone, Copy, Debug)]
pub struct Args<'a> {
    all: &'a [&'a [u8]],
    next: usize,
}

impl<'a> Args<'a> {
    /// The arguments of a command as the client sent them; its name stands at 0.
    pub const fn new(all: &'a [&'a [u8]]) -> Self {
        Self { all, next: 1 }
    }

    /// Arguments without the name of a command in front.
    pub const fn behind_name(all: &'a [&'a [u8]]) -> Self {
        Self { all, next: 0 }
    }

    /// The number of arguments not yet read.
    pub const fn len(&self) -> usize {
        self.all.len().saturating_sub(self.next)
    }

    /// Whether all were read.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The next argument, which stays unread.
    pub fn peek(&self) -> Option<&'a [u8]> {
        self.all.get(self.next).copied()
    }

    /// The arguments not yet read, as a slice.
    pub fn rest(&self) -> &'a [&'a [u8]] {
        self.all.get(self.next..).unwrap_or_default()
    }

    /// Reads the next argument; `what` names it in the error.
    ///
    /// # Errors
    /// `MissingValue` at the end.
    pub fn take(&mut self, what: &'static str) -> Result<&'a [u8]> {
        let argument = self.peek().ok_or(Error::MissingValue(what))?;
        self.next += 1;
        Ok(argument)
    }

    /// Reads the name of a key.
    ///
    /// # Errors
    /// `MissingValue` at the end.
    pub fn key(&mut self) -> Result<Key<'a>> {
        let index = self.next;
        Ok(Key {
            name: self.take("key")?,
            index,
        })
    }

    /// Where the next argument stands.
    pub const fn index(&self) -> usize {
        self.next
    }

    /// The arguments from a place on.
    pub const fn at(&self, index: usize) -> Self {
        Self {
            all: self.all,
            next: index,
        }
    }

    /// The key that stands at a place, read or not.
    pub fn key_at(&self, index: usize) -> Option<Key<'a>> {
        let name = self.all.get(index)?;
        Some(Key { name, index })
    }

    /// Reads a number of keys, and the keys.
    ///
    /// # Errors
    /// `Invalid`, `MissingValue`, a limit for more than `max`.
    pub fn counted_keys(&mut self, max: usize) -> Result<Vec<Key<'a>>> {
        let text = self.take("numkeys")?;
        let count = match number::whole(text).map(usize::try_from) {
            Some(Ok(count)) if count > 0 => count,
            _ => {
                let what = "numkeys must be a positive integer";
                return Err(Error::Invalid(what, Token::from(text)));
            }
        };
        if count > max {
            let max = max as u64;
            return Err(engine::Error::Limit { what: "keys", max }.into());
        }
        (0..count).map(|_| self.key()).collect()
    }

    /// Reads the next argument if it is `word`, in any case.
    pub fn keyword(&mut self, word: &str) -> bool {
        let found = self
            .peek()
            .is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        self.next += usize::from(found);
        found
    }

    /// The arguments before and after the first `word`, in any case; `None` where there is none.
    pub fn split_at_keyword(&self, word: &str) -> Option<(Self, Self)> {
        let mut rest = self.rest().iter();
        let at = rest.position(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))? + self.next;
        let before = Self {
            all: self.all.get(..at)?,
            ..*self
        };
        Some((
            before,
            Self {
                next: at + 1,
                ..*self
            },
        ))
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// `UnknownArgument` with the first argument that nobody read.
    pub fn finish(&self) -> Result<()> {
        self.peek().map_or(Ok(()), |left| {
            Err(Error::UnknownArgument(Token::from(left)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_over_is_refused_by_name() {
        let all: [&[u8]; 4] = [b"IOT.X", b"key", b"Count", b"5"];
        let mut args = Args::new(&all);
        assert_eq!(args.key().unwrap().index, 1);
        assert!(!args.keyword("LATEST"));
        assert!(args.keyword("COUNT"));
        assert_eq!(
            args.finish(),
            Err(Error::UnknownArgument(Token::from(&b"5"[..])))
        );
        assert_eq!(args.take("count"), Ok(&b"5"[..]));
        assert_eq!(args.finish(), Ok(()));
        assert_eq!(args.take("count"), Err(Error::MissingValue("count")));
    }
}
