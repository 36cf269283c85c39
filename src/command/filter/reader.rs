//! A cursor over the bytes of one filter.

use std::borrow::Cow;

use super::super::error::{Error, Token};
use super::Result;

/// The bytes of an argument that are not yet read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// Whether `word` comes next, in any case.
    pub(super) fn has(&self, word: &[u8]) -> bool {
        let next = self.rest().get(..word.len());
        next.is_some_and(|next| next.eq_ignore_ascii_case(word))
    }

    /// Reads `word` if it comes next.
    pub(super) fn eat(&mut self, word: &[u8]) -> bool {
        let found = self.has(word);
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// A refusal of what begins at a byte of the argument.
    pub(super) fn refuse(&self, what: &'static str, from: usize) -> Error {
        Error::Filter {
            what,
            text: Token::from(self.text.get(from..).unwrap_or_default()),
            at: from + 1,
        }
    }

    /// Reads a text in quotes if a quote comes next, else bytes until one at which `is_end` holds.
    ///
    /// # Errors
    /// `Filter` for quotes that do not close or an unknown escape.
    pub(super) fn text(&mut self, is_end: impl Fn(&Self) -> bool) -> Result<Cow<'a, [u8]>> {
        if self.has(b"\"") {
            return self.quoted().map(Cow::Owned);
        }
        let from = self.at;
        while !self.is_at_end() && !is_end(self) {
            self.at += 1;
        }
        Ok(Cow::Borrowed(&self.text[from..self.at]))
    }

    fn quoted(&mut self) -> Result<Vec<u8>> {
        let from = self.at;
        let mut text = Vec::new();
        self.at += 1;
        while let Some((&byte, rest)) = self.rest().split_first() {
            self.at += 1;
            match byte {
                b'"' => return Ok(text),
                b'\\' => {
                    let (byte, len) = escaped(rest)
                        .ok_or_else(|| self.refuse("an unknown escape", self.at - 1))?;
                    text.push(byte);
                    self.at += len;
                }
                _ => text.push(byte),
            }
        }
        Err(self.refuse("a quoted text has no end", from))
    }
}

/// The byte that stands behind a backslash, and in how many.
fn escaped(rest: &[u8]) -> Option<(u8, usize)> {
    match rest {
        [byte @ (b'"' | b'\\'), ..] => Some((*byte, 1)),
        [b'n', ..] => Some((b'\n', 1)),
        [b'x', digits @ ..] => {
            let digit = |at: usize| char::from(*digits.get(at)?).to_digit(16);
            let byte = digit(0)? << 4 | digit(1)?;
            Some((u8::try_from(byte).ok()?, 3))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_have_any_bytes() {
        let text = |text: &'static str| {
            let mut reader = Reader::new(text.as_bytes());
            let read = reader.text(|reader| reader.has(b",")).unwrap();
            (read.into_owned(), reader.rest())
        };
        assert_eq!(text("a\"b,c"), (b"a\"b".to_vec(), &b",c"[..]));
        assert_eq!(text(r#""a,b",c"#), (b"a,b".to_vec(), &b",c"[..]));
        let escapes = r#""\"\\\n\x00\xfF""#;
        assert_eq!(text(escapes), (b"\"\\\n\0\xff".to_vec(), &b""[..]));
        assert_eq!(text(r#""""#), (Vec::new(), &b""[..]));
        assert_eq!(text(""), (Vec::new(), &b""[..]));
    }

    #[test]
    fn quotes_and_escapes_that_do_not_end_are_refused_where_they_begin() {
        let refusals = [
            (r#""ab"#, "a quoted text has no end", 1),
            (r#"""#, "a quoted text has no end", 1),
            (r#""a\"#, "an unknown escape", 3),
            (r#""a\t""#, "an unknown escape", 3),
            (r#""a\x1""#, "an unknown escape", 3),
            (r#""a\x+1""#, "an unknown escape", 3),
        ];
        for (text, what, at) in refusals {
            let mut reader = Reader::new(text.as_bytes());
            let refusal = reader.text(|_| false).unwrap_err();
            let expected = Token::from(&text.as_bytes()[at - 1..]);
            let text = expected;
            assert_eq!(refusal, Error::Filter { what, text, at });
        }
    }
}
