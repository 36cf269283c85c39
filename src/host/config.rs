//! The settings as the server knows them: `redis-iot.*` in its configuration file, in `CONFIG GET`,
//! `SET` and `REWRITE`.
//!
//! Each registration carries a pointer to its setting, which the server hands back to the
//! callbacks; so there is one pair of callbacks for each kind of setting, not for each setting.

use std::ffi::{CString, c_char, c_int, c_longlong, c_uint, c_void};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use redis_module::raw::{self, RedisModuleString};

use super::api::{self, Server};
use super::context::{Context, OwnedString, ServerString};
use super::guard;
use super::settings::{Choice, Compaction, Number, Real, STATE, Setting, Violation};
use super::text::NumberText;

const FLAGS: c_uint = raw::REDISMODULE_CONFIG_DEFAULT;
/// For settings that count only while the module is loaded.
const FIXED: c_uint = raw::REDISMODULE_CONFIG_IMMUTABLE;

/// Registers every setting, its present value being the default, and takes the values that the
/// configuration file has for them.
///
/// # Errors
/// What the server refused.
pub(super) fn register(context: Context<'_>) -> Result<(), String> {
    for setting in STATE.all() {
        let status = match setting {
            Setting::Number(number) => register_number(context, number),
            Setting::Choice(choice) => register_choice(context, choice),
            Setting::Real(real) => register_real(context, real),
            Setting::Compaction(compaction) => register_compaction(context, compaction),
        };
        if status != api::OK {
            let name = setting.name().to_string_lossy();
            return Err(format!("the server refused the setting {name}"));
        }
    }
    // SAFETY: the context is `OnLoad`'s, the only one in which this may be called.
    if unsafe { (context.table().load_configs)(context.raw()) } != api::OK {
        return Err("the server's configuration has a bad redis-iot setting".into());
    }
    Ok(())
}

/// A setting as the server carries it.
const fn private<T>(setting: &'static T) -> *mut c_void {
    ptr::from_ref(setting).cast_mut().cast()
}

fn register_number(context: Context<'_>, number: &'static Number) -> c_int {
    // SAFETY: the context is `OnLoad`'s; the name is NUL-terminated and is copied; the callbacks
    // take the pointer for what it is, a `Number` that lives for ever.
    unsafe {
        (context.table().register_numeric_config)(
            context.raw(),
            number.name.as_ptr(),
            number.get(),
            FLAGS,
            number.min,
            number.max,
            Some(get_number),
            Some(set_number),
            None,
            private(number),
        )
    }
}

fn register_choice(context: Context<'_>, choice: &'static Choice) -> c_int {
    let count = c_int::try_from(choice.words.len()).unwrap_or(c_int::MAX);
    let mut words: Vec<*const c_char> = choice.words.iter().map(|word| word.as_ptr()).collect();
    let places: Vec<c_int> = (0..count).collect();
    let default = c_int::try_from(choice.get()).unwrap_or(0);
    // SAFETY: as for a number; the two arrays have `count` elements, and are copied.
    unsafe {
        (context.table().register_enum_config)(
            context.raw(),
            choice.name.as_ptr(),
            default,
            if choice.is_fixed { FIXED } else { FLAGS },
            words.as_mut_ptr(),
            places.as_ptr(),
            count,
            Some(get_choice),
            Some(set_choice),
            None,
            private(choice),
        )
    }
}

fn register_real(context: Context<'_>, real: &'static Real) -> c_int {
    let default = NumberText::new(real.get());
    // SAFETY: as for a number; the default is copied.
    unsafe {
        (context.table().register_string_config)(
            context.raw(),
            real.name.as_ptr(),
            default.as_c_str().as_ptr(),
            FLAGS,
            Some(get_real),
            Some(set_real),
            None,
            private(real),
        )
    }
}

fn register_compaction(context: Context<'_>, compaction: &'static Compaction) -> c_int {
    let default = CString::new(compaction.text()).unwrap_or_default();
    // SAFETY: as for a number; the default is copied.
    unsafe {
        (context.table().register_string_config)(
            context.raw(),
            compaction.name.as_ptr(),
            default.as_ptr(),
            FIXED,
            Some(get_compaction),
            Some(set_compaction),
            None,
            private(compaction),
        )
    }
}

/// The setting behind the pointer that the server carries.
///
/// # Safety
/// The pointer was made by [`private`] from a `T`.
unsafe fn setting<T>(private: *mut c_void) -> &'static T {
    // SAFETY: the caller guarantees that it was made from a reference that lives for ever.
    unsafe { &*private.cast_const().cast() }
}

/// Tells the server whether a setting was changed, and in words why not.
///
/// # Safety
/// `error` is null or points to where the server wants a string of its own.
unsafe fn conclude(
    server: Server,
    changed: Result<(), Violation>,
    error: *mut *mut RedisModuleString,
) -> c_int {
    let Err(violation) = changed else {
        return api::OK;
    };
    if !error.is_null() {
        let text = OwnedString::new(server, violation.to_bytes()).into_raw();
        // SAFETY: the caller guarantees the place; the server frees what it finds there.
        unsafe { error.write(text) };
    }
    api::ERR
}

/// The answer to a change that panicked.
const PANICKED: Result<(), Violation> = Err(c"internal error");

unsafe extern "C" fn get_number(_name: *const c_char, private: *mut c_void) -> c_longlong {
    // SAFETY: it was registered with a `Number`.
    let number: &Number = unsafe { setting(private) };
    guard::or_fail(0, || number.get())
}

unsafe extern "C" fn set_number(
    _name: *const c_char,
    value: c_longlong,
    private: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    // SAFETY: a setting is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: it was registered with a `Number`.
    let number: &Number = unsafe { setting(private) };
    let changed = guard::or_fail(PANICKED, || number.set(value));
    // SAFETY: the server passes the place for a text.
    unsafe { conclude(server, changed, error) }
}

unsafe extern "C" fn get_choice(_name: *const c_char, private: *mut c_void) -> c_int {
    // SAFETY: it was registered with a `Choice`.
    let choice: &Choice = unsafe { setting(private) };
    guard::or_fail(0, || c_int::try_from(choice.get()).unwrap_or(0))
}

unsafe extern "C" fn set_choice(
    _name: *const c_char,
    place: c_int,
    private: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    // SAFETY: a setting is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: it was registered with a `Choice`.
    let choice: &Choice = unsafe { setting(private) };
    let changed = guard::or_fail(PANICKED, || {
        choice.set(usize::try_from(place).unwrap_or(usize::MAX))
    });
    // SAFETY: the server passes the place for a text.
    unsafe { conclude(server, changed, error) }
}

/// A string that stays ours while the server copies it, which it does after a callback has returned.
/// So the one of the last reply is kept, and freed when the next is made. Settings are read on one
/// thread only.
struct LastReply(AtomicPtr<RedisModuleString>);

impl LastReply {
    const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    fn reply(&self, server: Server, text: &[u8]) -> *mut RedisModuleString {
        let fresh = OwnedString::new(server, text).into_raw();
        if let Some(last) = ptr::NonNull::new(self.0.swap(fresh, Ordering::Relaxed)) {
            // SAFETY: `last` was given away by `into_raw` above, and is taken back once.
            drop(unsafe { OwnedString::from_raw(server, last) });
        }
        fresh
    }
}

unsafe extern "C" fn get_real(
    _name: *const c_char,
    private: *mut c_void,
) -> *mut RedisModuleString {
    static LAST: LastReply = LastReply::new();
    // SAFETY: a setting is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: it was registered with a `Real`.
    let real: &Real = unsafe { setting(private) };
    guard::or_fail(ptr::null_mut(), || {
        let text = NumberText::new(real.get());
        LAST.reply(server, text.as_c_str().to_bytes())
    })
}

unsafe extern "C" fn get_compaction(
    _name: *const c_char,
    private: *mut c_void,
) -> *mut RedisModuleString {
    static LAST: LastReply = LastReply::new();
    // SAFETY: a setting is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: it was registered with a `Compaction`.
    let compaction: &Compaction = unsafe { setting(private) };
    guard::or_fail(ptr::null_mut(), || LAST.reply(server, &compaction.text()))
}

unsafe extern "C" fn set_compaction(
    _name: *const c_char,
    text: *mut RedisModuleString,
    private: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    // SAFETY: a setting is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: it was registered with a `Compaction`.
    let compaction: &Compaction = unsafe { setting(private) };
    // SAFETY: the server passes a string that lives until this returns, and it is not kept.
    let text = ptr::NonNull::new(text).map(|text| unsafe { ServerString::new(text) });
    let changed = guard::or_fail(PANICKED, || {
        compaction.set_text(text.map_or(&[], |text| text.bytes(server)))
    });
    // SAFETY: the server passes the place for a text.
    unsafe { conclude(server, changed, error) }
}

unsafe extern "C" fn set_real(
    _name: *const c_char,
    text: *mut RedisModuleString,
    private: *mut c_void,
    error: *mut *mut RedisModuleString,
) -> c_int {
    // SAFETY: a setting is registered with a `Server`.
    let server = unsafe { Server::resolved() };
    // SAFETY: it was registered with a `Real`.
    let real: &Real = unsafe { setting(private) };
    // SAFETY: the server passes a string that lives until this returns, and it is not kept.
    let text = ptr::NonNull::new(text).map(|text| unsafe { ServerString::new(text) });
    let changed = guard::or_fail(PANICKED, || {
        real.set_text(text.map_or(&[], |text| text.bytes(server)))
    });
    // SAFETY: the server passes the place for a text.
    unsafe { conclude(server, changed, error) }
}
