//! Registration of the commands: what their [`Spec`] says, in the server's terms.
//!
//! Keys are told twice. The triple of first key, last key and step is all that old clients see;
//! with it alone the server takes every key as read and written, and refuses `IOT.ADD` to a user
//! who may only write. The key specs of `command_info` say what is done with each key, and find
//! keys behind a keyword, so no command has to be asked for its keys at run time.

use std::ffi::{CStr, CString, c_int};

use redis_module::raw::{RedisModuleCmdFunc, RedisModuleCommand};

use super::api;
use super::command_info::Info;
use super::context::Context;
use super::guard;
use super::settings::{self, Aliases};
use crate::command::spec::{Effect, Keys, Spec};
use crate::command::{CONTAINERS, Command, with_all_commands};

/// The category of all our commands in access control lists.
const CATEGORY: &CStr = c"iot";

/// Registers one command, or says what the server refused.
type Registration = fn(Context<'_>) -> Result<(), String>;

/// Turns the list of commands into an array of what registers each.
macro_rules! registrations {
    ($($command:ty),* $(,)?) => { [$(register_one::<$command>),*] };
}

/// Registers all commands.
///
/// # Errors
/// What the server refused.
pub(super) fn register(context: Context<'_>) -> Result<(), String> {
    add_category(context);
    for container in &CONTAINERS {
        register_spec(context, container, container.name, None)?;
    }
    let registrations: &[Registration] = &with_all_commands!(registrations);
    registrations
        .iter()
        .try_for_each(|register| register(context))
}

/// Adds our category where the server lets modules have one. It may be there already, and it may
/// be one too many: the commands are told of it in any case, and do without where that fails.
fn add_category(context: Context<'_>) {
    if let Some(add) = context.table().add_acl_category {
        // SAFETY: the context is `OnLoad`'s, the only one in which this may be called; the name is
        // NUL-terminated, and is copied.
        unsafe { add(context.raw(), CATEGORY.as_ptr()) };
    }
}

/// Registers a command, and again by its other name where that is wanted.
fn register_one<C: Command>(context: Context<'_>) -> Result<(), String> {
    register_as::<C>(context, C::SPEC.name)?;
    let aliases = settings::STATE.aliases();
    match alias(C::SPEC.name) {
        Some(alias) if aliases != Aliases::No => {
            let registered = register_as::<C>(context, &alias);
            if let (Err(refusal), Aliases::Auto) = (&registered, aliases) {
                context.log(format_args!(
                    "{refusal}: the name is left to whoever has it"
                ));
                return Ok(());
            }
            registered.map_err(|refusal| format!("{refusal}: is another module using the name?"))
        }
        _ => Ok(()),
    }
}

/// The name by which clients for time series know a command.
fn alias(name: &str) -> Option<String> {
    const KNOWN: [&str; 21] = [
        "CREATERULE",
        "DELETERULE",
        "CREATE",
        "ALTER",
        "ADD",
        "MADD",
        "INCRBY",
        "DECRBY",
        "DEL",
        "GET",
        "RANGE",
        "REVRANGE",
        "MGET",
        "MRANGE",
        "MREVRANGE",
        "QUERYINDEX",
        "QUERYLABELS",
        "INFO",
        "READ",
        "NRANGE",
        "NREVRANGE",
    ];
    let plain = name.strip_prefix("IOT.")?;
    KNOWN.contains(&plain).then(|| format!("TS.{plain}"))
}

fn register_as<C: Command>(context: Context<'_>, name: &str) -> Result<(), String> {
    register_spec(context, &C::SPEC, name, Some(guard::command::<C>))
}

/// Registers a command with what runs it; a container has nothing, since the server only ever calls
/// what is in it.
fn register_spec(
    context: Context<'_>,
    spec: &Spec,
    name: &str,
    run: RedisModuleCmdFunc,
) -> Result<(), String> {
    let refused = |what| format!("the server refused the {what} of {name}");
    let c_name = |name: &str| CString::new(name).map_err(|_| refused("name"));
    let flags = flags(spec);
    let (first, last, step) = key_triple(spec.keys);
    let status = if let Some((container, sub)) = name.split_once('|') {
        let (container, sub) = (c_name(container)?, c_name(sub)?);
        // SAFETY: the context is alive, and the name NUL-terminated.
        let parent = unsafe { (context.table().get_command)(context.raw(), container.as_ptr()) };
        if parent.is_null() {
            return Err(refused("container"));
        }
        // SAFETY: the container is a command of ours; for the rest see below.
        unsafe {
            let create = context.table().create_subcommand;
            create(parent, sub.as_ptr(), run, flags.as_ptr(), first, last, step)
        }
    } else {
        let name = c_name(name)?;
        // SAFETY: the context is `OnLoad`'s, the only one in which this may be called; name and
        // flags are NUL-terminated, and are copied. The function takes what the server passes to
        // commands.
        unsafe {
            let create = context.table().create_command;
            create(
                context.raw(),
                name.as_ptr(),
                run,
                flags.as_ptr(),
                first,
                last,
                step,
            )
        }
    };
    if status != api::OK {
        return Err(refused("command"));
    }
    let name = c_name(name)?;
    // SAFETY: the context is alive, and knows the command by the name it was registered with.
    let command = unsafe { (context.table().get_command)(context.raw(), name.as_ptr()) };
    if command.is_null() || !Info::new(spec).set(context, command) {
        return Err(refused("description"));
    }
    set_categories(context, command, spec);
    Ok(())
}

fn flags(spec: &Spec) -> &'static CStr {
    match (spec.effect, spec.fast) {
        (Effect::Read, false) => c"readonly",
        (Effect::Read, true) => c"readonly fast",
        (Effect::Write, false) => c"write deny-oom",
        (Effect::Write, true) => c"write deny-oom fast",
        (Effect::Admin, _) => c"readonly admin",
        (Effect::Free, false) => c"write",
        (Effect::Free, true) => c"write fast",
    }
}

/// First key, last key and step; a triple cannot say that keys follow a keyword.
const fn key_triple(keys: Keys) -> (c_int, c_int, c_int) {
    match keys {
        Keys::First => (1, 1, 1),
        Keys::Second => (2, 2, 1),
        Keys::FirstTwo => (1, 2, 1),
        Keys::Every { step } => (1, -1, step),
        Keys::At(place) => (place, place, 1),
        Keys::Several([(first, _), ..]) => key_triple(*first),
        Keys::None
        | Keys::Counted
        | Keys::After { .. }
        | Keys::OneAfter(..)
        | Keys::Several([]) => (0, 0, 0),
    }
}

/// Puts a command into categories where the server lets modules do so. Without them a user is
/// given commands one by one, and `+@all` still means all: nothing is allowed that should not be.
fn set_categories(context: Context<'_>, command: *mut RedisModuleCommand, spec: &Spec) {
    let Some(set) = context.table().set_command_acl_categories else {
        return;
    };
    let effect = match spec.effect {
        Effect::Read => "read",
        Effect::Admin => "admin dangerous",
        Effect::Write | Effect::Free => "write",
    };
    let speed = if spec.fast { "fast" } else { "slow" };
    // The second is for a server that has no category of ours.
    for categories in [format!("{effect} {speed} iot"), format!("{effect} {speed}")] {
        let categories = CString::new(categories).unwrap_or_default();
        // SAFETY: the command is registered, and `OnLoad` still runs; the names are
        // NUL-terminated.
        if unsafe { set(command, categories.as_ptr()) } == api::OK {
            return;
        }
    }
    context.log(format_args!("{} is in no category", spec.name));
}
