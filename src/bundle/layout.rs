//! The tar around the members: ustar headers in one canonical form, zero padding, two zero blocks.
//!
//! Of all the headers tar allows, exactly one is right for a given name and size. A reader that
//! renders that one and compares finds every changed byte, also where tar's own checksum is blind.

use std::io::{self, Read};

use super::defect::{Defect, ReadError};
use crate::domain::Signature;

/// Everything in a tar begins at a multiple of this.
pub(super) const BLOCK: u64 = 512;
/// The end mark: two blocks of zeros.
pub(super) const END_MARK: [u8; 1024] = [0; 1024];

pub(super) const MANIFEST_NAME: &str = "manifest.json";
pub(super) const SIGNATURE_NAME: &str = "manifest.sig";
/// Bytes of a signature with its key's id.
pub(super) const SIGNATURE_SIZE: u64 = Signature::SIZE as u64;
/// What a signature takes in the file.
pub const SIGNATURE_MEMBER: u64 = 2 * BLOCK;

/// The one header of a member with this name and size.
pub(super) fn header(name: &str, size: u64) -> io::Result<[u8; 512]> {
    let mut header = tar::Header::new_ustar();
    header.set_path(name)?;
    header.set_entry_type(tar::EntryType::Regular);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    Ok(*header.as_bytes())
}

/// Zero bytes needed to fill `size` up to whole blocks.
pub(super) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK) - size
}

/// What a header says, once it is known to be the canonical one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) size: u64,
}

/// Reads the header at `offset`; none at the end mark.
pub(super) fn read_header(source: &mut impl Read, offset: u64) -> Result<Option<Entry>, ReadError> {
    let damaged = || Defect::HeaderDamaged(offset);
    let mut block = [0; 512];
    read_whole(source, &mut block, offset)?;
    if block == [0; 512] {
        read_whole(source, &mut block, offset + BLOCK)?;
        return if block == [0; 512] { Ok(None) } else { Err(Defect::PaddingDamaged(offset + BLOCK).into()) };
    }
    let parsed = tar::Header::from_byte_slice(&block);
    let size = parsed.entry_size().map_err(|_| damaged())?;
    let name = std::str::from_utf8(&parsed.path_bytes()).map_err(|_| damaged())?.to_owned();
    if header(&name, size).map_err(|_| damaged())? != block {
        return Err(damaged().into());
    }
    Ok(Some(Entry { name, size }))
}

/// Reads the padding behind a member of `size` bytes that ends at `offset`.
pub(super) fn read_padding(source: &mut impl Read, size: u64, offset: u64) -> Result<(), ReadError> {
    let mut block = [0; 512];
    let width = usize::try_from(padding(size)).unwrap_or_default();
    read_whole(source, &mut block[..width], offset)?;
    if block == [0; 512] { Ok(()) } else { Err(Defect::PaddingDamaged(offset).into()) }
}

/// Fills `buffer`; the file's end before that is a defect, told with the length it has.
pub(super) fn read_whole(source: &mut impl Read, buffer: &mut [u8], offset: u64) -> Result<(), ReadError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => return Err(Defect::Truncated(offset + filled as u64).into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
