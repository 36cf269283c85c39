//! A search that is tried where it is asked, and goes elsewhere if it is long.
//!
//! ```text
//! cost     search with a budget of redis-iot.inline-samples --> found, or given up
//! answer   what was found, if anything; else search, here or of a copy, under the limits of queries
//! ```
//!
//! How long a search takes cannot be told but by searching; so one that is short is done when that is
//! known, and nothing is done twice.

use std::cell::OnceCell;

use crate::command::error::{Error, Result};
use crate::command::host::Run;
use crate::engine::query::{Budget, Cost, Halted, Watch};

/// What is searched for.
pub(super) trait Search {
    /// What is found.
    type Found;

    /// Searches.
    ///
    /// # Errors
    /// `Halted` by the watch.
    fn search(&self, watch: &impl Watch) -> Result<Self::Found, Halted>;
}

/// The result of a search that was tried: what it took, and what was found; `None` where it was given
/// up.
#[derive(Debug)]
pub(super) struct Attempt<T>(OnceCell<Option<(u64, T)>>);

impl<T> Default for Attempt<T> {
    fn default() -> Self {
        Self(OnceCell::new())
    }
}

impl<T> Attempt<T> {
    /// Tries a search the first time that this is called, and says what it takes: what it did, or more
    /// than `enough`.
    pub(super) fn cost(&self, search: &impl Search<Found = T>, enough: u64) -> Cost {
        let tried = self.0.get_or_init(|| {
            let budget = Budget::new(enough);
            let found = search.search(&budget).ok()?;
            Some((budget.spent(), found))
        });
        let spent = tried.as_ref().map(|(spent, _)| *spent);
        samples(spent.unwrap_or(enough.saturating_add(1)))
    }

    /// Replies with what is found, at once or by searching now.
    ///
    /// # Errors
    /// `TooManySamples`, `TooLong`, `Cancelled`.
    pub(super) fn answer(
        &self,
        search: &impl Search<Found = T>,
        run: &impl Run,
        reply: impl FnOnce(&T),
    ) -> Result<()> {
        if let Some(Some((spent, found))) = self.0.get() {
            run.admit(samples(*spent))?;
            reply(found);
            return Ok(());
        }
        run.admit(samples(0))?;
        let found = search.search(run).map_err(|Halted| run.why_halted())?;
        if run.is_in_vain() {
            return Err(Error::Cancelled);
        }
        reply(&found);
        Ok(())
    }
}

fn samples(samples: u64) -> Cost {
    Cost {
        samples,
        ..Cost::default()
    }
}
