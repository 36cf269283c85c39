//! What is counted of the commands that write, for whoever watches the server.
//!
//! A command says what came of each sample, fix or event; the host keeps the numbers, which only grow
//! and begin at 0 with the process. What a master or the append-only file sends is counted like what a
//! client does: they tell what this process has done. There, a sample that was new over there is
//! new here, and nothing is rejected.

use super::derived::DESTINATION;
use super::error::Error;
use super::host::Host;
use crate::engine::series::Added;
use crate::engine::{self, Timestamp};

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// A sample was stored at a time that had none.
    Added,
    /// One of those was not newer than the newest.
    Late,
    /// A sample at a time that had one has changed its value.
    Updated,
    /// A sample at a time that had one has changed nothing.
    Unchanged,
    /// `IGNORE` has left a sample out.
    Ignored,
    /// A rule has stored a sample in its destination.
    Derived,
    /// A sample was deleted by a command.
    Deleted,
    /// A sample was refused: older than the retention window, or an increment of the past.
    RejectedOld,
    /// There was one at its time, and the policy is `BLOCK`.
    RejectedDuplicate,
    /// It would have been combined with NaN.
    RejectedNan,
    /// The series belongs to a rule.
    RejectedDestination,
    /// There was no such series.
    RejectedNoSeries,
    /// The key holds another type.
    RejectedWrongType,
    /// It could not be read, or a limit was reached.
    RejectedInvalid,
    /// A fix has become the position of its device.
    FixTaken,
    /// A fix was older than the position of its device.
    FixLate,
    /// A filter of the fleet has held a fix back.
    FixFiltered,
    /// A fix was refused.
    FixRejected,
    /// An event was published on a channel.
    EventPublished,
    /// An event was appended to a stream.
    EventAppended,
    /// An event found no stream at its key.
    EventDropped,
}

impl Counter {
    /// All, in order.
    pub const ALL: [Self; 21] = [
        Self::Added,
        Self::Late,
        Self::Updated,
        Self::Unchanged,
        Self::Ignored,
        Self::Derived,
        Self::Deleted,
        Self::RejectedOld,
        Self::RejectedDuplicate,
        Self::RejectedNan,
        Self::RejectedDestination,
        Self::RejectedNoSeries,
        Self::RejectedWrongType,
        Self::RejectedInvalid,
        Self::FixTaken,
        Self::FixLate,
        Self::FixFiltered,
        Self::FixRejected,
        Self::EventPublished,
        Self::EventAppended,
        Self::EventDropped,
    ];

    /// What a refusal of a sample counts as.
    pub(super) fn of_refusal(error: &Error) -> Self {
        match error {
            Error::Engine(error) => Self::of_engine(error),
            Error::NoSuchKey => Self::RejectedNoSeries,
            Error::WrongType => Self::RejectedWrongType,
            Error::Conflict(why) if *why == DESTINATION => Self::RejectedDestination,
            _ => Self::RejectedInvalid,
        }
    }

    const fn of_engine(error: &engine::Error) -> Self {
        match error {
            engine::Error::OlderThanRetention | engine::Error::BackInTime => Self::RejectedOld,
            engine::Error::Duplicate => Self::RejectedDuplicate,
            engine::Error::NotANumber | engine::Error::IncrementOfNan => Self::RejectedNan,
            _ => Self::RejectedInvalid,
        }
    }
}

/// What came of samples that are written one after the other to one series.
#[derive(Debug)]
pub(super) struct Tally {
    counts: [u64; Counter::ALL.len()],
    newest_ms: Timestamp,
}

impl Tally {
    /// Begins with a series whose newest sample is at that time.
    pub(super) const fn new(newest_ms: Option<Timestamp>) -> Self {
        Self {
            counts: [0; Counter::ALL.len()],
            newest_ms: match newest_ms {
                Some(newest_ms) => newest_ms,
                None => Timestamp::MIN,
            },
        }
    }

    /// Notes what came of a sample.
    #[inline]
    pub(super) fn note(&mut self, time_ms: Timestamp, outcome: &engine::Result<Added>) {
        let counter = match outcome {
            Ok(added) => of_added(*added),
            Err(error) => Counter::of_engine(error),
        };
        self.counts[counter as usize] += 1;
        if matches!(outcome, Ok(Added::Stored)) {
            self.counts[Counter::Late as usize] += u64::from(time_ms <= self.newest_ms);
            self.newest_ms = self.newest_ms.max(time_ms);
        }
    }

    /// Counts what was noted.
    pub(super) fn count<H: Host>(&self, host: &H) {
        for (counter, &by) in Counter::ALL.into_iter().zip(&self.counts) {
            if by > 0 {
                host.count(counter, by);
            }
        }
    }
}

/// Counts what came of one sample, for which the newest was at `newest_ms` before.
#[inline]
pub(super) fn count_added<H: Host>(
    host: &H,
    added: Added,
    time_ms: Timestamp,
    newest_ms: Option<Timestamp>,
) {
    host.count(of_added(added), 1);
    if added == Added::Stored && newest_ms.is_some_and(|newest_ms| time_ms <= newest_ms) {
        host.count(Counter::Late, 1);
    }
}

const fn of_added(added: Added) -> Counter {
    match added {
        Added::Stored => Counter::Added,
        Added::Updated(_) => Counter::Updated,
        Added::Unchanged => Counter::Unchanged,
        Added::Ignored => Counter::Ignored,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_in_order() {
        for (place, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, place);
        }
    }
}
