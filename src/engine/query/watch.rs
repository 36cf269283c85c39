//! Ending a query before it is done.
//!
//! The engine has no clock and knows no client, so whoever runs a query brings a [`Watch`]: it is
//! asked before each block that is decoded, which is often enough to stop within microseconds and
//! seldom enough to cost nothing.

/// Decides whether a query goes on.
pub trait Watch {
    /// Whether a block of so many samples may be decoded next.
    fn permits(&self, samples: usize) -> bool;
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
