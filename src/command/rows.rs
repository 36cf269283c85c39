//! Questions whose answer is rows: a range query over one series.

use std::borrow::Cow;

use super::error::Result;
use super::host::{Query, Reply, Run};
use crate::engine::Series;
use crate::engine::query::{Cost, Halted, RangeQuery, Rows};

/// Samples from which on a query is worth being shared between threads.
const SHARED_SAMPLES: u64 = 1 << 21;
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
        let rows = self.rows(cost, run)?;
        run.admit_reply(values(&rows))?;
        send(rows, run, reply);
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

/// Most shares that queries are dealt out in to threads.
const MAX_SHARES: usize = 64;

/// The rows of many queries, in order.
pub(super) fn of_each<T: Sync, R: Run>(
    queries: &[T],
    cost: Cost,
    run: &R,
    rows_of: impl Fn(&T) -> Result<Rows, Halted> + Sync,
) -> Result<Vec<Rows>> {
    let rows_of_share = |share: &[T]| share.iter().map(&rows_of).collect::<Result<Vec<_>, _>>();
    let halted = |_| run.why_halted();
    if cost.samples < SHARED_SAMPLES || !run.has_help() {
        return rows_of_share(queries).map_err(halted);
    }
    let share_len = queries.len().div_ceil(MAX_SHARES).max(1);
    let shares: Vec<&[T]> = queries.chunks(share_len).collect();
    let mut all = Vec::with_capacity(queries.len());
    for rows in run.share(shares.len(), |at| rows_of_share(shares[at])) {
        all.extend(rows.map_err(halted)?);
    }
    Ok(all)
}

/// How many numbers a reply with rows has: their times, and their values.
pub(super) fn values(rows: &Rows) -> u64 {
    (rows.len() as u64).saturating_mul(1 + rows.width() as u64)
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
