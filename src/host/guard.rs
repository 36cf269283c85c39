//! The border between C and Rust: every callback of the server goes through here.
//!
//! A panic that reached the server's C frames would stop the server. [`catch`] ends it instead, and
//! the caller answers with what means failure to the server. It costs some 150 instructions, which
//! no measurement of time can see.

use std::ffi::c_int;
use std::panic::{self, AssertUnwindSafe};
use std::process;

use redis_module::raw::{RedisModuleCtx, RedisModuleString};

use super::api::{self, Server};
use super::context::{self, Context, ServerString};
use super::execution::ServerHost;
use super::reply::ServerReply;
use crate::command::Command;
use crate::command::args::Args;
use crate::command::error::Result;
use crate::command::host::Reply;

/// Arguments that are borrowed on the stack; a command with more pays for a vector.
const SHORT_ARGUMENTS: usize = 16;

/// Sends the message and place of every panic to the server's log.
pub(super) fn install_panic_hook(server: Server) {
    panic::set_hook(Box::new(move |panic| server.log(format_args!("{panic}"))));
}

/// Runs `run` and ends a panic in it. The panic hook has logged it.
///
/// What the panic interrupted may be half done. That is no worse than an error in the same place:
/// open keys are closed as the stack unwinds, and a series checks its own state.
#[inline]
pub(super) fn catch<R>(run: impl FnOnce() -> R) -> Option<R> {
    panic::catch_unwind(AssertUnwindSafe(run)).ok()
}

/// Runs a callback whose panic means failure, which is what `failed` says to the server.
#[inline]
pub(super) fn or_fail<R>(failed: R, run: impl FnOnce() -> R) -> R {
    catch(run).unwrap_or(failed)
}

/// Runs a callback whose panic nobody could answer for: a value half freed or half moved.
#[inline]
pub(super) fn or_abort<R>(run: impl FnOnce() -> R) -> R {
    catch(run).unwrap_or_else(|| process::abort())
}

/// Runs a command for the server.
///
/// # Safety
/// The server calls this as the function of a registered command: `ctx` and the `count` strings at
/// `strings` live until it returns.
pub(super) unsafe extern "C" fn command<C: Command>(
    ctx: *mut RedisModuleCtx,
    strings: *mut *mut RedisModuleString,
    count: c_int,
) -> c_int {
    // SAFETY: a command is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: the caller guarantees the context, and it is not kept.
    let context = unsafe { Context::new(server, ctx) };
    // SAFETY: the caller guarantees the strings, and they are not kept.
    let strings = unsafe { context::strings(strings, count) };
    let reply = ServerReply::new(context);
    if catch(|| execute::<C>(context, strings, &reply)).is_none() {
        // The second guard is for the words we answer with: nothing in there should panic.
        or_abort(|| reply.abandon(C::SPEC.name));
    }
    api::OK
}

/// Ends a command whose client has waited: replies on the main thread with what `finish` has.
pub(super) fn finish(
    context: Context<'_>,
    strings: &[ServerString<'_>],
    command: &str,
    finish: impl FnOnce(&ServerHost<'_>, Args<'_>) -> Result<()>,
) {
    let reply = ServerReply::new(context);
    let args: Vec<&[u8]> = strings.iter().map(|&one| context.bytes(one)).collect();
    let host = ServerHost::new(context, strings, &args, &reply);
    match catch(|| finish(&host, Args::new(&args))) {
        Some(Ok(())) => {}
        Some(Err(error)) if !reply.is_started() => reply.error(&error),
        _ => reply.abandon(command),
    }
}

/// Runs a command and replies with its refusal.
#[inline]
fn execute<'c, C: Command>(
    context: Context<'c>,
    strings: &'c [ServerString<'c>],
    reply: &ServerReply<'c>,
) {
    let mut short: [&[u8]; SHORT_ARGUMENTS] = [&[]; SHORT_ARGUMENTS];
    let long: Vec<&[u8]>;
    let args = if let Some(short) = short.get_mut(..strings.len()) {
        for (slot, &string) in short.iter_mut().zip(strings) {
            *slot = context.bytes(string);
        }
        &*short
    } else {
        long = strings
            .iter()
            .map(|&string| context.bytes(string))
            .collect();
        &long
    };
    let host = ServerHost::new(context, strings, args, reply);
    match C::execute(&host, Args::new(args)) {
        Ok(()) => {}
        Err(error) if !reply.is_started() => reply.error(&error),
        Err(error) => {
            context.log(format_args!("refused in the middle of a reply: {error}"));
            reply.abandon(C::SPEC.name);
        }
    }
}
