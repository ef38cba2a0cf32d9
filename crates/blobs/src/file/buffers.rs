//! Buffers for reading that are used again and again, so that no page is allocated and cleared per read.

use std::sync::{Arc, Mutex};

use bytes::Bytes;

/// Two stacks of spare buffers. Stacks, because the buffer given back last is still in the processor's cache.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    small: Mutex<Vec<Box<[u8]>>>,
    large: Mutex<Vec<Box<[u8]>>>,
}

impl Buffers {
    /// A buffer that holds `length` bytes, at most [`LARGE`]. What is in it is of no meaning.
    pub(super) fn take(self: &Arc<Self>, length: usize) -> Buffer {
        if length <= TINY {
            return Buffer { data: vec![0; length].into(), length, pool: None };
        }
        let size = if length <= SMALL { SMALL } else { LARGE };
        let spare = self.stack(size).lock().expect("nothing panics under this lock").pop();
        let data = spare.unwrap_or_else(|| vec![0; size].into());
        Buffer { data, length, pool: Some(self.clone()) }
    }

    fn stack(&self, size: usize) -> &Mutex<Vec<Box<[u8]>>> {
        if size == SMALL { &self.small } else { &self.large }
    }

    fn give_back(&self, data: Box<[u8]>) {
        let mut stack = self.stack(data.len()).lock().expect("nothing panics under this lock");
        if stack.len() < SPARE {
            stack.push(data);
        }
    }
}

/// A buffer on loan: it goes back to where it came from when nobody holds its bytes any more.
#[derive(Debug)]
pub(super) struct Buffer {
    data: Box<[u8]>,
    length: usize,
    pool: Option<Arc<Buffers>>,
}

impl Buffer {
    /// Where to read into: as many bytes as were asked for.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.data[..self.length]
    }

    /// The first `length` bytes, which were read.
    pub(super) fn into_bytes(mut self, length: usize) -> Bytes {
        self.length = length;
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.data[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.give_back(std::mem::take(&mut self.data));
        }
    }
}

/// Up to here a buffer is made for the occasion: an allocator is as quick, and nothing large waits for a slow client.
const TINY: usize = 8 << 10;

/// Ranges as clients ask for them.
const SMALL: usize = 64 << 10;

/// The usual piece of a large blob: larger ones are no quicker and fall out of the processor's cache.
pub(super) const LARGE: usize = 256 << 10;

/// How many spare buffers of each size are kept: 20 MiB in all.
const SPARE: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_once_its_last_byte_is_dropped() {
        let pool = Arc::new(Buffers::default());
        let mut buffer = pool.take(LARGE);
        buffer.space()[..3].copy_from_slice(b"abc");
        let place = buffer.as_ref().as_ptr();
        let bytes = buffer.into_bytes(3);
        let part = bytes.slice(1..2);
        assert_eq!((&bytes[..], &part[..]), (&b"abc"[..], &b"b"[..]));
        drop(bytes);
        assert_ne!(pool.take(LARGE).as_ref().as_ptr(), place);
        drop(part);
        let again = (pool.take(LARGE), pool.take(LARGE));
        assert!(again.0.as_ref().as_ptr() == place || again.1.as_ref().as_ptr() == place);
    }

    #[test]
    fn sizes_fit_and_spares_are_bounded() {
        let pool = Arc::new(Buffers::default());
        for length in [0, 1, TINY, TINY + 1, SMALL, SMALL + 1, LARGE] {
            assert_eq!(pool.take(length).space().len(), length);
        }
        let many: Vec<_> = (0..SPARE + 10).map(|_| pool.take(SMALL)).collect();
        drop(many);
        assert_eq!(pool.small.lock().unwrap().len(), SPARE);
    }
}
