//! Pieces of files that go from the page cache to a socket without being copied on the way (`sendfile(2)`).
//!
//! HTTP libraries know bodies of bytes only. So a piece of a file travels through them as a stand-in: bytes of the same
//! number, all from one static array that nobody ever reads. The connection, which owns the queue that the pieces wait in,
//! recognises the stand-in by its address when it is about to be written, and sends the file instead:
//!
//! ```text
//! blob ── push ─► queue (file, position, length) ───────────────► send: sendfile(socket, file)
//!           └──► stand-in bytes ─► body ─► HTTP library ─► write ──┘
//! ```
//!
//! This holds only where every byte of the body comes to the connection's own socket as it is, and in order: on plain
//! HTTP/1.1 with vectored writes. Whoever makes a connection hands out its queue then, and not over TLS or HTTP/2.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

/// The pieces of files that one connection has still to send, in order. Clones share the queue.
#[derive(Clone, Debug, Default)]
pub struct SendfileQueue(Arc<Mutex<VecDeque<Piece>>>);

#[derive(Debug)]
struct Piece {
    file: Arc<File>,
    position: u64,
    length: usize,
}

/// What stands in for the bytes of files. It costs address space only, since it is never read.
static STAND_IN: [u8; SendfileQueue::LONGEST_PIECE] = [0; SendfileQueue::LONGEST_PIECE];

impl SendfileQueue {
    /// The longest piece, in bytes.
    pub const LONGEST_PIECE: usize = 1 << 20;

    /// Whether these bytes stand in for the piece of a file that is next.
    #[must_use]
    pub fn is_stand_in(bytes: &[u8]) -> bool {
        !bytes.is_empty() && STAND_IN.as_ptr_range().contains(&bytes.as_ptr())
    }

    /// Puts a piece of a file behind the others; `length` is at most [`Self::LONGEST_PIECE`]. What is returned has to be
    /// written to the connection next.
    #[must_use]
    pub(crate) fn push(&self, file: Arc<File>, position: u64, length: usize) -> Bytes {
        let stand_in = Bytes::from_static(&STAND_IN[..length]);
        self.pieces().push_back(Piece { file, position, length });
        stand_in
    }

    /// Sends from the next piece, and returns how many bytes went: those of its stand-in that have been written.
    ///
    /// # Errors
    /// `WouldBlock` when the socket takes nothing now; others as the socket or the file fail. A file that has become shorter
    /// is one: the answer cannot be completed.
    pub fn send(&self, socket: impl AsFd) -> io::Result<usize> {
        let mut pieces = self.pieces();
        let Some(piece) = pieces.front_mut() else {
            return Err(io::Error::other("there is no piece of a file to be sent"));
        };
        let sent = rustix::fs::sendfile(socket, &piece.file, Some(&mut piece.position), piece.length)?;
        if sent == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a stored blob has become shorter"));
        }
        piece.length -= sent;
        if piece.length == 0 {
            pieces.pop_front();
        }
        Ok(sent)
    }

    fn pieces(&self) -> MutexGuard<'_, VecDeque<Piece>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn file(bytes: &[u8]) -> Arc<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Arc::new(file)
    }

    #[test]
    fn pieces_go_out_in_their_order_and_stand_ins_are_told_from_bytes() {
        let (queue, file) = (SendfileQueue::default(), file(b"0123456789"));
        let first = queue.push(file.clone(), 2, 3);
        let second = queue.push(file, 8, 2);
        assert_eq!((first.len(), second.len()), (3, 2));
        assert!(SendfileQueue::is_stand_in(&first) && SendfileQueue::is_stand_in(&first[2..]));
        assert!(!SendfileQueue::is_stand_in(b"0123456789") && !SendfileQueue::is_stand_in(&first[3..]));
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        assert_eq!((queue.send(&ours).unwrap(), queue.send(&ours).unwrap()), (3, 2));
        assert!(queue.send(&ours).is_err(), "nothing is left");
        drop(ours);
        let mut read = String::new();
        theirs.read_to_string(&mut read).unwrap();
        assert_eq!(read, "23489");
    }

    #[test]
    fn a_file_that_got_shorter_is_an_error() {
        let (queue, file) = (SendfileQueue::default(), file(b"0123"));
        let _ = queue.push(file, 4, 1);
        let (ours, _theirs) = UnixStream::pair().unwrap();
        assert_eq!(queue.send(&ours).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn a_socket_that_takes_nothing_loses_nothing() {
        let bytes: Vec<u8> = (0..SendfileQueue::LONGEST_PIECE as u32 / 4).flat_map(u32::to_le_bytes).collect();
        let (queue, file) = (SendfileQueue::default(), file(&bytes));
        let _ = queue.push(file, 0, bytes.len());
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let (mut sent, mut read) = (0, Vec::new());
        while sent < bytes.len() {
            match queue.send(&ours) {
                Ok(count) => sent += count,
                Err(error) => {
                    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    let mut space = vec![0; 1 << 16];
                    let count = theirs.read(&mut space).unwrap();
                    read.extend_from_slice(&space[..count]);
                }
            }
        }
        drop(ours);
        theirs.read_to_end(&mut read).unwrap();
        assert!(read == bytes);
    }
}
