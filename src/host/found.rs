//! Series that a filter finds: no command names their keys, so their rights are checked here.

use std::ffi::c_void;

use redis_module::raw::{RedisModuleCtx, RedisModuleKey, RedisModuleString};

use super::acl::{Right, User};
use super::api::Server;
use super::context::{Context, OwnedString, ServerString};
use super::guard;
use super::index;
use super::scan::{self, Cursor};
use super::settings;
use crate::command::error::{Error, Result};
use crate::command::host::{IndexReport, Purpose};
use crate::engine::index::{Id, IdSet, Limits, Selector};
use crate::engine::labels::Labels;

/// The name of a key that was found.
pub(super) struct FoundKey {
    server: Server,
    name: Box<[u8]>,
}

impl FoundKey {
    pub(super) fn new(server: Server, name: &[u8]) -> Self {
        Self {
            server,
            name: name.into(),
        }
    }

    /// The name in the server's form.
    pub(super) fn server_string(&self) -> OwnedString {
        OwnedString::new(self.server, &self.name)
    }
}

impl AsRef<[u8]> for FoundKey {
    fn as_ref(&self) -> &[u8] {
        &self.name
    }
}

impl Purpose {
    const fn right(self) -> Right {
        match self {
            Self::List | Self::Read => Right::Read,
            Self::Delete => Right::Delete,
            Self::Alter => Right::Update,
        }
    }
}

/// Finds series: see `Host::find`.
pub(super) fn find(
    context: Context<'_>,
    selector: &Selector,
    purpose: Purpose,
) -> Result<Vec<FoundKey>> {
    let limits = Limits {
        max_series: settings::STATE.max_series(),
    };
    let server = context.server();
    let names = index::with(context.database(), |index| -> Result<Vec<Box<[u8]>>> {
        let ids = index.select(selector, limits)?;
        let keys = index.sorted_keys(&ids).into_iter();
        Ok(keys.map(|(key, _)| key.into()).collect())
    })?;
    let user = User::of(context, names.len());
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        if purpose == Purpose::List || !matches!(user, User::Unrestricted) {
            let string = OwnedString::new(server, &name);
            let may = user.may(purpose.right(), string.as_string());
            if !may && purpose != Purpose::List {
                return Err(Error::NoPermission);
            }
            // A key may have expired, and not be removed yet.
            if !may || (purpose == Purpose::List && !exists(context, string.as_string())) {
                continue;
            }
        }
        found.push(FoundKey { server, name });
    }
    Ok(found)
}

fn exists(context: Context<'_>, key: ServerString<'_>) -> bool {
    // SAFETY: context and name are alive.
    unsafe { (context.table().key_exists)(context.raw(), key.raw()) != 0 }
}

/// Whether the user may change keys: see `Host::may_update`.
pub(super) fn may_update(
    context: Context<'_>,
    count: usize,
    mut keys: impl Iterator<Item = Vec<u8>>,
) -> bool {
    let user = User::of(context, count);
    matches!(user, User::Unrestricted)
        || keys.all(|key| {
            let string = OwnedString::new(context.server(), &key);
            user.may(Right::Update, string.as_string())
        })
}

/// The keys that are there and that the user may read.
pub(super) fn readable(context: Context<'_>, mut keys: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    let user = User::of(context, keys.len());
    keys.retain(|key| {
        let string = OwnedString::new(context.server(), key);
        user.may(Right::Read, string.as_string()) && exists(context, string.as_string())
    });
    keys
}

/// Whether a key holds anything.
pub(super) fn is_there(context: Context<'_>, key: &[u8]) -> bool {
    let string = OwnedString::new(context.server(), key);
    exists(context, string.as_string())
}

/// Counts series: see `Host::count_found`.
pub(super) fn count(context: Context<'_>, selector: &Selector) -> u64 {
    let count = index::with(context.database(), |index| {
        index.select(selector, Limits::NONE).map(|ids| ids.len())
    });
    count.unwrap_or(0)
}

/// Lists labels, or values of one: see `Host::list_labels`.
pub(super) fn list_labels(
    context: Context<'_>,
    selector: &Selector,
    values_of: Option<&[u8]>,
) -> Vec<Box<[u8]>> {
    let database = context.database();
    let select = || {
        index::with(database, |index| {
            index.select(selector, Limits::NONE).unwrap_or_default()
        })
    };
    let mut ids = select();
    let user = User::of(context, usize::try_from(ids.len()).unwrap_or(usize::MAX));
    if !matches!(user, User::Unrestricted) {
        remove_unreadable(context, &user, &mut ids);
    }
    index::with(database, |index| {
        let listed = match values_of {
            None => index.names(Some(&ids)),
            Some(name) => index.values_of(name, Some(&ids)),
        };
        listed.into_iter().map(Into::into).collect()
    })
}

fn remove_unreadable(context: Context<'_>, user: &User, ids: &mut IdSet) {
    let keys = index::with(context.database(), |index| {
        let keys = index.sorted_keys(ids).into_iter();
        let keys = keys.map(|(key, id)| (Box::from(key), id));
        keys.collect::<Vec<(Box<[u8]>, Id)>>()
    });
    for (key, id) in keys {
        let string = OwnedString::new(context.server(), &key);
        if !user.may(Right::Read, string.as_string()) {
            ids.remove(id);
        }
    }
}

/// Series of a database with their labels.
type Series = Vec<(Vec<u8>, Labels)>;

/// Compares the index with all keys: see `Host::check_index`.
pub(super) fn check_index(context: Context<'_>) -> IndexReport {
    let mut series: Series = Vec::new();
    let cursor = Cursor::new(context.server());
    // SAFETY: `collect` deletes no key, keeps copies alone, and takes the pointer for what it is.
    while unsafe { cursor.step(context, collect, (&raw mut series).cast()) } {}
    // A scan may show a key twice.
    series.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    series.dedup_by(|(one, _), (other, _)| one == other);
    index::with(context.database(), |index| {
        let all = series.iter().map(|(key, labels)| (&key[..], labels));
        let difference = index.check(all).err().map(|difference| {
            let of = String::from_utf8_lossy(&difference.of).into_owned();
            format!("{}: {of}", difference.what)
        });
        IndexReport {
            series: series.len() as u64,
            indexed: index.len() as u64,
            bytes: index.heap_bytes(),
            difference,
        }
    })
}

/// Notes one key, if it holds a series.
unsafe extern "C" fn collect(
    _ctx: *mut RedisModuleCtx,
    name: *mut RedisModuleString,
    key: *mut RedisModuleKey,
    series: *mut c_void,
) {
    // SAFETY: a scan is started with a `Server`.
    let server = unsafe { Server::resolved() };
    guard::or_fail((), || {
        // SAFETY: a key that the server passes is open until this returns.
        let stored = unsafe { scan::series_at(server.table(), key) };
        let (Some(stored), Some(name)) = (stored, std::ptr::NonNull::new(name)) else {
            return;
        };
        // SAFETY: `check_index` passes its own vector, and waits.
        let series = unsafe { &mut *series.cast::<Series>() };
        // SAFETY: the name lives until this returns.
        let name = unsafe { ServerString::new(name) };
        let labels = stored.borrow().options().labels.clone();
        series.push((name.bytes(server).to_vec(), labels));
    });
}
