//! A bundle's file, looked into: what it says of itself, and its first rows. Nothing is believed before it was checked,
//! and no file is read that is larger than any that can be sent.

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::Path;

use super::{Archive, digest_of};
use crate::bundle::{Bundle, PourError, ReadError, RowReader, fields_of_row};
use crate::domain::{Column, Digest, Manifest, MemberKind};

/// Rows of each member that are shown.
pub const PREVIEW_ROWS: usize = 50;
/// Bytes of a row that are shown, and of the rows of a member altogether.
const LONGEST_PREVIEW: usize = 256 << 10;
/// A file that is larger is not looked into for a page.
const LARGEST_FILE: u64 = 64 << 20;
/// Members that are looked into.
const MOST_MEMBERS: usize = 30;

/// What is known of a file.
#[derive(Debug)]
pub enum Examined {
    /// It is whole.
    Whole(Box<Glimpse>),
    /// It cannot be shown, and why.
    Not(String),
}

/// What a whole file says.
#[derive(Debug)]
pub struct Glimpse {
    /// Its table of contents.
    pub manifest: Manifest,
    /// The hash of that.
    pub manifest_sha256: Digest,
    /// The hash of the whole file.
    pub file_sha256: Digest,
    /// Whether it is signed.
    pub is_signed: bool,
    /// Whether it is encrypted.
    pub is_encrypted: bool,
    /// Its first rows.
    pub previews: Vec<Preview>,
}

/// The first rows of a member.
#[derive(Debug)]
pub struct Preview {
    /// The table.
    pub table: String,
    /// What the rows are.
    pub kind: MemberKind,
    /// How many it has.
    pub rows: u64,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The first rows; NULL is none.
    pub first: Vec<Vec<Option<String>>>,
    /// Why there are none, if they cannot be read.
    pub trouble: Option<String>,
}

/// Looks into a file, as the node with this archive can.
pub fn examine(archive: &Archive, path: &Path) -> Examined {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (size, file) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Examined::Not("The file is not in the archive any more.".to_owned());
        }
        Err(error) => return Examined::Not(format!("The file cannot be read: {error}.")),
    };
    if size > LARGEST_FILE {
        return Examined::Not(format!("The file has {size} bytes, more than this page looks into."));
    }
    let file_sha256 = match digest_of(path) {
        Ok(digest) => digest,
        Err(failure) => return Examined::Not(format!("The file cannot be read: {}.", failure.why())),
    };
    match Bundle::open_with(file, archive.identities()) {
        Ok(bundle) => Examined::Whole(Box::new(glimpse(bundle, file_sha256))),
        Err(ReadError::Io(error)) => Examined::Not(format!("The file cannot be read: {error}.")),
        Err(ReadError::Locked(locked)) => Examined::Not(format!("The file cannot be looked into: {locked}.")),
        Err(ReadError::Defect(defect)) => Examined::Not(format!("The file is damaged: {defect}.")),
    }
}

fn glimpse(mut bundle: Bundle<File>, file_sha256: Digest) -> Glimpse {
    let manifest = bundle.manifest().clone();
    let mut previews = Vec::new();
    for table in &manifest.tables {
        for member in table.members.iter().take(MOST_MEMBERS.saturating_sub(previews.len())) {
            let mut sink = FirstRows::default();
            let poured = bundle.pour(table, member, &mut sink);
            let columns = member.kind.columns(&table.columns);
            // The sink says itself when it has enough.
            let trouble = match poured {
                Ok(_) | Err(PourError::Sink(_)) => None,
                Err(error) => Some(error.to_string()),
            };
            previews.push(Preview {
                table: table.name.to_string(),
                kind: member.kind,
                rows: member.rows,
                columns,
                first: if trouble.is_none() { sink.rows() } else { Vec::new() },
                trouble,
            });
        }
    }
    Glimpse {
        manifest,
        manifest_sha256: bundle.manifest_sha256(),
        file_sha256,
        is_signed: bundle.signature().is_some(),
        is_encrypted: bundle.is_encrypted(),
        previews,
    }
}

/// Takes what is shown and no more.
#[derive(Default)]
struct FirstRows(Vec<u8>);

impl Write for FirstRows {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() >= LONGEST_PREVIEW {
            return Err(io::Error::other("enough"));
        }
        let taken = bytes.len().min(LONGEST_PREVIEW - self.0.len());
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FirstRows {
    /// The whole rows among what was taken.
    fn rows(self) -> Vec<Vec<Option<String>>> {
        let mut reader = RowReader::new(BufReader::new(&self.0[..]));
        let mut rows = Vec::new();
        while rows.len() < PREVIEW_ROWS {
            match reader.next_row() {
                Ok(Some(row)) => rows.push(fields_of_row(row)),
                _ => break,
            }
        }
        rows
    }
}
