//! Ending a query before it is done.
//!
//! The engine has no clock and knows no client, so whoever runs a query brings a [`Watch`]: it is
//! asked before each block that is decoded, and once for some thousand results, which is often enough
//! to stop within microseconds and seldom enough to cost nothing.

use std::cell::Cell;

/// Decides whether a query goes on.
pub trait Watch {
    /// Whether a block of so many samples may be decoded next.
    fn permits(&self, samples: usize) -> bool;

    /// Whether there is time for more, where results are made that no sample stands behind.
    fn has_time(&self) -> bool {
        true
    }
}

/// The watch of a query that always runs to its end.
#[derive(Clone, Copy, Debug)]
pub struct Unwatched;

impl Watch for Unwatched {
    #[inline]
    fn permits(&self, _samples: usize) -> bool {
        true
    }
}

/// The watch of a query that is only tried: it ends where it costs more than so much.
#[derive(Clone, Debug)]
pub struct Budget {
    most: u64,
    spent: Cell<u64>,
}

impl Budget {
    /// A budget that nothing has been taken from.
    pub const fn new(most: u64) -> Self {
        Self {
            most,
            spent: Cell::new(0),
        }
    }

    /// What was asked for so far.
    pub const fn spent(&self) -> u64 {
        self.spent.get()
    }
}

impl Watch for Budget {
    #[inline]
    fn permits(&self, samples: usize) -> bool {
        let spent = self.spent.get().saturating_add(samples as u64);
        self.spent.set(spent);
        spent <= self.most
    }
}

/// A query ended by its watch, which knows why. What it gave so far is not the whole answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Halted;

/// Why a pass over the blocks ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The receiver has all it wants.
    Enough,
    /// The watch has stopped it.
    Halted,
}

impl From<Halted> for End {
    fn from(_: Halted) -> Self {
        Self::Halted
    }
}

/// What is left to say where `Enough` is as good as the end of the blocks.
pub(super) fn outcome(end: Result<(), End>) -> Result<(), Halted> {
    match end {
        Ok(()) | Err(End::Enough) => Ok(()),
        Err(End::Halted) => Err(Halted),
    }
}
