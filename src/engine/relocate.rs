//! Memory that a server would rather have elsewhere: active defragmentation.
//!
//! The engine shows its allocations one by one, and whoever has the allocator moves those that lie badly.
//! What somebody else shares at that moment, such as a sealed block that a query reads or the id of a
//! fence that a device is in, stays. So do hash tables, trees and heaps of the libraries, which give no
//! access to their allocations.

use triomphe::{Arc, ThinArc};

/// Moves allocations. Values stay what they are.
pub trait Mover {
    /// Moves the allocation of a box, or leaves it.
    fn block<T>(&mut self, place: &mut Box<T>);
    /// Moves the allocation of a slice, or leaves it.
    fn slice<T>(&mut self, place: &mut Box<[T]>);
    /// Moves the allocation of a slice with reference count, or leaves it where it has another owner.
    fn shared<T>(&mut self, place: &mut ThinArc<(), T>);
    /// Moves the allocation of a value with reference count, or leaves it where it has another owner.
    fn counted<T>(&mut self, place: &mut Arc<T>);
    /// Moves the allocation of a vector, or leaves it; its capacity stays.
    fn vector<T>(&mut self, place: &mut Vec<T>);
    /// Whether others are to have their turn.
    fn must_pause(&mut self) -> bool;
}

/// Parts between two questions whether others are to have their turn.
pub(in crate::engine) const STRIDE: u32 = 64;
