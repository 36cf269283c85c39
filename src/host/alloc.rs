//! Memory: the server's allocator in a server, the system's elsewhere.
//!
//! What goes through the server's allocator counts in `used_memory`, so that `maxmemory`, eviction
//! and `INFO` see it. Tests and benches link this crate without a server, and the same build works
//! for both: the system's allocator serves until `OnLoad` calls [`install`], which is before
//! anything of ours is allocated. The functions are set once and never cleared, so memory is freed
//! by the allocator it came from.
//!
//! The server's functions take no alignment. What they give is aligned to 16 bytes for sizes that
//! are multiples of 16, and only to 8 for others: the jemalloc built into Redis has classes of 24,
//! 40 and 56 bytes. So
//!
//! * an alignment up to 8 is forwarded as it is;
//! * an alignment of 16 (SIMD vectors, hash tables) is forwarded with the size rounded up to 16;
//! * a larger one takes `align` bytes more, and keeps the address to free in front:
//!
//! ```text
//! | unused | address from the server | aligned memory, size bytes | unused |
//! ^ from the server                  ^ ours
//! ```
//!
//! Rounding every size up to its alignment is not enough for the last: measured with jemalloc 5.3,
//! blocks of alignment 128 come out misaligned from 14,464 bytes on.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::c_void;
use std::ptr;
use std::sync::OnceLock;

use super::api::Server;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

/// The largest alignment for which our memory starts where the server's does.
const FORWARDED_ALIGN: usize = 16;

/// Takes the functions of the server. Allocates nothing.
pub(super) fn install(server: Server) {
    let table = server.table();
    // They are set already where a server tries to load the module a second time.
    let _ = FUNCTIONS.set(Functions {
        alloc: table.alloc,
        calloc: table.calloc,
        realloc: table.realloc,
        free: table.free,
    });
}

/// The allocator of the crate.
struct Allocator;

// SAFETY: both allocators it chooses from keep the contract, and it chooses the same for all calls
// that concern one block: the choice changes once, in `OnLoad`, before the first allocation.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match FUNCTIONS.get() {
            // SAFETY: the caller's layout, passed on.
            Some(server) => unsafe { server.alloc(layout) },
            // SAFETY: as above.
            None => unsafe { System.alloc(layout) },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match FUNCTIONS.get() {
            // SAFETY: the caller's block, which came from the same allocator.
            Some(server) => unsafe { server.dealloc(block, layout) },
            // SAFETY: as above.
            None => unsafe { System.dealloc(block, layout) },
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match FUNCTIONS.get() {
            // SAFETY: the caller's layout, passed on.
            Some(server) => unsafe { server.alloc_zeroed(layout) },
            // SAFETY: as above.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match FUNCTIONS.get() {
            // SAFETY: the caller's block, which came from the same allocator.
            Some(server) => unsafe { server.realloc(block, layout, size) },
            // SAFETY: as above.
            None => unsafe { System.realloc(block, layout, size) },
        }
    }
}

/// The server's functions. They stop the server where there is no memory left, so none returns
/// null.
struct Functions {
    alloc: unsafe extern "C" fn(usize) -> *mut c_void,
    calloc: unsafe extern "C" fn(usize, usize) -> *mut c_void,
    realloc: unsafe extern "C" fn(*mut c_void, usize) -> *mut c_void,
    free: unsafe extern "C" fn(*mut c_void),
}

/// The size to ask for: a multiple of 16 where the alignment is 16.
#[inline]
const fn forwarded_size(size: usize, align: usize) -> usize {
    if align < FORWARDED_ALIGN {
        size
    } else {
        // No overflow: a layout's size is at most `isize::MAX` less its alignment.
        (size + FORWARDED_ALIGN - 1) & !(FORWARDED_ALIGN - 1)
    }
}

// SAFETY: blocks come from the server's allocator, which has them live until freed; alignment as
// the module's text says.
unsafe impl GlobalAlloc for Functions {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.align() > FORWARDED_ALIGN {
            // SAFETY: the caller's layout, passed on.
            return unsafe { self.alloc_aligned(layout) };
        }
        // SAFETY: the function takes any size.
        unsafe { (self.alloc)(forwarded_size(layout.size(), layout.align())) }.cast()
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let start = if layout.align() > FORWARDED_ALIGN {
            // SAFETY: `block` came from `alloc_aligned`, which keeps the address in front of it.
            let address = unsafe { address_of(block) };
            // SAFETY: as above; that place is aligned because `block` is.
            unsafe { address.read() }
        } else {
            block.cast()
        };
        // SAFETY: `start` came from the server's allocator, and the caller gives up the block.
        unsafe { (self.free)(start) };
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.align() > FORWARDED_ALIGN {
            // SAFETY: the caller's layout, passed on.
            let block = unsafe { self.alloc_aligned(layout) };
            // SAFETY: the block has `size` bytes.
            unsafe { block.write_bytes(0, layout.size()) };
            return block;
        }
        // SAFETY: the function takes any size.
        unsafe { (self.calloc)(1, forwarded_size(layout.size(), layout.align())) }.cast()
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if layout.align() > FORWARDED_ALIGN {
            // SAFETY: the caller's block, layout and size, passed on.
            return unsafe { self.realloc_aligned(block, layout, size) };
        }
        let size = forwarded_size(size, layout.align());
        // SAFETY: the block came from the server's allocator at this address.
        unsafe { (self.realloc)(block.cast(), size) }.cast()
    }
}

/// The place of the server's address in front of a block of a large alignment.
///
/// # Safety
/// `block` is aligned to 8 or more, with 8 bytes of the same allocation in front of it.
#[expect(clippy::cast_ptr_alignment, reason = "the block is aligned")]
unsafe fn address_of(block: *mut u8) -> *mut *mut c_void {
    // SAFETY: the caller guarantees the bytes in front.
    unsafe { block.cast::<*mut c_void>().sub(1) }
}

impl Functions {
    /// Allocates for an alignment above [`FORWARDED_ALIGN`].
    ///
    /// # Safety
    /// As for [`GlobalAlloc::alloc`], and the alignment is above [`FORWARDED_ALIGN`].
    #[cold]
    unsafe fn alloc_aligned(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the function takes any size; no overflow, since a layout's size is at most
        // `isize::MAX` less its alignment.
        let start = unsafe { (self.alloc)(layout.size() + layout.align()) };
        // The next aligned address above `start`, never `start` itself: `start` is aligned to 8,
        // so there are 8 bytes or more for its own address.
        let skipped = layout.align() - (start.addr() & (layout.align() - 1));
        // SAFETY: at most `align` bytes are skipped of `size + align`.
        let block = unsafe { start.cast::<u8>().add(skipped) };
        // SAFETY: at least 8 bytes were skipped.
        let address = unsafe { address_of(block) };
        // SAFETY: the place lies in the block from the server, and `block` is aligned above 8.
        unsafe { address.write(start) };
        block
    }

    /// Reallocates for an alignment above [`FORWARDED_ALIGN`]: by a copy, since the server's
    /// function would move the block to another distance from an aligned address.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`], and the alignment is above [`FORWARDED_ALIGN`].
    #[cold]
    unsafe fn realloc_aligned(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the alignment is one already, and the caller guarantees the size.
        let grown = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: the caller's size is above zero.
        let moved = unsafe { self.alloc_aligned(grown) };
        // SAFETY: both have as many bytes, and they are different blocks.
        unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
        // SAFETY: the caller gives up the old block.
        unsafe { self.dealloc(block, layout) };
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The C library's functions have the same signatures as the server's.
    const C: Functions = Functions {
        alloc: libc::malloc,
        calloc: libc::calloc,
        realloc: libc::realloc,
        free: libc::free,
    };

    #[test]
    fn blocks_are_aligned_and_keep_their_bytes_when_they_grow() {
        for align in [1, 8, 16, 32, 64, 128, 4096] {
            for size in [1, 24, 36, 40, 1000, 14_464, 70_000] {
                check(align, size);
            }
        }
    }

    #[track_caller]
    fn check(align: usize, size: usize) {
        let layout = Layout::from_size_align(size, align).unwrap();
        // SAFETY: the size is not zero.
        let block = unsafe { C.alloc_zeroed(layout) };
        assert_eq!(block.addr() % align, 0);
        // SAFETY: the block has `size` bytes, initialised by `alloc_zeroed`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
        assert!(bytes.iter().all(|&byte| byte == 0));
        bytes.fill(7);
        // SAFETY: the block came from `alloc_zeroed` with this layout.
        let block = unsafe { C.realloc(block, layout, size * 2) };
        assert_eq!(block.addr() % align, 0);
        // SAFETY: the first `size` bytes came along.
        let bytes = unsafe { std::slice::from_raw_parts(block, size) };
        assert!(bytes.iter().all(|&byte| byte == 7));
        let layout = Layout::from_size_align(size * 2, align).unwrap();
        // SAFETY: the block came from `realloc` with this layout.
        unsafe { C.dealloc(block, layout) };
    }

    #[test]
    fn an_alignment_of_16_asks_for_multiples_of_16() {
        assert_eq!(forwarded_size(36, 8), 36);
        assert_eq!(forwarded_size(36, 16), 48);
        assert_eq!(forwarded_size(48, 16), 48);
    }
}
