//! One to many: what happens goes to every page that listens, as server-sent events.
//!
//! A page that comes late, or comes back, first gets the newest message of each kind that is a state,
//! then the latest of those that are events. A page that does not keep up is dropped, and comes back
//! by itself: `EventSource` does that.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

/// Messages that wait for a page.
const QUEUE: usize = 512;
/// Events that a new page gets to see.
const REMEMBERED: usize = 40;
/// How long the end may wait for pages to have read that it is the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Whether a newer message of a kind replaces the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// It does: only the newest one counts.
    State,
    /// It does not: each has happened.
    Event,
}

/// The listeners, what they are sent, and whether it is all over.
#[derive(Debug, Default)]
pub(crate) struct Broadcast {
    stopped: AtomicBool,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Inner {
    states: BTreeMap<&'static str, Arc<str>>,
    events: VecDeque<Arc<str>>,
    listeners: Vec<SyncSender<Arc<str>>>,
    /// Pages that are being served, those included that have been dropped and do not know it yet.
    pages: usize,
}

/// What a page has to be sent, until the end.
#[derive(Debug)]
pub(crate) struct Listener {
    messages: Receiver<Arc<str>>,
    broadcast: Arc<Broadcast>,
}

impl Broadcast {
    /// Sends JSON to all who listen, now or later.
    pub(crate) fn send(&self, kind: &'static str, meaning: Meaning, body: &Value) {
        let message: Arc<str> = format!("event: {kind}\ndata: {body}\n\n").into();
        let mut inner = self.lock();
        if meaning == Meaning::State {
            inner.states.insert(kind, message.clone());
        } else {
            inner.events.push_back(message.clone());
            if inner.events.len() > REMEMBERED {
                inner.events.pop_front();
            }
        }
        inner
            .listeners
            .retain(|listener| listener.try_send(message.clone()).is_ok());
    }

    /// Begins to listen.
    pub(crate) fn listen(self: &Arc<Self>) -> Listener {
        let (sender, messages) = sync_channel(QUEUE);
        let mut inner = self.lock();
        for message in inner.states.values().chain(&inner.events) {
            // The queue is longer than all of these.
            let _ = sender.try_send(message.clone());
        }
        inner.listeners.push(sender);
        inner.pages += 1;
        self.changed.notify_all();
        Listener {
            messages,
            broadcast: Arc::clone(self),
        }
    }

    /// Waits until a page listens, or the demo is stopped.
    pub(crate) fn await_page(&self) {
        let waits = |inner: &mut Inner| inner.pages == 0 && !self.is_stopped();
        drop(self.changed.wait_while(self.lock(), waits));
    }

    /// Asks everything to end.
    pub(crate) fn stop(&self) {
        let _inner = self.lock();
        self.stopped.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    /// Whether everything has been asked to end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// Says goodbye to all pages.
    pub(crate) fn close(&self) {
        self.send("end", Meaning::State, &Value::Null);
        let mut inner = self.lock();
        inner.listeners.clear();
        let waits = |inner: &mut Inner| inner.pages > 0;
        drop(self.changed.wait_timeout_while(inner, FAREWELL, waits));
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener {
    /// The next message; waits for it, and is none after the last.
    pub(crate) fn next(&self) -> Option<Arc<str>> {
        self.messages.recv().ok()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.broadcast.lock().pages -= 1;
        self.broadcast.changed.notify_all();
    }
}
