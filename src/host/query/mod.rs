//! Queries beside the main thread.
//!
//! The server runs commands one by one, so a query over a hundred million samples would stop ten
//! thousand sensors. A long one goes this way instead:
//!
//! ```text
//! main thread   command --> cost above inline-samples? --> snapshot, block the client, enqueue
//!                  ^ other clients are served                             |
//!                  |                                                      v
//! worker           |                          rows, then reply text, into the waiting client
//!                  |                                                      |
//! main thread      `-- the server sends what is there  <-- unblock -------'
//! ```
//!
//! A snapshot shares the sealed blocks, which nobody changes, so neither a write nor a deletion
//! waits for the query or disturbs it: whoever lets go of a block last frees it. A search of a fleet or
//! of fences is tried with the threshold for a budget, and copies what it needs. A short query,
//! and any in a place that cannot wait (a transaction, a script, another module, the stream of a
//! master), runs where it is, under the same limits.

mod blocked;
mod later;
mod pool;
mod run;
mod stats;

use super::context::Context;
use super::execution::ServerHost;
use super::reply::ServerReply;
use super::settings;
use super::stats::took;
use crate::command::args::Args;
use crate::command::error::Result;
use crate::command::host::{Later, Query};
use blocked::BlockedClient;
use later::LaterJob;
pub(super) use pool::POOL;
use run::QueryRun;
pub(super) use stats::STATS;

/// Answers a query, now or later.
///
/// # Errors
/// Those of the query, and `TooManyQueries`.
pub(super) fn answer(
    context: Context<'_>,
    reply: &ServerReply<'_>,
    query: impl Query,
) -> Result<()> {
    let limits = settings::STATE.query_limits();
    let run = QueryRun::new(limits);
    if query.cost(limits.inline_samples).total() <= limits.inline_samples {
        return answer_with(context, reply, &run, &query);
    }
    let flags = context.flags();
    if !flags.may_wait() {
        return answer_at_once(context, reply, &query);
    }
    let place = POOL.reserve(limits.max_queries)?;
    let job = Box::new(query.detach());
    let client = BlockedClient::new(context, flags.is_resp3());
    POOL.submit(place, client, job, run);
    Ok(())
}

/// Answers a query now, under the limits of queries that the server waits for.
///
/// # Errors
/// Those of the query.
pub(super) fn answer_at_once(
    context: Context<'_>,
    reply: &ServerReply<'_>,
    query: &impl Query,
) -> Result<()> {
    let run = QueryRun::on_main_thread(settings::STATE.query_limits());
    answer_with(context, reply, &run, query)
}

/// Answers a query on the main thread, and counts it.
fn answer_with(
    context: Context<'_>,
    reply: &ServerReply<'_>,
    run: &QueryRun,
    query: &impl Query,
) -> Result<()> {
    let answered = query.answer(run, reply);
    STATS.end_inline(answered.as_ref().err());
    took(context.server(), c"iot-query", run.elapsed());
    answered
}

/// Does work now, or beside the main thread: see `Host::later`.
///
/// # Errors
/// Those of the work, and `TooManyQueries`.
pub(super) fn later<L: Later>(host: &ServerHost<'_>, args: Args<'_>, mut work: L) -> Result<()> {
    let context = host.context();
    let flags = context.flags();
    if !flags.may_wait() {
        work.work();
        return work.finish(host, args);
    }
    let limits = settings::STATE.query_limits();
    let place = POOL.reserve(limits.max_queries)?;
    let client = BlockedClient::new(context, flags.is_resp3());
    let job = Box::new(LaterJob::new(client.id(), work));
    POOL.submit(place, client, job, QueryRun::new(limits));
    Ok(())
}
