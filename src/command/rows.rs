//! Questions whose answer is rows: a range query over one series.

use std::borrow::Cow;

use super::error::Result;
use super::host::{Query, Reply, Run};
use crate::engine::Series;
use crate::engine::query::{Cost, RangeQuery, Rows};

/// Samples from which on a query is worth being shared between threads.
pub(super) const SHARED_SAMPLES: u64 = 1 << 21;
/// Samples of one share, about: short enough that all threads end at about the same time.
const SHARE_SAMPLES: u64 = 1 << 19;

/// A range query and the series it is about.
pub(super) struct RangeQuestion<'s> {
    pub(super) query: RangeQuery,
    pub(super) series: Cow<'s, Series>,
}

impl Query for RangeQuestion<'_> {
    type Detached = RangeQuestion<'static>;

    fn cost(&self, enough: u64) -> Cost {
        self.query.cost(&self.series, enough)
    }

    fn detach(self) -> RangeQuestion<'static> {
        RangeQuestion {
            series: Cow::Owned(self.series.into_owned()),
            query: self.query,
        }
    }

    fn answer(&self, run: &impl Run, reply: &impl Reply) -> Result<()> {
        let cost = self.cost(u64::MAX);
        run.admit(cost)?;
        send(self.rows(cost, run)?, run, reply);
        Ok(())
    }
}

impl RangeQuestion<'_> {
    fn rows(&self, cost: Cost, run: &impl Run) -> Result<Rows> {
        let shares = usize::try_from(cost.samples / SHARE_SAMPLES).unwrap_or(usize::MAX);
        if cost.samples < SHARED_SAMPLES || !run.has_help() {
            let rows = self.query.rows(&self.series, run);
            return rows.map_err(|_| run.why_halted());
        }
        let shares = self.query.split(&self.series, shares);
        let answers = run.share(shares.len(), |at| shares[at].rows(&self.series, run));
        let mut rows = Rows::new(1, u64::MAX);
        for answer in answers {
            rows.append(answer.map_err(|_| run.why_halted())?);
        }
        Ok(rows)
    }
}

/// Replies with rows that are few, on the main thread.
pub(super) fn send_at_once(rows: Rows, reply: &impl Reply) {
    reply.array(rows.len());
    for piece in rows.into_pieces() {
        for (time_ms, values) in piece.rows() {
            reply.row(time_ms, values);
        }
    }
}

/// Replies with rows, and frees them on the way.
pub(super) fn send(rows: Rows, run: &impl Run, reply: &impl Reply) {
    reply.array(rows.len());
    for piece in rows.into_pieces() {
        if run.is_in_vain() {
            return;
        }
        for (time_ms, values) in piece.rows() {
            reply.row(time_ms, values);
        }
    }
}
