//! What a command refuses, and the text of each refusal: an interface, so it stands in one place.

use std::fmt::{self, Display, Write};

use crate::engine;

/// A refusal. Nothing has changed when one is replied, unless it is one item's of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The number of arguments cannot be right. The name of the command.
    Arity(&'static str),
    /// The key holds another type.
    WrongType,
    /// There is no such key.
    NoSuchKey,
    /// The key exists already.
    KeyExists,
    /// An argument that is none, or one too many.
    UnknownArgument(Token),
    /// An option that came twice.
    RepeatedArgument(&'static str),
    /// An option without the value that belongs to it.
    MissingValue(&'static str),
    /// An argument whose text is not what belongs there: what it should be, and what it was.
    Invalid(&'static str, Token),
    /// A filter that cannot be read.
    Filter {
        /// What is wrong.
        what: &'static str,
        /// The text for which it is.
        text: Token,
        /// Where that begins in its argument; the first byte is 1.
        at: usize,
    },
    /// A combination of arguments that makes no sense.
    Conflict(&'static str),
    /// A rule that would lead back to its source: the way there.
    Circle(String),
    /// A key that the filter finds, which the user may not touch so.
    NoPermission,
    /// A channel that the user may not publish on.
    NoChannel,
    /// A query that goes through more samples than one may: how many at least, and the most.
    TooManySamples {
        /// What the query goes through, at least.
        samples: u64,
        /// The setting.
        max: u64,
    },
    /// A query that took longer than one may.
    TooLong {
        /// The setting that says how long.
        setting: &'static str,
        /// Its value, in milliseconds.
        max_ms: u64,
    },
    /// More queries at once than there may be, which is this many.
    TooManyQueries(u64),
    /// A query whose client has gone; nobody reads this.
    Cancelled,
    /// A refusal by the engine.
    Engine(engine::Error),
}

/// The result of a command.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// More of something than there may be.
    pub const fn limit(what: &'static str, max: usize) -> Self {
        Self::Engine(engine::Error::limit(what, max))
    }
}

impl From<engine::Error> for Error {
    fn from(error: engine::Error) -> Self {
        Self::Engine(error)
    }
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arity(name) => write!(f, "ERR wrong number of arguments for '{name}' command"),
            Self::WrongType => {
                f.write_str("WRONGTYPE Operation against a key holding the wrong kind of value")
            }
            Self::NoSuchKey => f.write_str("ERR the key does not exist"),
            Self::KeyExists => f.write_str("ERR key already exists"),
            Self::UnknownArgument(token) => write!(f, "ERR unknown argument '{token}'"),
            Self::RepeatedArgument(name) => write!(f, "ERR argument {name} given twice"),
            Self::MissingValue(name) => write!(f, "ERR {name} argument is missing"),
            Self::Invalid(what, token) => write!(f, "ERR {what}: '{token}'"),
            Self::Filter { what, text, at } => {
                write!(f, "ERR filter: {what}, at byte {at}: '{text}'")
            }
            Self::Conflict(what) => write!(f, "ERR {what}"),
            Self::Circle(path) => write!(f, "ERR the rule would close a circle: {path}"),
            Self::NoPermission => f.write_str(
                "NOPERM the filter matches a key that this user has no permission to access",
            ),
            Self::NoChannel => {
                f.write_str("NOPERM this user has no permission to publish on one of the channels")
            }
            Self::TooManySamples { samples, max } => write!(
                f,
                "ERR the query would scan {samples} samples, more than redis-iot.max-samples {max}"
            ),
            Self::TooLong { setting, max_ms } => {
                write!(f, "ERR the query took longer than {setting} {max_ms} ms")
            }
            Self::TooManyQueries(max) => write!(
                f,
                "ERR too many queries at once: redis-iot.max-queries is {max}"
            ),
            Self::Cancelled => f.write_str("ERR the query was cancelled"),
            Self::Engine(error) => write!(f, "ERR {error}"),
        }
    }
}

/// Bytes of a client, made fit for an error text: cut, and escaped where they would not print.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Box<[u8]>);

/// Longest part of a token that an error shows, in bytes.
const SHOWN_BYTES: usize = 64;

impl From<&[u8]> for Token {
    fn from(text: &[u8]) -> Self {
        Self(text[..text.len().min(SHOWN_BYTES)].into())
    }
}

impl Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&byte| match byte {
            b' '..=b'~' => f.write_char(byte.into()),
            _ => write!(f, "\\x{byte:02x}"),
        })
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "'{self}'")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_cut_and_printable() {
        let long = vec![b'x'; 1000];
        assert_eq!(Token::from(&long[..]).to_string().len(), SHOWN_BYTES);
        assert_eq!(
            Token::from("a\0\r\n\u{100}".as_bytes()).to_string(),
            r"a\x00\x0d\x0a\xc4\x80"
        );
    }
}
