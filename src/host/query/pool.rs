//! The threads that run queries, and the queue in front of them.
//!
//! A thread is started when a query finds none idle and `redis-iot.threads` permits one more; so a
//! server that is never asked a long query has none. A thread that finds itself one too many ends.

use std::collections::VecDeque;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Builder, JoinHandle};

use super::blocked::{BlockedClient, ClientId};
use super::run::QueryRun;
use super::stats::STATS;
use crate::command::error::{Error, Result};
use crate::command::host::{Query, Reply};
use crate::host::guard;
use crate::host::reply::ServerReply;
use crate::host::settings;

/// The pool of this process.
pub(in crate::host) static POOL: Pool = Pool::new();

/// Threads and queue. The lock is held for a few instructions at a time, never while a query runs
/// or the server is called.
pub(in crate::host) struct Pool {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    queue: VecDeque<Task>,
    /// The clients that wait: for a thread, or for the end of their query.
    tickets: Vec<Ticket>,
    threads: usize,
    /// Threads that wait for a task.
    idle: usize,
    /// Helpers at work for the queries that run.
    helpers: usize,
    handles: Vec<JoinHandle<()>>,
    is_stopping: bool,
}

/// A client, and what cancels its query.
struct Ticket {
    client: ClientId,
    is_cancelled: Arc<AtomicBool>,
}

/// A query with its client.
struct Task {
    client: BlockedClient,
    run: QueryRun,
    job: Box<dyn Job>,
}

/// The leave to add one query.
pub(super) struct Place(());

/// A query as an object.
pub(super) trait Job: Send {
    fn answer(&self, run: &QueryRun, reply: &ServerReply<'_>) -> Result<()>;
}

impl<Q: Query + Send> Job for Q {
    fn answer(&self, run: &QueryRun, reply: &ServerReply<'_>) -> Result<()> {
        Query::answer(self, run, reply)
    }
}

impl Pool {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                queue: VecDeque::new(),
                tickets: Vec::new(),
                threads: 0,
                idle: 0,
                helpers: 0,
                handles: Vec::new(),
                is_stopping: false,
            }),
            wake: Condvar::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No panic happens under the lock that would leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a place among at most `max` queries. Only the main thread adds any, so it stays
    /// free until then.
    ///
    /// # Errors
    /// `TooManyQueries`.
    pub(super) fn reserve(&self, max: u64) -> Result<Place> {
        let state = self.lock();
        let is_alive = |ticket: &&Ticket| !ticket.is_cancelled.load(Ordering::Relaxed);
        if state.tickets.iter().filter(is_alive).count() as u64 >= max {
            STATS.refused.fetch_add(1, Ordering::Relaxed);
            return Err(Error::TooManyQueries(max));
        }
        Ok(Place(()))
    }

    /// Hands over a query.
    pub(super) fn submit(
        &'static self,
        _place: Place,
        client: BlockedClient,
        job: Box<dyn Job>,
        run: QueryRun,
    ) {
        let ticket = Ticket {
            client: client.id(),
            is_cancelled: run.cancellation(),
        };
        let task = Task { client, run, job };
        let mut state = self.lock();
        state.tickets.push(ticket);
        state.queue.push_back(task);
        STATS.waiting.fetch_add(1, Ordering::Relaxed);
        if state.idle < state.queue.len() && state.threads < max_threads() {
            self.start_thread(&mut state);
        }
        drop(state);
        self.wake.notify_one();
    }

    fn start_thread(&'static self, state: &mut State) {
        let thread = Builder::new().name("iot-query".into());
        match thread.spawn(|| self.work()) {
            Ok(handle) => {
                state.handles.retain(|handle| !handle.is_finished());
                state.handles.push(handle);
                state.threads += 1;
                STATS.threads.fetch_add(1, Ordering::Relaxed);
            }
            // With none at all the queue would never move.
            Err(error) => assert!(state.threads > 0, "no thread for queries: {error}"),
        }
    }

    /// The life of a thread.
    fn work(&self) {
        make_way();
        while let Some(task) = self.next_task() {
            self.execute(task);
        }
        STATS.threads.fetch_sub(1, Ordering::Relaxed);
    }

    /// Waits for a task; `None` where this thread is to end.
    fn next_task(&self) -> Option<Task> {
        let mut state = self.lock();
        loop {
            if state.is_stopping || state.threads > max_threads() {
                state.threads -= 1;
                drop(state);
                // What woke this thread may have been meant for one that stays.
                self.wake.notify_one();
                return None;
            }
            if let Some(task) = state.queue.pop_front() {
                return Some(task);
            }
            state.idle += 1;
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn execute(&self, task: Task) {
        let Task { client, run, job } = task;
        STATS.waiting.fetch_sub(1, Ordering::Relaxed);
        STATS.running.fetch_add(1, Ordering::Relaxed);
        client.start_clock();
        let error = answer(&client, &run, &*job);
        client.stop_clock();
        let id = client.id();
        self.lock().tickets.retain(|ticket| ticket.client != id);
        STATS.end(error.as_ref());
        STATS.running.fetch_sub(1, Ordering::Relaxed);
        // Before the snapshot is let go of, which may take a while.
        drop(client);
    }

    /// The client has gone.
    pub(super) fn cancel(&self, client: ClientId) {
        let state = self.lock();
        let of_client = |ticket: &&Ticket| ticket.client == client;
        if let Some(ticket) = state.tickets.iter().find(of_client) {
            ticket.is_cancelled.store(true, Ordering::Relaxed);
        }
    }

    /// Whether a thread more than those at work is permitted.
    pub(super) fn has_idle(&self) -> bool {
        self.lock().spare() > 0
    }

    /// Ends all threads, and waits for their end.
    pub(in crate::host) fn stop(&self) {
        let mut state = self.lock();
        state.is_stopping = true;
        for ticket in &state.tickets {
            ticket.is_cancelled.store(true, Ordering::Relaxed);
        }
        let handles = std::mem::take(&mut state.handles);
        drop(state);
        self.wake.notify_all();
        for handle in handles {
            // A thread ends by itself or not at all: panics in queries are caught.
            let _ = handle.join();
        }
    }
}

impl State {
    /// Threads that could be at work, and are not.
    fn spare(&self) -> usize {
        let busy = self.threads - self.idle + self.helpers;
        max_threads().saturating_sub(busy)
    }
}

/// Answers a query, or replies why not; returns the error, if any.
fn answer(client: &BlockedClient, run: &QueryRun, job: &dyn Job) -> Option<Error> {
    let reply = client.reply();
    let outcome = guard::catch(|| job.answer(run, &reply));
    match outcome {
        Some(Ok(())) => None,
        Some(Err(error)) if !reply.is_started() => {
            reply.error(&error);
            Some(error)
        }
        // Nobody reads what is left of a cancelled one.
        _ if reply.is_started() => {
            client.give_up();
            None
        }
        _ => {
            reply.send_error(c"ERR internal error");
            None
        }
    }
}

/// Most threads that may run queries.
fn max_threads() -> usize {
    // Asking for it reads files.
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    match settings::STATE.threads() {
        0 => *CORES.get_or_init(cores),
        threads => threads,
    }
}

/// Has the calling thread make way for the main thread wherever both want a core, so that there may
/// be as many of them as cores. It still has a share beside other programs.
fn make_way() {
    // SAFETY: the call has no conditions. 0 is the calling thread, since a thread has a priority
    // of its own in Linux; elsewhere nothing, or the process, is meant and this is left out.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::setpriority(libc::PRIO_PROCESS, 0, NICE)
    };
}

/// A third of the weight of a thread with the usual priority.
#[cfg(target_os = "linux")]
const NICE: libc::c_int = 5;

/// Threads that help for a while; on drop they count as spare again.
struct Helpers(usize);

impl Helpers {
    /// As many as are spare, and at most `wanted`.
    fn hire(wanted: usize) -> Self {
        let mut state = POOL.lock();
        let count = state.spare().min(wanted);
        state.helpers += count;
        STATS.helpers.fetch_add(count as u64, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        POOL.lock().helpers -= self.0;
    }
}

/// Does `count` works, on this thread and on as many others as are spare; returns their results in
/// order. The others are started for the purpose, which takes microseconds where the works take
/// milliseconds, and so may borrow what this thread has.
pub(super) fn share<T: Send>(count: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(count));
    let take_some = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= count {
                return;
            }
            let result = work(at);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((at, result));
        }
    };
    let helpers = Helpers::hire(count.saturating_sub(1));
    thread::scope(|scope| {
        for _ in 0..helpers.0 {
            let thread = Builder::new().name("iot-helper".into());
            // Without it the others have more to do.
            let _ = thread.spawn_scoped(scope, || {
                make_way();
                take_some();
            });
        }
        take_some();
    });
    drop(helpers);
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_unstable_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}
