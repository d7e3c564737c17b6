//! Everything that can be wrong with a bundle file, each with its own words.

use std::io;

use crate::domain::{Locked, ManifestError};

/// What is wrong with a bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Defect {
    /// The file ends too early.
    #[error("the file ends in the middle, after {0} bytes")]
    Truncated(u64),
    /// A tar header is not the one this format writes.
    #[error("the tar header at byte {0} is damaged, or this is no bundle")]
    HeaderDamaged(u64),
    /// The bytes that fill a member up to the next 512 are not zero, or the end mark is not.
    #[error("the padding at byte {0} is damaged")]
    PaddingDamaged(u64),
    /// What stands before an encrypted content is not as age writes it.
    #[error("it is encrypted, and the header of the encryption is damaged")]
    EncryptionHeader,
    /// It is encrypted in another way.
    #[error("it is encrypted in a version of age's format that this program does not know")]
    EncryptionVersion,
    /// An encrypted content is not the one that was encrypted.
    #[error("its encrypted content was changed or cut short")]
    EncryptedContent,
    /// There is something behind the end mark.
    #[error("{0} bytes follow the end of the bundle")]
    TrailingBytes(u64),
    /// The first member is another one.
    #[error("its first member is {0:?}, not manifest.json")]
    NoManifest(String),
    /// The manifest is too long to be read.
    #[error("its manifest says to be {0} bytes long, over the limit of 4 MiB")]
    ManifestTooLong(u64),
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The signature member has not the size of a signature.
    #[error("manifest.sig has {0} bytes, a signature has 72")]
    SignatureSize(u64),
    /// A member of the manifest is not in the file.
    #[error("member {0} is missing")]
    MemberMissing(String),
    /// A member of the file is not in the manifest.
    #[error("there is a member {0:?} that the manifest does not name")]
    MemberUnexpected(String),
    /// A member stands in the file twice.
    #[error("member {0} is there twice")]
    MemberDoubled(String),
    /// The members are there in another order.
    #[error("member {0} is out of order")]
    MemberOutOfOrder(String),
    /// A member has another size than the manifest says.
    #[error("member {member} has {found} bytes, the manifest says {declared}")]
    SizeDiffers {
        /// The member.
        member: String,
        /// Its compressed size according to the manifest.
        declared: u64,
        /// Its compressed size in the file.
        found: u64,
    },
    /// A member's bytes are not those that were sealed.
    #[error("member {0} does not match its checksum")]
    ChecksumDiffers(String),
    /// A member cannot be decompressed.
    #[error("member {0} cannot be decompressed: {1}")]
    Compression(String, String),
    /// A member decompresses to another size than declared.
    #[error("member {0} does not decompress to the declared {1} bytes")]
    RawSizeDiffers(String, u64),
    /// A member's header line does not name its columns.
    #[error("the header line of member {0} does not name its columns")]
    HeaderLineDiffers(String),
    /// A member's rows are not CSV of its columns.
    #[error("member {0}, row {1}: {2}")]
    RowMalformed(String, u64, &'static str),
    /// A member has another number of rows than declared.
    #[error("member {member} has {found} rows, the manifest says {declared}")]
    RowsDiffer {
        /// The member.
        member: String,
        /// Rows according to the manifest.
        declared: u64,
        /// Rows found.
        found: u64,
    },
    /// A control total differs.
    #[error("member {member}, column {column:?}: the rows sum up to {found}, the manifest says {declared}")]
    TotalDiffers {
        /// The member.
        member: String,
        /// The column.
        column: String,
        /// Sum according to the manifest.
        declared: String,
        /// Sum found.
        found: String,
    },
}

/// Why a bundle could not be read: it is damaged, there is no key for it, or the file could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The bundle is damaged.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// It is encrypted.
    #[error(transparent)]
    Locked(#[from] Locked),
    /// The disk failed, not the bundle.
    #[error("reading the file failed: {0}")]
    Io(io::Error),
}

impl From<io::Error> for ReadError {
    /// What is wrong with an encrypted content is found while it is read.
    fn from(error: io::Error) -> Self {
        error.downcast::<Defect>().map_or_else(Self::Io, Self::Defect)
    }
}

/// Why a member's rows could not be poured.
#[derive(Debug, thiserror::Error)]
pub enum PourError {
    /// The bundle is damaged.
    #[error(transparent)]
    Defect(#[from] Defect),
    /// The bundle's file could not be read.
    #[error("reading the file failed: {0}")]
    Source(io::Error),
    /// The place the rows went to refused them.
    #[error("{0}")]
    Sink(io::Error),
}

impl PourError {
    /// What reading the bundle's file has failed with.
    pub(super) fn reading(error: io::Error) -> Self {
        ReadError::from(error).into()
    }
}

impl From<ReadError> for PourError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Defect(defect) => Self::Defect(defect),
            ReadError::Io(error) => Self::Source(error),
            ReadError::Locked(locked) => Self::Source(io::Error::other(locked)),
        }
    }
}
