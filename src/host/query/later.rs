//! Work beside the main thread that is finished on it.
//!
//! ```text
//! worker        work --> result laid down for its client --> unblock
//! main thread                                                   `--> the client's turn: finish, reply
//!               the client has gone: its result is thrown away
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::blocked::ClientId;
use super::pool::Job;
use super::run::QueryRun;
use crate::command::args::Args;
use crate::command::error::{Error, Result};
use crate::command::host::{Later, Run};
use crate::host::execution::ServerHost;
use crate::host::reply::ServerReply;

/// Work that was done, as an object.
pub(super) trait Done: Send {
    fn finish(self: Box<Self>, host: &ServerHost<'_>, args: Args<'_>) -> Result<()>;
}

impl<L: Later> Done for L {
    fn finish(self: Box<Self>, host: &ServerHost<'_>, args: Args<'_>) -> Result<()> {
        Later::finish(*self, host, args)
    }
}

type Results = HashMap<ClientId, Box<dyn Done>>;

/// Results that wait for the turns of their clients.
static RESULTS: Mutex<Option<Results>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Results>> {
    RESULTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the result for a client.
pub(super) fn take(client: ClientId) -> Option<Box<dyn Done>> {
    lock().as_mut()?.remove(&client)
}

/// A client has gone: `cancel` says so to its work, and what is done already is thrown away.
pub(super) fn forget(client: ClientId, cancel: impl FnOnce()) {
    let mut results = lock();
    // Under the lock, so that no result is laid down for a client that is gone.
    cancel();
    if let Some(results) = &mut *results {
        results.remove(&client);
    }
}

/// Work for a thread of the pool.
pub(super) struct LaterJob<L> {
    client: ClientId,
    work: Mutex<Option<L>>,
}

impl<L: Later> LaterJob<L> {
    pub(super) const fn new(client: ClientId, work: L) -> Self {
        Self {
            client,
            work: Mutex::new(Some(work)),
        }
    }
}

impl<L: Later> Job for LaterJob<L> {
    fn answer(&self, run: &QueryRun, _reply: &ServerReply<'_>) -> Result<()> {
        let work = self
            .work
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut work) = work.filter(|_| !run.is_in_vain()) else {
            return Err(Error::Cancelled);
        };
        work.work();
        let mut results = lock();
        if run.is_in_vain() {
            return Err(Error::Cancelled);
        }
        results
            .get_or_insert_default()
            .insert(self.client, Box::new(work));
        Ok(())
    }
}
