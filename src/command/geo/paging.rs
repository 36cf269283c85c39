//! How much of what is found a reply has, and where the next one goes on.

use super::count;
use super::limits::Limits;
use crate::command::args::Args;
use crate::command::creation::set;
use crate::command::error::Result;

/// What a cursor must be.
pub(super) const CURSOR: &str = "CURSOR must be a number that a page came with";

/// `COUNT n`, or `LIMIT n`, and `CURSOR cursor`.
#[derive(Debug, Default)]
pub(super) struct Paging {
    most: Option<i64>,
    cursor: Option<i64>,
}

impl Paging {
    /// Reads `COUNT n` if it is there; says whether it was.
    pub(super) fn take_count(&mut self, args: &mut Args<'_>) -> Result<bool> {
        self.take_most(args, "COUNT", "COUNT must be a positive integer")
    }

    /// Reads `LIMIT n` if it is there; says whether it was.
    pub(super) fn take_limit(&mut self, args: &mut Args<'_>) -> Result<bool> {
        self.take_most(args, "LIMIT", "LIMIT must be a positive integer")
    }

    fn take_most(
        &mut self,
        args: &mut Args<'_>,
        word: &'static str,
        invalid: &'static str,
    ) -> Result<bool> {
        let is_there = args.keyword(word);
        if is_there {
            let most = count(args, word, invalid, 1..=i64::MAX)?;
            set(&mut self.most, word, most)?;
        }
        Ok(is_there)
    }

    /// Reads the `CURSOR` of a page in the order of numbers if it is there; says whether it was.
    pub(super) fn take_cursor(&mut self, args: &mut Args<'_>) -> Result<bool> {
        let is_there = args.keyword("CURSOR");
        if is_there {
            let at = count(args, "CURSOR", CURSOR, 0..=u32::MAX.into())?;
            set(&mut self.cursor, "CURSOR", at)?;
        }
        Ok(is_there)
    }

    /// How much a reply has at most: what the client wants, as far as it may.
    pub(super) fn most(&self, default: i64, limits: &Limits) -> usize {
        let wanted = self.most.unwrap_or(default);
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        wanted.min(limits.results())
    }

    /// The number with which it begins.
    pub(super) fn first(&self) -> u32 {
        let first = self.cursor.and_then(|cursor| cursor.try_into().ok());
        first.unwrap_or(0)
    }
}
