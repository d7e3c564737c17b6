//! Reads a bundle, believing nothing: first the shape and the checksums of the whole file, and only
//! then, on request, the rows.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use super::csv::header_line;
use super::defect::{Defect, PourError, ReadError};
use super::encryption::Content;
use super::layout::{
    BLOCK, MANIFEST_NAME, SIGNATURE_NAME, SIGNATURE_SIZE, padding, read_header, read_padding, read_whole,
};
use super::raw_member::RawMember;
use super::tally::Tally;
use crate::domain::{
    Digest, Distrust, Identities, KeyId, KeyRing, MANIFEST_LIMIT, Manifest, Member, Signable, Signature,
    TableChange, Totals,
};

/// A bundle whose shape, sizes and checksums have been found right.
#[derive(Debug)]
pub struct Bundle<R> {
    source: Content<R>,
    manifest: Manifest,
    /// The bytes of `manifest.json`, which are what is signed.
    manifest_bytes: Vec<u8>,
    signature: Option<Signature>,
    proven_by: Option<KeyId>,
    /// Where each member's content begins.
    offsets: BTreeMap<String, u64>,
    size: u64,
}

/// What follows the manifest: the signature, and where each member's content begins.
type Contents = (Option<Signature>, BTreeMap<String, u64>);

impl<R: Read + Seek> Bundle<R> {
    /// Reads the manifest and checks the whole file against it, without decompressing anything.
    pub fn open(source: R) -> Result<Self, ReadError> {
        Self::open_with(source, &Identities::default())
    }

    /// The same; these keys decrypt it on the way, if it is encrypted.
    pub fn open_with(mut source: R, identities: &Identities) -> Result<Self, ReadError> {
        let size = source.seek(SeekFrom::End(0))?;
        let content = Content::of(source, identities)?;
        let mut scan = Scan { source: BufReader::with_capacity(1 << 16, content), offset: 0 };
        let manifest_bytes = scan.manifest()?;
        let manifest = Manifest::from_bytes(&manifest_bytes).map_err(Defect::from)?;
        let (signature, offsets) = scan.members(&manifest)?;
        scan.end()?;
        let source = scan.source.into_inner();
        Ok(Self { source, manifest, manifest_bytes, signature, proven_by: None, offsets, size })
    }

    /// The table of contents.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of `manifest.json`: it identifies the whole content.
    pub fn manifest_sha256(&self) -> Digest {
        Digest::of(&self.manifest_bytes)
    }

    /// What `manifest.sig` says, if the bundle has one. Nobody has checked it.
    pub fn signature(&self) -> Option<&Signature> {
        self.signature.as_ref()
    }

    /// Whether the owner of these keys has sealed this bundle, which was `received` at this time.
    pub fn check_signature(&mut self, keys: &KeyRing, received: DateTime<Utc>) -> Result<(), Distrust> {
        let signature = self.signature.as_ref();
        self.proven_by = keys.check(Signable::Manifest, &self.manifest_bytes, signature, received)?;
        Ok(())
    }

    /// The key that is known to have sealed it, since [`check_signature`](Self::check_signature) found that; none if
    /// no signature was needed.
    pub fn proven_by(&self) -> Option<KeyId> {
        self.proven_by
    }

    /// Whether its file is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.source.is_encrypted()
    }

    /// Size of the whole file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes a member's rows, without the header line, to `sink` and compares their number, size and
    /// control totals with the manifest. They have been right only if this returns without error.
    pub fn pour(
        &mut self,
        table: &TableChange,
        member: &Member,
        sink: &mut impl Write,
    ) -> Result<Totals, PourError> {
        let missing = || Defect::MemberMissing(member.name.clone());
        let offset = *self.offsets.get(&member.name).ok_or_else(missing)?;
        self.source.seek(SeekFrom::Start(offset)).map_err(PourError::reading)?;
        let compressed = BufReader::with_capacity(1 << 16, (&mut self.source).take(member.bytes));
        let columns = member.kind.columns(&table.columns);
        let mut raw = RawMember::new(compressed, member)?;
        raw.expect(&header_line(&columns))?;
        let totals = raw.rows(Tally::new(&columns), sink)?;
        raw.end()?;
        Ok(totals)
    }
}

/// The pass over the whole file.
struct Scan<R> {
    source: BufReader<R>,
    offset: u64,
}

impl<R: Read> Scan<R> {
    fn manifest(&mut self) -> Result<Vec<u8>, ReadError> {
        let entry = self.header()?;
        let (name, size) = entry.ok_or_else(|| Defect::NoManifest(String::new()))?;
        if name != MANIFEST_NAME {
            return Err(Defect::NoManifest(name).into());
        }
        if size > MANIFEST_LIMIT {
            return Err(Defect::ManifestTooLong(size).into());
        }
        let mut bytes = vec![0; usize::try_from(size).map_err(io::Error::other)?];
        read_whole(&mut self.source, &mut bytes, self.offset)?;
        self.pass(size)?;
        Ok(bytes)
    }

    /// The signature, if there is one, and the offset of each member.
    fn members(&mut self, manifest: &Manifest) -> Result<Contents, ReadError> {
        let (mut signature, mut offsets) = (None, BTreeMap::new());
        let mut expected = manifest.members();
        while let Some((name, size)) = self.header()? {
            if name == SIGNATURE_NAME && signature.is_none() && offsets.is_empty() {
                signature = Some(self.signature(size)?);
                continue;
            }
            match expected.next() {
                Some(member) if member.name == name => {
                    offsets.insert(name, self.offset);
                    self.check(member, size)?;
                }
                next => return Err(self.misplaced(name, next, &offsets, manifest)?.into()),
            }
        }
        match expected.next() {
            Some(member) => Err(Defect::MemberMissing(member.name.clone()).into()),
            None => Ok((signature, offsets)),
        }
    }

    /// What is wrong where `found` stands in the place of `expected`.
    fn misplaced(
        &mut self,
        found: String,
        expected: Option<&Member>,
        seen: &BTreeMap<String, u64>,
        manifest: &Manifest,
    ) -> Result<Defect, ReadError> {
        if seen.contains_key(&found) {
            return Ok(Defect::MemberDoubled(found));
        }
        let Some(expected) = expected.filter(|_| manifest.members().any(|member| member.name == found))
        else {
            return Ok(Defect::MemberUnexpected(found));
        };
        // The expected one comes later, or not at all. The bundle is refused either way, so it is
        // enough to look for its name.
        let mut rest = Vec::new();
        (&mut self.source).take(MANIFEST_LIMIT).read_to_end(&mut rest)?;
        let name = expected.name.clone();
        let comes_later = memchr::memmem::find(&rest, name.as_bytes()).is_some();
        Ok(if comes_later { Defect::MemberOutOfOrder(name) } else { Defect::MemberMissing(name) })
    }

    fn signature(&mut self, size: u64) -> Result<Signature, ReadError> {
        let mut bytes = [0; Signature::SIZE];
        if size != SIGNATURE_SIZE {
            return Err(Defect::SignatureSize(size).into());
        }
        read_whole(&mut self.source, &mut bytes, self.offset)?;
        self.pass(size)?;
        Ok(Signature::from_bytes(&bytes))
    }

    fn check(&mut self, member: &Member, size: u64) -> Result<(), ReadError> {
        if size != member.bytes {
            let member_name = member.name.clone();
            return Err(
                Defect::SizeDiffers { member: member_name, declared: member.bytes, found: size }.into()
            );
        }
        let mut hasher = Sha256::new();
        let mut left = size;
        let mut buffer = [0; 1 << 14];
        while left > 0 {
            let piece = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            read_whole(&mut self.source, &mut buffer[..piece], self.offset + size - left)?;
            hasher.update(&buffer[..piece]);
            left -= piece as u64;
        }
        if Digest::from_hasher(hasher) != member.sha256 {
            return Err(Defect::ChecksumDiffers(member.name.clone()).into());
        }
        self.pass(size)
    }

    /// The next header; none at the end mark.
    fn header(&mut self) -> Result<Option<(String, u64)>, ReadError> {
        let entry = read_header(&mut self.source, self.offset)?;
        self.offset += if entry.is_some() { BLOCK } else { 2 * BLOCK };
        Ok(entry.map(|entry| (entry.name, entry.size)))
    }

    /// Goes past a content of `size` bytes, which has been read, and the padding behind it.
    fn pass(&mut self, size: u64) -> Result<(), ReadError> {
        self.offset += size;
        read_padding(&mut self.source, size, self.offset)?;
        self.offset += padding(size);
        Ok(())
    }

    /// Nothing may follow the end mark.
    fn end(&mut self) -> Result<(), ReadError> {
        let trailing = io::copy(&mut self.source, &mut io::sink())?;
        if trailing > 0 { Err(Defect::TrailingBytes(trailing).into()) } else { Ok(()) }
    }
}
