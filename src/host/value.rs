//! Values of a data type of ours, as the pointers that the server keeps for us.
//!
//! A key's value is a box that the server owns through its pointer:
//!
//! ```text
//! server: key -> type `iotseries`, pointer --> Box<Stored<Series>>
//! ```
//!
//! The cell is what makes opening a key safe. A command that opened one series twice for writing,
//! or a module that ran one of our commands while we hold a series open, would otherwise have two
//! exclusive references to the same value. It costs 8 bytes a key and a compare an opening.
//!
//! It also sees everything that changes a value, and keeps the totals of `stats::held` by it.

use std::cell::{Ref, RefCell, RefMut};
use std::ffi::c_void;
use std::ops::{Deref, DerefMut};

use super::stats::{Measured, Parts};

/// A value as it is stored.
pub(super) struct Stored<T>(RefCell<T>);

/// A value that may be changed.
pub(super) struct Changing<'v, T: Measured> {
    value: RefMut<'v, T>,
    before: Parts,
}

impl<T> Stored<T> {
    /// # Panics
    /// Where somebody may change the value.
    #[inline]
    pub(super) fn borrow(&self) -> Ref<'_, T> {
        self.0.borrow()
    }

    /// Whether nobody has the value open.
    pub(super) fn is_unused(&self) -> bool {
        self.0.try_borrow_mut().is_ok()
    }
}

impl<T: Measured> Stored<T> {
    /// # Panics
    /// Where somebody has the value open.
    #[inline]
    pub(super) fn borrow_mut(&self) -> Changing<'_, T> {
        Changing::new(self.0.borrow_mut())
    }

    /// The same, but `None` where somebody has the value open.
    pub(super) fn try_borrow_mut(&self) -> Option<Changing<'_, T>> {
        self.0.try_borrow_mut().ok().map(Changing::new)
    }
}

impl<'v, T: Measured> Changing<'v, T> {
    #[inline]
    fn new(value: RefMut<'v, T>) -> Self {
        let before = value.parts();
        Self { value, before }
    }
}

impl<T: Measured> Deref for Changing<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Measured> DerefMut for Changing<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: Measured> Drop for Changing<'_, T> {
    #[inline]
    fn drop(&mut self) {
        T::held().change(self.before, self.value.parts());
    }
}

/// Gives a value to the server. On the main thread.
pub(super) fn into_raw<T: Measured>(value: T) -> *mut c_void {
    T::held().enter(value.parts());
    Box::into_raw(Box::new(Stored(RefCell::new(value)))).cast()
}

/// The value behind a pointer that the server keeps.
///
/// # Safety
/// `value` came from [`into_raw`] with the same `T`, and is not freed or moved during `'v`.
pub(super) unsafe fn stored<'v, T>(value: *const c_void) -> &'v Stored<T> {
    // SAFETY: the caller guarantees that a `Stored<T>` lives there.
    unsafe { &*value.cast() }
}

/// Takes a value back from the server, which has no part in the totals from now on.
///
/// # Safety
/// `value` came from [`into_raw`] with the same `T`, and the server forgets the pointer.
#[expect(
    clippy::unnecessary_box_returns,
    reason = "it is the box that is taken back"
)]
pub(super) unsafe fn from_raw<T: Measured>(value: *mut c_void) -> Box<Stored<T>> {
    // SAFETY: the caller guarantees that it was a box, and that nobody else takes it.
    let stored: Box<Stored<T>> = unsafe { Box::from_raw(value.cast()) };
    // One that is open all the same is found out by the caller.
    if let Ok(value) = stored.0.try_borrow() {
        T::held().leave(value.parts());
    }
    stored
}
