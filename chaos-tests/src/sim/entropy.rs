//! The system's randomness inside of a simulation: a constant. Hash maps of the standard library take
//! their keys from it once a thread, so that every run on a thread of its own iterates alike,
//! whatever library the map is in. Outside of simulations the system answers.

use std::cell::Cell;
use std::ffi::{c_uint, c_void};

thread_local! {
    static SIMULATES: Cell<bool> = const { Cell::new(false) };
}

/// Runs on a fresh thread on which the system's randomness is a constant.
pub fn without_entropy<T: Send>(run: impl FnOnce() -> T + Send) -> std::thread::Result<T> {
    std::thread::scope(|scope| {
        let running = scope.spawn(|| {
            SIMULATES.set(true);
            run()
        });
        running.join()
    })
}

/// Takes the place of the C library's function of this name, which the standard library calls.
///
/// # Safety
/// As the C library's: `buffer` points to `length` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, flags: c_uint) -> isize {
    // A thread that is ending has no such cell any more, and simulates nothing.
    if SIMULATES.try_with(Cell::get).unwrap_or(false) {
        // SAFETY: the caller promises that the bytes may be written.
        unsafe { std::ptr::write_bytes(buffer.cast::<u8>(), 0x5a, length) };
        return length as isize;
    }
    // SAFETY: the call writes at most `length` bytes to `buffer`, which the caller promises.
    unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize }
}
