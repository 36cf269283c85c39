//! Rules tie keys by their names, and follow them:
//!
//! ```text
//! RENAME, of either end              both ends know the new name; one too long cuts the tie
//! COPY                               the copy has no ties
//! MOVE, RESTORE                      what arrives has no ties
//! DEL, UNLINK, expiry, eviction,
//!   overwritten, of either end       the other end finds out when it comes to use the tie
//! SWAPDB, FLUSHDB                    both ends go together
//! ```
//!
//! The server tells replicas of all of these, so they come to the same ties by themselves.

use std::cell::Cell;
use std::sync::{Mutex, PoisonError};

use super::context::{Context, OwnedString};
use super::key::{Content, Mode, OpenKey};
use crate::engine::Series;
use crate::engine::rule::MAX_KEY_BYTES;

/// The name of a key that is being renamed: the server tells of the old and of the new one by one.
static RENAMED: Mutex<Option<Vec<u8>>> = Mutex::new(None);

fn old_name() -> std::sync::MutexGuard<'static, Option<Vec<u8>>> {
    RENAMED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key has lost its name to another.
pub(super) fn renamed_from(key: &[u8]) {
    *old_name() = Some(key.to_vec());
}

/// A key has got the name that another has lost.
pub(super) fn renamed_to(context: Context<'_>, new: &[u8]) {
    let Some(old) = old_name().take() else { return };
    let mut ends = None;
    change(context, new, |series| {
        let links = series.links();
        if links.source.is_some() || !links.rules().is_empty() {
            ends = Some(links.clone());
        }
    });
    let Some(links) = ends else { return };
    if new.len() > MAX_KEY_BYTES {
        return change(context, new, Series::untie);
    }
    // A tie whose other end is gone must not come alive under the new name.
    let mut live: Vec<&[u8]> = Vec::new();
    for rule in links.rules() {
        change(context, &rule.destination, |series| {
            if series.links().source.as_deref() == Some(&old) {
                series.relink(|source, _| *source = Some(new.into()));
                live.push(&rule.destination);
            }
        });
    }
    let mut has_source = false;
    if let Some(source) = &links.source {
        change(context, source, |series| {
            if series.links().rule_to(&old).is_some() {
                has_source = true;
                series.relink(|_, rules| {
                    rules.retain(|rule| *rule.destination != *new);
                    let mine = rules.iter_mut().filter(|rule| *rule.destination == *old);
                    mine.for_each(|rule| rule.destination = new.into());
                });
            }
        });
    }
    change(context, new, |series| {
        series.relink(|source, rules| {
            source.take_if(|_| !has_source);
            rules.retain(|rule| live.contains(&&*rule.destination));
        });
    });
}

/// A key has come from elsewhere, where its ties are.
pub(super) fn arrived(context: Context<'_>, key: &[u8]) {
    change(context, key, Series::untie);
}

/// Changes a series, if there is one.
fn change(context: Context<'_>, key: &[u8], change: impl FnOnce(&mut Series)) {
    let open_count = Cell::new(0);
    let name = OwnedString::new(context.server(), key);
    let Some(key) = OpenKey::by_own_name(context, name, Mode::Write, &open_count) else {
        return;
    };
    if let Content::Series(series) = key.content() {
        change(&mut series.borrow_mut());
    }
}
