//! A bundle in the making: rows come in, members go to a spool, the file comes out.
//!
//! The manifest stands first in the file and can only be written last, so the members wait in an
//! anonymous temporary file. It holds compressed bytes only, never more than one bundle. They are compressed in
//! a thread of their own (`compressor.rs`).

use std::io::{self, Read, Write};
use std::path::Path;

use super::compressor::{Compressor, Done, Ended};
use super::csv::header_line;
use super::layout::{BLOCK, END_MARK, MANIFEST_NAME, SIGNATURE_NAME, SIGNATURE_SIZE, header, padding};
use super::tally::Tally;
use crate::domain::{Column, Digest, Manifest, Member, MemberKind, Signable, SigningKey};

/// A bundle in the making.
pub struct Draft {
    compressor: Compressor,
    open: Option<OpenMember>,
    members: Vec<Spooled>,
    /// Room for the next blocks.
    rooms: Vec<Vec<u8>>,
}

/// A finished member in the spool.
#[derive(Debug)]
struct Spooled {
    table: usize,
    offset: u64,
    member: Member,
}

impl Draft {
    /// An empty draft whose spool is an anonymous file in `folder`; `level` is zstd's, 1 to 19.
    pub fn new(folder: &Path, level: i32) -> io::Result<Self> {
        let compressor = Compressor::start(tempfile::tempfile_in(folder)?, level)?;
        Ok(Self { compressor, open: None, members: Vec::new(), rooms: Vec::new() })
    }

    /// Begins the member with the rows of this kind of `table`, a number of the caller's choosing that
    /// is greater for tables that stand later in the manifest. `columns` are those of the member.
    pub fn begin(&mut self, table: usize, kind: MemberKind, columns: &[Column]) -> io::Result<()> {
        self.end()?;
        self.open = Some(OpenMember::new(table, kind, columns, self.rooms.pop().unwrap_or_default()));
        Ok(())
    }

    /// Adds one row, line end included, to the member that was begun last.
    pub fn write_row(&mut self, row: &[u8]) -> io::Result<()> {
        let open = self.open.as_mut().ok_or_else(no_member)?;
        open.tally.feed(row).map_err(io::Error::other)?;
        open.raw_bytes += row.len() as u64;
        open.block.extend_from_slice(row);
        if open.block.len() >= BLOCK_OF_ZSTD {
            while let Some(done) = self.compressor.poll() {
                self.note(done);
            }
            self.hand_over()?;
        }
        Ok(())
    }

    /// Gives the compressor what has been gathered.
    fn hand_over(&mut self) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        open.waiting += open.block.len() as u64;
        let block = std::mem::replace(&mut open.block, self.rooms.pop().unwrap_or_default());
        self.compressor.compress(block)
    }

    /// Ends the member that was begun last, if there is one. A member without rows is left out.
    pub fn end(&mut self) -> io::Result<()> {
        if let Some(open) = &self.open {
            open.tally.finish().map_err(io::Error::other)?;
            self.hand_over()?;
            self.compressor.end()?;
        }
        while self.open.is_some() {
            let done = self.compressor.wait()?;
            self.note(done);
        }
        Ok(())
    }

    fn note(&mut self, done: Done) {
        match (done, &mut self.open) {
            (Done::Flushed(block, raw_bytes, flushed), Some(open)) => {
                open.waiting -= raw_bytes;
                open.flushed = flushed;
                self.rooms.push(block);
            }
            (Done::Ended(ended), open) => {
                self.members.extend(open.take().and_then(|open| open.spooled(ended)));
            }
            (Done::Flushed(..), None) => {}
        }
    }

    /// An upper bound for the bytes the members will have in the file if no row is added any more.
    fn size(&self) -> u64 {
        let whole = |bytes: u64| BLOCK + bytes + padding(bytes);
        let finished: u64 = self.members.iter().map(|spooled| whole(spooled.member.bytes)).sum();
        finished + self.open.as_ref().map_or(0, |open| whole(open.size()))
    }

    /// True if the members and `more` bytes may need more than `limit` bytes in the file. Before the answer is
    /// yes, all is compressed but a few kilobytes. It does not depend on how far the compressor is: what is
    /// compressed is known to the last block before more is handed over, and before the answer.
    pub fn outgrows(&mut self, more: u64, limit: u64) -> io::Result<bool> {
        while self.size() + more > limit {
            match &self.open {
                Some(open) if open.waiting > 0 => {
                    let done = self.compressor.wait()?;
                    self.note(done);
                }
                Some(open) if open.block.len() >= LEAST_BLOCK => self.hand_over()?,
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// True if no row has been added.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.open.as_ref().is_none_or(|open| open.tally.rows() == 0)
    }

    /// The members of one table, in manifest order, named for a table that stands at `index` there.
    pub fn members_of(&mut self, table: usize, index: usize) -> Vec<Member> {
        let of_table = self.members.iter_mut().filter(|spooled| spooled.table == table);
        let mut members: Vec<Member> = of_table
            .map(|spooled| {
                spooled.member.name = Member::file_name(index, spooled.member.kind);
                spooled.member.clone()
            })
            .collect();
        members.sort_by_key(|member| member.kind);
        members
    }

    /// Writes the bundle to `file`, signed if there is a key for that, and returns the SHA-256 of its manifest.
    /// The manifest's members are those that [`Draft::members_of`] gave. Afterwards the draft is empty again.
    pub fn assemble(
        &mut self,
        manifest: &Manifest,
        key: Option<&SigningKey>,
        file: &mut impl Write,
    ) -> io::Result<Digest> {
        self.end()?;
        let bytes = manifest.to_bytes().map_err(io::Error::other)?;
        if manifest.members().count() != self.members.len() {
            return Err(io::Error::other("the manifest leaves out a member of the bundle"));
        }
        write_member(file, MANIFEST_NAME, bytes.len() as u64, &mut bytes.as_slice())?;
        if let Some(key) = key {
            let signature = key.sign(Signable::Manifest, &bytes).to_bytes();
            write_member(file, SIGNATURE_NAME, SIGNATURE_SIZE, &mut signature.as_slice())?;
        }
        for member in manifest.members() {
            let spooled = self.members.iter().find(|spooled| spooled.member == *member);
            let offset = spooled.ok_or_else(no_member)?.offset;
            let mut content = self.compressor.member(offset, member.bytes);
            write_member(file, &member.name, member.bytes, &mut content)?;
        }
        file.write_all(&END_MARK)?;
        self.members.clear();
        self.compressor.forget()?;
        Ok(Digest::of(&bytes))
    }
}

fn write_member(file: &mut impl Write, name: &str, size: u64, content: &mut impl Read) -> io::Result<()> {
    file.write_all(&header(name, size)?)?;
    if io::copy(content, file)? != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    io::copy(&mut io::repeat(0).take(padding(size)), file)?;
    Ok(())
}

fn no_member() -> io::Error {
    io::Error::other("there is no such member in this bundle")
}

/// The member that rows go to.
struct OpenMember {
    tally: Tally,
    table: usize,
    kind: MemberKind,
    raw_bytes: u64,
    /// Rows that the compressor has not been given.
    block: Vec<u8>,
    /// Bytes that it has been given, and has not yet said what they have become.
    waiting: u64,
    /// What the spool has of this member, as far as it has said.
    flushed: u64,
}

/// Rows are compressed in blocks of this size or a little more, zstd's own. Each is flushed, which costs next to
/// nothing, and so the size of the member is known to within one of them.
const BLOCK_OF_ZSTD: usize = 128 << 10;
/// Near the limit blocks become smaller, down to this: less is not worth a block of its own.
const LEAST_BLOCK: usize = 8 << 10;
/// What a frame has besides its blocks.
const FRAME_OVERHEAD: u64 = 64;

impl OpenMember {
    fn new(table: usize, kind: MemberKind, columns: &[Column], mut block: Vec<u8>) -> Self {
        block.extend_from_slice(&header_line(columns));
        let raw_bytes = block.len() as u64;
        Self { tally: Tally::new(columns), table, kind, raw_bytes, block, waiting: 0, flushed: 0 }
    }

    /// What is out, and what the compressor holds or will be given at its raw size: compression cannot be
    /// foreseen. What cannot be compressed grows by three bytes per block, less than the share allowed for it.
    fn size(&self) -> u64 {
        let held = self.waiting + self.block.len() as u64;
        self.flushed + held + held / 1024 + FRAME_OVERHEAD
    }

    fn spooled(self, ended: Ended) -> Option<Spooled> {
        if self.tally.rows() == 0 {
            return None;
        }
        let member = Member {
            name: String::new(),
            kind: self.kind,
            rows: self.tally.rows(),
            bytes: ended.bytes,
            raw_bytes: self.raw_bytes,
            sha256: ended.sha256,
            totals: self.tally.totals(),
        };
        Some(Spooled { table: self.table, offset: ended.offset, member })
    }
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
