//! Which labels a reply over several series shows.
//!
//! ```text
//! [WITHLABELS | SELECTED_LABELS label ...]
//! ```

use super::args::Args;
use super::error::{Error, Result};
use super::host::Reply;
use crate::engine;
use crate::engine::labels::Labels;

/// Most labels of `SELECTED_LABELS`.
pub(super) const MAX_SELECTED_LABELS: usize = 50;

/// The labels that are shown.
#[derive(Debug, Default)]
pub(super) enum Shown {
    /// None of them.
    #[default]
    Nothing,
    /// All of them.
    All,
    /// These, in this order, whether a series has them or not.
    Selected(Vec<Box<[u8]>>),
}

impl Shown {
    /// Reads the option if there is one; returns whether there was. A list of labels ends where
    /// `is_option` knows a word.
    ///
    /// # Errors
    /// `Conflict` for both forms, or for none or too many labels.
    pub(super) fn take(
        &mut self,
        args: &mut Args<'_>,
        is_option: impl Fn(&[u8]) -> bool,
    ) -> Result<bool> {
        let shown = if args.keyword("WITHLABELS") {
            Self::All
        } else if args.keyword("SELECTED_LABELS") {
            Self::Selected(selected(args, is_option)?)
        } else {
            return Ok(false);
        };
        if !matches!(self, Self::Nothing) {
            return Err(Error::Conflict(
                "cannot accept WITHLABELS and SELECTED_LABELS together, or one of them twice",
            ));
        }
        *self = shown;
        Ok(true)
    }

    /// Whether all labels are shown.
    pub(super) const fn is_all(&self) -> bool {
        matches!(self, Self::All)
    }

    /// Replies with the labels of a series.
    pub(super) fn send(&self, labels: &Labels, reply: &impl Reply) {
        match self {
            Self::Nothing => reply.pairs(0, std::iter::empty()),
            Self::All => reply.pairs(labels.len(), labels.iter().map(some_value)),
            Self::Selected(names) => {
                let values = names.iter().map(|name| (&**name, value_of(labels, name)));
                reply.pairs(names.len(), values);
            }
        }
    }
}

/// A label that is there.
pub(super) fn some_value<'a>((name, value): (&'a [u8], &'a [u8])) -> (&'a [u8], Option<&'a [u8]>) {
    (name, Some(value))
}

/// The value of a label, whose name is found in any case.
fn value_of<'l>(labels: &'l Labels, name: &[u8]) -> Option<&'l [u8]> {
    let found = labels
        .iter()
        .find(|(label, _)| label.eq_ignore_ascii_case(name));
    labels.get(name).or(found.map(|(_, value)| value))
}

fn selected(args: &mut Args<'_>, is_option: impl Fn(&[u8]) -> bool) -> Result<Vec<Box<[u8]>>> {
    let mut names = Vec::new();
    while let Some(name) = args.peek()
        && !is_option(name)
    {
        names.push(args.take("SELECTED_LABELS")?.into());
        if names.len() > MAX_SELECTED_LABELS {
            return Err(Error::Engine(engine::Error::Limit {
                what: "labels in SELECTED_LABELS",
                max: MAX_SELECTED_LABELS as u64,
            }));
        }
    }
    if names.is_empty() {
        return Err(Error::Conflict(
            "SELECTED_LABELS should have at least 1 parameter",
        ));
    }
    Ok(names)
}
