//! Values of a data type of ours, as the pointers that the server keeps for us.
//!
//! A key's value is a box that the server owns through its pointer:
//!
//! ```text
//! server: key -> type `iotseries`, pointer --> Box<RefCell<Series>>
//! ```
//!
//! The cell is what makes opening a key safe. A command that opened one series twice for writing,
//! or a module that ran one of our commands while we hold a series open, would otherwise have two
//! exclusive references to the same value. It costs 8 bytes a key and a compare an opening.

use std::cell::RefCell;
use std::ffi::c_void;

/// A value as it is stored.
pub(super) type Stored<T> = RefCell<T>;

/// Gives a value to the server.
pub(super) fn into_raw<T>(value: T) -> *mut c_void {
    Box::into_raw(Box::new(Stored::new(value))).cast()
}

/// The value behind a pointer that the server keeps.
///
/// # Safety
/// `value` came from [`into_raw`] with the same `T`, and is not freed or moved during `'v`.
pub(super) unsafe fn stored<'v, T>(value: *const c_void) -> &'v Stored<T> {
    // SAFETY: the caller guarantees that a `Stored<T>` lives there.
    unsafe { &*value.cast() }
}

/// Takes a value back from the server.
///
/// # Safety
/// `value` came from [`into_raw`] with the same `T`, and the server forgets the pointer.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "it is the box that is taken back"
)]
pub(super) unsafe fn from_raw<T>(value: *mut c_void) -> Box<Stored<T>> {
    // SAFETY: the caller guarantees that it was a box, and that nobody else takes it.
    unsafe { Box::from_raw(value.cast()) }
}
