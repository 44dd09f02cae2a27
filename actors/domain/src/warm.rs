//! Reads of memory that is needed soon, so that they overlap: a hint to the processor, without any
//! effect on what is decided. See `Sale::warm`.

use core::hint::black_box;

#[inline]
pub(crate) fn warm_first<T: Copy>(items: &[T]) {
    black_box(items.first().copied());
}
