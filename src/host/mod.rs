//! The bridge to the server: the only place with `unsafe`, and the only one that knows the
//! server's module API.
//!
//! ```text
//! server --> guard        every callback: panics end here
//!              |
//!              +--> execution   a command's view of the server  --> context, key, reply
//!              |                                                  --> query: worker threads
//!              |                                                  --> found: keys by filters, acl
//!              |                                                  --> waiting: clients that wait
//!              +--> index       what happens to keys: labels    --> ties: rules follow names
//!              +--> idle        a timer: series that rest are packed
//!              +--> agenda      a timer: fleets and fences that have something due
//!              +--> sending     events: channels and streams
//!              +--> datatype    a value's life: load, save, free --> kinds, rdb, defrag, value
//!              +--> stats       what INFO tells, kept by all of these
//!              `--> config      settings as the server knows them --> settings
//!
//! at load:     api          the server's functions, looked up once
//!              alloc        our memory is the server's from then on
//!              register     commands, with command_info
//! ```
//!
//! An operation of the API is wrapped once, in a small method of the handle it belongs to
//! (`Context`, `OpenKey`, `Stream`, ...); everything above is safe code.

mod acl;
mod agenda;
mod alloc;
mod api;
mod command_info;
mod config;
mod context;
mod datatype;
mod defrag;
mod execution;
mod found;
mod guard;
mod idle;
mod index;
mod key;
mod kinds;
mod policies;
mod query;
mod rdb;
mod register;
mod reply;
mod scan;
mod sending;
mod settings;
mod stats;
mod text;
mod ties;
mod value;
mod waiting;

use std::ffi::{CStr, c_int};

use redis_module::raw::{self, RedisModuleCtx, RedisModuleString};

use api::Server;
use context::{Context, ServerString};
use triomphe::Arc;

use crate::engine::Series;
use crate::engine::fence::FenceSet;
use crate::engine::fleet::Fleet;
use crate::engine::policy::Policy;

/// The name of the module: exactly 9 characters, without which all modules would share one inbox
/// on the cluster bus.
const NAME: &CStr = c"redis-iot";
const _: () = assert!(
    NAME.count_bytes() == 9,
    "the cluster bus wants 9 characters"
);

/// The module's version as the server counts it: 1.2.3 is 10203.
const VERSION: c_int = part(env!("CARGO_PKG_VERSION_MAJOR")) * 10_000
    + part(env!("CARGO_PKG_VERSION_MINOR")) * 100
    + part(env!("CARGO_PKG_VERSION_PATCH"));

/// A part of the version as a number.
const fn part(digits: &str) -> c_int {
    match c_int::from_str_radix(digits, 10) {
        Ok(number) => number,
        Err(_) => panic!("a part of a version is a number"),
    }
}

/// The entry point: the server calls it once, when it loads the module.
///
/// # Safety
/// A server calls this, with a context and `count` strings at `strings` that live until it returns.
#[unsafe(no_mangle)]
unsafe extern "C" fn RedisModule_OnLoad(
    ctx: *mut RedisModuleCtx,
    strings: *mut *mut RedisModuleString,
    count: c_int,
) -> c_int {
    // SAFETY: the caller guarantees the context. The glue looks the functions up and allocates
    // nothing of ours. It refuses where the module is loaded already.
    let status = unsafe {
        raw::Export_RedisModule_Init(
            ctx,
            NAME.as_ptr(),
            VERSION,
            raw::REDISMODULE_APIVER_1.cast_signed(),
        )
    };
    if status != api::OK {
        return api::ERR;
    }
    let server = match Server::resolve() {
        Ok(server) => server,
        Err(missing) => {
            api::log_refusal(ctx, format_args!("the server lacks {missing}"));
            return api::ERR;
        }
    };
    alloc::install(server);
    // From here on allocating is safe.
    guard::install_panic_hook(server);
    // SAFETY: the caller guarantees the context, and it is not kept.
    let context = unsafe { Context::new(server, ctx) };
    // SAFETY: the caller guarantees the strings, and they are not kept.
    let args = unsafe { context::strings(strings, count) };
    guard::or_fail(api::ERR, || match load(context, args) {
        Ok(()) => api::OK,
        Err(refusal) => {
            context.log(format_args!("{refusal}"));
            api::ERR
        }
    })
}

/// The exit. No server calls it today: none unloads a module that has a data type, or clients that
/// wait. If one does, no thread and no timer may be left in code that goes away.
#[unsafe(no_mangle)]
unsafe extern "C" fn RedisModule_OnUnload(ctx: *mut RedisModuleCtx) -> c_int {
    // SAFETY: the module has been loaded.
    let server = unsafe { Server::resolved() };
    // SAFETY: the server passes a context, and it is not kept.
    let context = unsafe { Context::new(server, ctx) };
    guard::or_fail(api::ERR, || {
        idle::stop(context);
        agenda::stop(context);
        query::POOL.stop();
        api::OK
    })
}

/// Registers everything.
fn load<'c>(context: Context<'c>, args: &'c [ServerString<'c>]) -> Result<(), String> {
    context.set_options(
        // A short or corrupt dump is an error of ours to report, not the end of the server.
        raw::REDISMODULE_OPTIONS_HANDLE_IO_ERRORS
            // Only a key that has changed is reported as changed (see `key`).
            | raw::REDISMODULE_OPTION_NO_IMPLICIT_SIGNAL_MODIFIED,
    );
    let args: Vec<&[u8]> = args.iter().map(|&arg| context.bytes(arg)).collect();
    settings::STATE.load(&args)?;
    datatype::register::<Series>(context)?;
    datatype::register::<Arc<Policy>>(context)?;
    datatype::register::<Fleet>(context)?;
    datatype::register::<FenceSet>(context)?;
    index::subscribe(context)?;
    // Which commands there are depends on a setting.
    config::register(context)?;
    register::register(context)?;
    stats::register(context)?;
    idle::start(context);
    agenda::start(context);
    Ok(())
}
