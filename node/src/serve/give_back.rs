//! Gives memory back to the system after a request that took a lot of it for a moment. Glibc keeps
//! what was freed in small pieces: after a plan of 100,000 seats 44 MB, five times what the sale
//! itself takes.

use cluster::components::Lanes;

/// Plans up to this many bytes leave little behind.
const LITTLE: usize = 1 << 20;

/// After a plan of so many bytes was read and dropped; on a lane of its own, for it takes some
/// milliseconds.
pub fn after_plan(lanes: &dyn Lanes, bytes: usize) {
    if bytes > LITTLE {
        lanes.run("give back", Box::pin(async { give_back() }));
    }
}

#[cfg(target_env = "gnu")]
fn give_back() {
    // SAFETY: the allocator's own function, safe to call from any thread at any time.
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves.
#[cfg(not(target_env = "gnu"))]
fn give_back() {}
