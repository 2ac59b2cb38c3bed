//! Pipes through which the kernel moves bytes from socket to socket (splice), so that they are never copied out.

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

/// Most pipes in use at once on one shard of a service; each has two file descriptors.
const OUT_MAX: usize = 64;
/// Empty pipes that are kept for reuse.
const KEPT: usize = 16;
/// Wanted size of a pipe. Where the kernel refuses, it has its 64 KiB.
const SIZE: usize = 256 * 1024;

/// The pool.
#[derive(Default)]
pub(crate) struct Pipes {
    free: RefCell<Vec<(OwnedFd, OwnedFd, usize)>>,
    out: Cell<usize>,
}

impl Pipes {
    /// An empty pipe; `None` when there are as many as there may be.
    pub(crate) fn lend(self: &Rc<Self>) -> Option<Pipe> {
        if self.out.get() >= OUT_MAX {
            return None;
        }
        let (read, write, size) = match self.free.borrow_mut().pop() {
            Some(ends) => ends,
            None => {
                let (read, write) = pipe_with(PipeFlags::NONBLOCK | PipeFlags::CLOEXEC).ok()?;
                let size = fcntl_setpipe_size(&write, SIZE).unwrap_or(64 * 1024);
                (read, write, size)
            }
        };
        self.out.set(self.out.get() + 1);
        Some(Pipe { ends: Some((read, write)), size, held: 0, home: self.clone() })
    }
}

/// One pipe. Goes back by itself when it is empty, else it is closed.
pub(crate) struct Pipe {
    ends: Option<(OwnedFd, OwnedFd)>,
    size: usize,
    held: usize,
    home: Rc<Pipes>,
}

impl Pipe {
    /// Bytes in it.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Takes what `from` has; the pipe must be empty, so that "would block" says that `from` has nothing.
    pub(super) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        let Some((_, write)) = &self.ends else { return Err(io::ErrorKind::InvalidInput.into()) };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let n = splice(from, None, write, None, self.size, flags)?;
        self.held += n;
        Ok(n)
    }

    /// Gives `to` what it takes.
    pub(super) fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let Some((read, _)) = &self.ends else { return Err(io::ErrorKind::InvalidInput.into()) };
        let flags = SpliceFlags::NONBLOCK | SpliceFlags::MOVE;
        let n = splice(read, None, to, None, self.held, flags)?;
        self.held -= n.min(self.held);
        Ok(n)
    }

    /// Reads from it instead, where it cannot be spliced to the other side.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let Some((read, _)) = &self.ends else { return Err(io::ErrorKind::InvalidInput.into()) };
        let n = rustix::io::read(read, room)?;
        self.held -= n.min(self.held);
        Ok(n)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        self.home.out.set(self.home.out.get().saturating_sub(1));
        let mut free = self.home.free.borrow_mut();
        if let Some((read, write)) = self.ends.take()
            && self.held == 0
            && free.len() < KEPT
        {
            free.push((read, write, self.size));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let a = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (a, listener.accept().unwrap().0)
    }

    #[test]
    fn bytes_pass_in_order_and_an_empty_pipe_is_used_again() {
        let pipes = Rc::new(Pipes::default());
        let ((mut a, near), (far, mut b)) = (pair(), pair());
        near.set_nonblocking(true).unwrap();
        let mut pipe = pipes.lend().unwrap();
        assert_eq!(pipe.fill(&near).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        a.write_all(b"one two").unwrap();
        near.peek(&mut [0; 7]).ok();
        while pipe.fill(&near).is_err() {}
        let n = pipe.held();
        let mut first = [0; 3];
        assert_eq!(pipe.read(&mut first).unwrap(), 3);
        while pipe.held() > 0 {
            pipe.drain(&far).unwrap();
        }
        let mut rest = vec![0; n - 3];
        b.read_exact(&mut rest).unwrap();
        assert_eq!([&first[..], &rest].concat(), b"one two"[..n]);
        drop(pipe);
        assert_eq!((pipes.free.borrow().len(), pipes.out.get()), (1, 0));
    }

    #[test]
    fn a_pipe_that_holds_bytes_is_closed_and_there_are_only_so_many() {
        let pipes = Rc::new(Pipes::default());
        let (mut a, near) = pair();
        a.write_all(b"lost").unwrap();
        let mut pipe = pipes.lend().unwrap();
        assert!(pipe.fill(&near).unwrap() > 0);
        drop(pipe);
        assert_eq!((pipes.free.borrow().len(), pipes.out.get()), (0, 0));
        let all: Vec<Pipe> = std::iter::from_fn(|| pipes.lend()).collect();
        assert_eq!(all.len(), OUT_MAX);
        drop(all);
        assert_eq!((pipes.free.borrow().len(), pipes.out.get()), (KEPT, 0));
    }

    #[test]
    fn what_cannot_be_spliced_says_so() {
        let mut pipe = Rc::new(Pipes::default()).lend().unwrap();
        let (mut a, near) = pair();
        a.write_all(b"bytes").unwrap();
        assert!(pipe.fill(&near).unwrap() > 0);
        let folder = tempfile::tempdir().unwrap();
        let appended = std::fs::File::options().create(true).append(true).open(folder.path().join("file")).unwrap();
        assert_eq!(pipe.drain(&appended).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert!(pipe.held() > 0, "and nothing is lost");
    }
}
