//! What commands over several series have in common: `FILTER`, and the series it finds.

use super::args::Args;
use super::error::{Error, Result};
use super::filter;
use super::host::{Host, Purpose, Slot};
use crate::engine::index::Selector;

/// Reads the filters behind `FILTER`, up to the end or a word that `is_option` knows. No filter is
/// such a word, since each has an operator in it.
///
/// # Errors
/// Those of [`filter::parse`].
pub(super) fn filters(args: &mut Args<'_>, is_option: impl Fn(&[u8]) -> bool) -> Result<Selector> {
    let mut filters = Vec::new();
    while let Some(filter) = args.peek()
        && !is_option(filter)
    {
        filters.push(args.take("FILTER")?);
    }
    if filters.is_empty() {
        return Err(Error::Conflict("missing labels for filter argument"));
    }
    filter::parse(&filters)
}

/// The selector of a command that cannot do without.
///
/// # Errors
/// `Conflict`.
pub(super) fn required(selector: Option<Selector>) -> Result<Selector> {
    selector.ok_or(Error::Conflict("missing FILTER argument"))
}

/// Opens the series that a selector finds, in order of their names.
///
/// # Errors
/// Those of [`Host::find`].
pub(super) fn open<'h, H: Host>(
    host: &'h H,
    selector: &Selector,
) -> Result<Vec<(H::Found, H::Read<'h>)>> {
    let found = host.find(selector, Purpose::Read)?;
    let opened = found.into_iter().filter_map(|key| {
        match host.read_found(&key) {
            Slot::Open(series) => Some((key, series)),
            // It has expired since.
            Slot::Missing | Slot::Foreign => None,
        }
    });
    Ok(opened.collect())
}
