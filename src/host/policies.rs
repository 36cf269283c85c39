//! The policies of each database, kept exact by the same events as the index of labels.
//!
//! ```text
//! IOT.POLICY SET                                   the command                      insert
//! COPY, MOVE, RENAME to it; RESTORE; loaded        keyspace event                   insert
//! DEL, UNLINK, expiry, eviction, overwritten,
//!   RENAME or MOVE from it                         `unlink` of the data type        remove
//! FLUSHDB, FLUSHALL, full sync, DEBUG RELOAD       server event                     clear
//! SWAPDB                                           server event                     swap
//! ```
//!
//! All of it happens on the main thread. The lock is never held while the server is called.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use triomphe::Arc;

use crate::engine::labels::Labels;
use crate::engine::policy::Policy;

/// A policy under its name.
pub(super) type Named = (Box<[u8]>, Arc<Policy>);

struct Entry {
    policy: Arc<Policy>,
    /// Whether the log has a line already of a rule that could not be made.
    has_logged: bool,
}

/// The policies of a database in order of their names.
type Policies = BTreeMap<Box<[u8]>, Entry>;

/// By the number of the database.
static POLICIES: Mutex<Vec<Policies>> = Mutex::new(Vec::new());
/// Of all databases: most servers have none, and whoever creates a series finds that out here.
static COUNT: AtomicUsize = AtomicUsize::new(0);

fn lock() -> MutexGuard<'static, Vec<Policies>> {
    POLICIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Changes the policies of a number of databases at least, and counts anew.
fn change<R>(databases: usize, change: impl FnOnce(&mut Vec<Policies>) -> R) -> R {
    let mut policies = lock();
    if policies.len() < databases {
        policies.resize_with(databases, Policies::new);
    }
    let changed = change(&mut policies);
    let count = policies.iter().map(Policies::len).sum();
    COUNT.store(count, Ordering::Relaxed);
    changed
}

/// Whether any database has a policy.
#[inline]
pub(super) fn is_any() -> bool {
    COUNT.load(Ordering::Relaxed) > 0
}

/// A policy is at a key.
pub(super) fn insert(database: usize, key: &[u8], policy: Arc<Policy>) {
    let has_logged = false;
    let entry = Entry { policy, has_logged };
    change(database + 1, |all| all[database].insert(key.into(), entry));
}

/// The policy at a key is there no more.
pub(super) fn remove(database: usize, key: &[u8]) {
    change(database + 1, |all| all[database].remove(key));
}

/// Forgets the policies of a database, or of all.
pub(super) fn clear(database: Option<usize>) {
    change(0, |all| match database {
        None => all.clear(),
        Some(database) => {
            if let Some(policies) = all.get_mut(database) {
                policies.clear();
            }
        }
    });
}

/// Two databases have exchanged their keys.
pub(super) fn swap(first: usize, second: usize) {
    change(first.max(second) + 1, |all| all.swap(first, second));
}

/// The number of policies of a database.
pub(super) fn count(database: usize) -> usize {
    lock().get(database).map_or(0, Policies::len)
}

/// The names of the policies of a database.
pub(super) fn names(database: usize) -> Vec<Box<[u8]>> {
    let policies = lock();
    let names = policies.get(database).into_iter().flat_map(Policies::keys);
    names.cloned().collect()
}

/// The policies of a database that match labels.
pub(super) fn matching(database: usize, labels: &Labels) -> Vec<Named> {
    let policies = lock();
    let all = policies.get(database).into_iter().flatten();
    all.filter(|(_, entry)| entry.policy.matches(labels))
        .map(|(name, entry)| (name.clone(), entry.policy.clone()))
        .collect()
}

/// Whether the log is to have a line of a policy now: once for each.
pub(super) fn may_log(database: usize, key: &[u8]) -> bool {
    let mut policies = lock();
    let entry = policies.get_mut(database).and_then(|all| all.get_mut(key));
    entry.is_some_and(|entry| !std::mem::replace(&mut entry.has_logged, true))
}
