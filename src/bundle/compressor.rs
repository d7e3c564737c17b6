//! Compresses members in a thread of its own, while their rows are still being read.
//!
//! Rows come in blocks. Each is compressed and flushed before the next, so what a member has grown to is
//! known at the same places of it however fast the two threads are. Thread, temporary file and zstd's tables
//! serve one bundle after the other, so memory does not grow with their number.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::panic::resume_unwind;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread::{self, JoinHandle};

use sha2::{Digest as _, Sha256};
use zstd::stream::write::Encoder;
use zstd::zstd_safe::{CCtx, CParameter};

use crate::domain::Digest;

/// How many blocks may wait. More would not make it faster, only larger.
const WAITING: usize = 4;

/// What the thread is asked for.
enum Work {
    /// These bytes belong to the member; it begins with the first of them.
    Block(Vec<u8>),
    /// There are no more.
    End,
    /// The members are not needed any more.
    Forget,
}

/// What the thread has done.
pub(super) enum Done {
    /// A block of so many bytes, which is empty now and can be used again; what the spool has of the member.
    Flushed(Vec<u8>, u64, u64),
    /// The whole member is in the spool.
    Ended(Ended),
}

/// A member in the spool.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    pub(super) offset: u64,
    pub(super) bytes: u64,
    pub(super) sha256: Digest,
}

/// The near end of the thread.
pub(super) struct Compressor {
    spool: File,
    work: SyncSender<Work>,
    done: Receiver<Done>,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Compressor {
    /// Starts the thread. It writes to `spool`; `level` is zstd's.
    pub(super) fn start(spool: File, level: i32) -> io::Result<Self> {
        let (work, to_do) = mpsc::sync_channel(WAITING);
        let (tell, done) = mpsc::channel();
        let far = Spool::new(spool.try_clone()?);
        let thread = thread::Builder::new().name("compress".to_owned());
        let thread = thread.spawn(move || run(far, level, &to_do, &tell))?;
        Ok(Self { spool, work, done, thread: Some(thread) })
    }

    /// Hands over a block. Waits if the thread is far behind.
    pub(super) fn compress(&mut self, block: Vec<u8>) -> io::Result<()> {
        self.work.send(Work::Block(block)).map_err(|_| self.failure())
    }

    /// Ends the member.
    pub(super) fn end(&mut self) -> io::Result<()> {
        self.work.send(Work::End).map_err(|_| self.failure())
    }

    /// What has been done since the last time, if anything has.
    pub(super) fn poll(&self) -> Option<Done> {
        self.done.try_recv().ok()
    }

    /// Waits until something is done.
    pub(super) fn wait(&mut self) -> io::Result<Done> {
        self.done.recv().map_err(|_| self.failure())
    }

    /// A member that is in the spool.
    pub(super) fn member(&self, offset: u64, bytes: u64) -> impl Read {
        Section { file: &self.spool, offset, end: offset + bytes }
    }

    /// Forgets the members, so that the next bundle has an empty spool.
    pub(super) fn forget(&mut self) -> io::Result<()> {
        self.work.send(Work::Forget).map_err(|_| self.failure())
    }

    /// Why the thread has ended before its time.
    fn failure(&mut self) -> io::Error {
        let ended =
            self.thread.take().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        ended.and_then(Result::err).unwrap_or_else(lost)
    }
}

fn lost() -> io::Error {
    io::Error::other("an earlier error left this bundle unfinished")
}

/// The thread. It ends with the first error, or when nobody is there any more to ask for something.
fn run(mut spool: Spool, level: i32, to_do: &Receiver<Work>, tell: &Sender<Done>) -> io::Result<()> {
    let mut tables = CCtx::try_create().ok_or(io::ErrorKind::OutOfMemory)?;
    while let Ok(mut work) = to_do.recv() {
        if matches!(work, Work::Forget) {
            spool.clear()?;
            continue;
        }
        let mut encoder = Encoder::with_context(spool, &mut tables);
        encoder.set_parameter(CParameter::CompressionLevel(level))?;
        encoder.include_checksum(true)?;
        while let Work::Block(mut block) = work {
            encoder.write_all(&block)?;
            encoder.flush()?;
            let raw_bytes = block.len() as u64;
            block.clear();
            // Nobody listens where the bundle has been given up.
            let _ = tell.send(Done::Flushed(block, raw_bytes, encoder.get_ref().member_bytes));
            work = to_do.recv().map_err(|_| lost())?;
        }
        spool = encoder.finish()?;
        let _ = tell.send(Done::Ended(spool.end_member()?));
    }
    Ok(())
}

/// The temporary file, and the checksum of the member that is being written to it.
#[derive(Debug)]
struct Spool {
    file: BufWriter<File>,
    hasher: Sha256,
    member_offset: u64,
    member_bytes: u64,
}

impl Spool {
    fn new(file: File) -> Self {
        Self { file: BufWriter::new(file), hasher: Sha256::new(), member_offset: 0, member_bytes: 0 }
    }

    /// Everything of it is in the file then.
    fn end_member(&mut self) -> io::Result<Ended> {
        self.file.flush()?;
        let sha256 = Digest::from_hasher(std::mem::take(&mut self.hasher));
        let ended = Ended { offset: self.member_offset, bytes: self.member_bytes, sha256 };
        self.member_offset += std::mem::take(&mut self.member_bytes);
        Ok(ended)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.member_offset = 0;
        self.file.rewind()?;
        self.file.get_ref().set_len(0)
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.member_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A piece of a file, read without moving whoever writes to it.
struct Section<'a> {
    file: &'a File,
    offset: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.file.read_at(&mut buffer[..left], self.offset)?;
        self.offset += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[test]
    fn a_full_disk_under_the_thread_is_the_error_of_whoever_hands_it_rows() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut compressor = Compressor::start(full, 1).unwrap();
        let mut rng = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(1 << 16).collect();
        let refused = (0..100).find_map(|_| compressor.compress(noise.clone()).err()).unwrap();
        assert_eq!(refused.kind(), io::ErrorKind::StorageFull);
        assert!(compressor.compress(noise).is_err() && compressor.wait().is_err(), "it cannot go on");
    }
}
