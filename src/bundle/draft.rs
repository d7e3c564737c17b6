//! A bundle in the making: rows come in, members go to a spool, the file comes out.
//!
//! The manifest stands first in the file and can only be written last, so the members wait in an
//! anonymous temporary file. It holds compressed bytes only, never more than one bundle.

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};
use zstd::stream::write::Encoder;

use super::csv::header_line;
use super::layout::{BLOCK, END_MARK, MANIFEST_NAME, header, padding};
use super::tally::Tally;
use crate::domain::{Column, Digest, Manifest, Member, MemberKind};

/// A bundle in the making.
pub struct Draft {
    level: i32,
    spool: Option<Spool>,
    open: Option<OpenMember>,
    members: Vec<Spooled>,
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
        let spool = Spool::new(tempfile::tempfile_in(folder)?);
        Ok(Self { level, spool: Some(spool), open: None, members: Vec::new() })
    }

    /// Begins the member with the rows of this kind of `table`, a number of the caller's choosing that
    /// is greater for tables that stand later in the manifest. `columns` are those of the member.
    pub fn begin(&mut self, table: usize, kind: MemberKind, columns: &[Column]) -> io::Result<()> {
        self.end()?;
        let spool = self.spool.take().ok_or_else(lost_spool)?;
        self.open = Some(OpenMember::new(spool, self.level, table, kind, columns)?);
        Ok(())
    }

    /// Adds one row, line end included, to the member that was begun last.
    pub fn write_row(&mut self, row: &[u8]) -> io::Result<()> {
        self.open.as_mut().ok_or_else(lost_spool)?.write_row(row)
    }

    /// Ends the member that was begun last, if there is one. A member without rows is left out.
    pub fn end(&mut self) -> io::Result<()> {
        if let Some(open) = self.open.take() {
            let (spool, spooled) = open.finish()?;
            self.spool = Some(spool);
            self.members.extend(spooled);
        }
        Ok(())
    }

    /// An upper bound for the bytes the members will have in the file if no row is added any more.
    pub fn size(&self) -> u64 {
        let whole = |bytes: u64| BLOCK + bytes + padding(bytes);
        let finished: u64 = self.members.iter().map(|spooled| whole(spooled.member.bytes)).sum();
        finished + self.open.as_ref().map_or(0, |open| whole(open.size()))
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

    /// Writes the bundle to `file` and returns the SHA-256 of its manifest. The manifest's members are
    /// those that [`Draft::members_of`] gave.
    pub fn assemble(mut self, manifest: &Manifest, file: &mut impl Write) -> io::Result<Digest> {
        self.end()?;
        let bytes = manifest.to_bytes().map_err(io::Error::other)?;
        let mut spool = self.spool.take().ok_or_else(lost_spool)?.into_file()?;
        if manifest.members().count() != self.members.len() {
            return Err(io::Error::other("the manifest leaves out a member of the bundle"));
        }
        write_member(file, MANIFEST_NAME, bytes.len() as u64, &mut bytes.as_slice())?;
        for member in manifest.members() {
            let spooled = self.members.iter().find(|spooled| spooled.member == *member);
            spool.seek(SeekFrom::Start(spooled.ok_or_else(lost_spool)?.offset))?;
            write_member(file, &member.name, member.bytes, &mut (&mut spool).take(member.bytes))?;
        }
        file.write_all(&END_MARK)?;
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

fn lost_spool() -> io::Error {
    io::Error::other("an earlier error left this bundle unfinished")
}

/// The member that rows go to.
struct OpenMember {
    encoder: Encoder<'static, Spool>,
    tally: Tally,
    table: usize,
    kind: MemberKind,
    raw_bytes: u64,
    /// Of these, what came after the last flush: the encoder may still hold all of it.
    raw_bytes_held: u64,
    /// What the spool had of this member after the last flush.
    bytes_flushed: u64,
}

/// The encoder is made to let go of what it holds when that is more than this, zstd's own block
/// size. Blocks end a little later than they would by themselves, which costs next to nothing, and
/// the size of the member is known to within one of them.
const BLOCK_OF_ZSTD: u64 = 128 << 10;
/// What a frame has besides its blocks.
const FRAME_OVERHEAD: u64 = 64;

impl OpenMember {
    fn new(
        mut spool: Spool,
        level: i32,
        table: usize,
        kind: MemberKind,
        columns: &[Column],
    ) -> io::Result<Self> {
        spool.begin_member();
        let mut encoder = Encoder::new(spool, level)?;
        encoder.include_checksum(true)?;
        let line = header_line(columns);
        encoder.write_all(&line)?;
        let raw_bytes = line.len() as u64;
        let tally = Tally::new(columns);
        Ok(Self { encoder, tally, table, kind, raw_bytes, raw_bytes_held: raw_bytes, bytes_flushed: 0 })
    }

    fn write_row(&mut self, row: &[u8]) -> io::Result<()> {
        self.tally.feed(row).map_err(io::Error::other)?;
        self.encoder.write_all(row)?;
        self.raw_bytes += row.len() as u64;
        self.raw_bytes_held += row.len() as u64;
        if self.raw_bytes_held >= BLOCK_OF_ZSTD {
            self.encoder.flush()?;
            (self.bytes_flushed, self.raw_bytes_held) = (self.encoder.get_ref().member_bytes, 0);
        }
        Ok(())
    }

    /// What is out, and what the encoder holds at its raw size: compression cannot be foreseen. What
    /// cannot be compressed grows by three bytes per block, far less than the share allowed for it.
    fn size(&self) -> u64 {
        self.bytes_flushed + self.raw_bytes_held + self.raw_bytes_held / 1024 + FRAME_OVERHEAD
    }

    fn finish(self) -> io::Result<(Spool, Option<Spooled>)> {
        self.tally.finish().map_err(io::Error::other)?;
        let mut spool = self.encoder.finish()?;
        let offset = spool.member_offset;
        let (bytes, sha256) = spool.end_member();
        if self.tally.rows() == 0 {
            return Ok((spool, None));
        }
        let member = Member {
            name: String::new(),
            kind: self.kind,
            rows: self.tally.rows(),
            bytes,
            raw_bytes: self.raw_bytes,
            sha256,
            totals: self.tally.totals(),
        };
        Ok((spool, Some(Spooled { table: self.table, offset, member })))
    }
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

    fn begin_member(&mut self) {
        self.member_offset += self.member_bytes;
        self.member_bytes = 0;
    }

    fn end_member(&mut self) -> (u64, Digest) {
        (self.member_bytes, Digest::from_hasher(std::mem::take(&mut self.hasher)))
    }

    fn into_file(self) -> io::Result<File> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)
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
