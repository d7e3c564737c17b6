//! What a branch seals its bundles with, and how large they may become.

use std::env;
use std::path::PathBuf;

use crate::archive::Archive;
use crate::bundle::{SIGNATURE_MEMBER, encryption_overhead};
use crate::domain::{Digest, Failure, Manifest, Recipient, SigningKey};

/// The rest of a manifest, the tar around it, and what the compressor still holds when a row is added.
const BYTES_PER_BUNDLE: u64 = 4096;

/// The bounds of a bundle.
#[derive(Debug, Clone, Copy)]
pub struct PartLimits {
    /// A bundle is not larger than this, in bytes, unless a single row is.
    pub max_bytes: u64,
    /// zstd's level, 1 to 19.
    pub compression_level: i32,
}

/// A bundle smaller than this could not hold its own manifest and a useful number of rows.
pub const SMALLEST_BUNDLE: u64 = 64 << 10;

impl PartLimits {
    /// These bounds, and no larger than a message may be, if that is known.
    pub(super) fn within(self, message_limit: Option<u64>) -> Self {
        let known = message_limit.unwrap_or(u64::MAX).max(SMALLEST_BUNDLE);
        Self { max_bytes: self.max_bytes.min(known), ..self }
    }
}

/// A bundle that is in the archive.
#[derive(Debug)]
pub(super) struct SealedBundle {
    pub(super) manifest: Manifest,
    pub(super) manifest_sha256: Digest,
    /// Of the whole file, if it is encrypted: the branch itself may not be able to read the manifest.
    pub(super) file_sha256: Option<Digest>,
    /// Of the file, in bytes.
    pub(super) size: u64,
}

/// What a branch seals its bundles with.
#[derive(Debug, Clone, Copy)]
pub struct Sealing<'a> {
    /// They are signed with this, if the branch has a key.
    pub key: Option<&'a SigningKey>,
    /// They are encrypted to these, if there are any.
    pub recipients: &'a [Recipient],
}

impl Sealing<'_> {
    /// Where members wait until their bundle is sealed. They are not encrypted there, and the archive may be on a stick.
    pub(super) fn spool_folder(&self, archive: &Archive) -> Result<PathBuf, Failure> {
        if self.recipients.is_empty() { archive.drafts() } else { Ok(env::temp_dir()) }
    }

    /// What a bundle of at most so many bytes needs besides tables and rows, at most.
    pub(super) fn empty_size(&self, max_bytes: u64) -> u64 {
        let signature = self.key.map_or(0, |_| SIGNATURE_MEMBER);
        let encryption = match self.recipients.len() {
            0 => 0,
            recipients => encryption_overhead(recipients, max_bytes),
        };
        BYTES_PER_BUNDLE + signature + encryption
    }
}
