//! A bundle's file encrypted as a whole, in the binary form of age (age-encryption.org/v1), so that age's own
//! programs read it too. The bundle inside is the same to the byte as one that is not encrypted.

use std::fmt;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

use age::stream::{StreamReader, StreamWriter};
use age::{DecryptError, Decryptor, Encryptor};
use sha2::{Digest as _, Sha256};

use super::defect::{Defect, ReadError};
use crate::domain::{Digest, Identities, Identity, Locked, Recipient};

/// What every version of age begins with.
const MAGIC: &[u8] = b"age-encryption.org/";
/// The line behind the recipients.
const END_OF_HEADER: &[u8] = b"\n--- ";
/// It has room for a hundred recipients and more. What a header says is only believed when it is read to its end.
const LONGEST_HEADER: u64 = 16 << 10;

/// Whether this file is encrypted, as far as its first bytes tell.
pub fn is_encrypted(source: &mut (impl Read + Seek)) -> io::Result<bool> {
    source.rewind()?;
    let mut start = Vec::new();
    source.by_ref().take(MAGIC.len() as u64).read_to_end(&mut start)?;
    source.rewind()?;
    Ok(start == MAGIC)
}

/// The bundle in a file, decrypted on the way if the file is encrypted. Nothing is given out that was not
/// authenticated, and the end only of a file that has not been cut short.
pub(super) enum Content<R> {
    Plain(R),
    Encrypted(Box<StreamReader<BufReader<R>>>),
}

impl<R: Read + Seek> Content<R> {
    /// That of this file, which is read with these keys if it has to be.
    pub(super) fn of(mut source: R, identities: &Identities) -> Result<Self, ReadError> {
        if !is_encrypted(&mut source)? {
            return Ok(Self::Plain(source));
        }
        expect_header(&mut source)?;
        // Small, because what follows the header is read in large pieces.
        let source = BufReader::with_capacity(4 << 10, source);
        let decryptor = Decryptor::new_buffered(source).map_err(in_header)?;
        let keys = identities.keys()?;
        let decrypted = decryptor.decrypt(keys.iter().map(Identity::key));
        decrypted.map(|stream| Self::Encrypted(Box::new(stream))).map_err(|error| match error {
            DecryptError::NoMatchingKeys => Locked::NoneFits(keys.len()).into(),
            error => in_header(error),
        })
    }

    /// Whether the file is encrypted.
    pub(super) fn is_encrypted(&self) -> bool {
        matches!(self, Self::Encrypted(_))
    }
}

impl<R> fmt::Debug for Content<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Plain(_)) { "Plain" } else { "Encrypted" })
    }
}

/// The library reads a header in memory, whole, however long it is.
fn expect_header(source: &mut (impl Read + Seek)) -> Result<(), ReadError> {
    let mut start = Vec::new();
    source.by_ref().take(LONGEST_HEADER).read_to_end(&mut start)?;
    source.rewind()?;
    let is_there = memchr::memmem::find(&start, END_OF_HEADER).is_some();
    if is_there { Ok(()) } else { Err(Defect::EncryptionHeader.into()) }
}

fn in_header(error: DecryptError) -> ReadError {
    match error {
        DecryptError::Io(error) if error.raw_os_error().is_some() => ReadError::Io(error),
        DecryptError::UnknownFormat => Defect::EncryptionVersion.into(),
        _ => Defect::EncryptionHeader.into(),
    }
}

impl<R: Read + Seek> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(source) => source.read(buffer),
            Self::Encrypted(stream) => stream.read(buffer).map_err(in_content),
        }
    }
}

impl<R: Read + Seek> Seek for Content<R> {
    fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(source) => source.seek(position),
            Self::Encrypted(stream) => stream.seek(position).map_err(in_content),
        }
    }
}

/// What the system did not say, the library has found wrong.
fn in_content(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(_) => error,
        None => io::Error::new(io::ErrorKind::InvalidData, Defect::EncryptedContent),
    }
}

/// Encrypts what is written to it.
pub struct EncryptedFile<W: Write>(StreamWriter<Hashed<W>>);

impl<W: Write> EncryptedFile<W> {
    /// A file that only these can read. There is at least one.
    pub fn begin(recipients: &[Recipient], file: W) -> io::Result<Self> {
        let keys = recipients.iter().map(|recipient| recipient.key() as &dyn age::Recipient);
        let encryptor = Encryptor::with_recipients(keys).map_err(io::Error::other)?;
        let file = Hashed { file, hasher: Sha256::new() };
        encryptor.wrap_output(file).map(Self)
    }

    /// Writes the rest. The SHA-256 of the whole file.
    pub fn end(self) -> io::Result<Digest> {
        let mut hashed = self.0.finish()?;
        hashed.flush()?;
        Ok(Digest::from_hasher(hashed.hasher))
    }
}

impl<W: Write> Write for EncryptedFile<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

struct Hashed<W> {
    file: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// How much larger a file becomes by being encrypted to so many, at most, if it is not larger than `size`
/// afterwards.
pub fn encryption_overhead(recipients: usize, size: u64) -> u64 {
    // First line, one for somebody who is invented, seal, nonce.
    const HEADER: u64 = 512;
    const RECIPIENT: u64 = 98;
    const PIECE: u64 = 64 << 10;
    const TAG: u64 = 16;
    HEADER + RECIPIENT * recipients as u64 + TAG * (size / PIECE + 1)
}
