//! The bundle file, format `salesync-bundle/1`. `bundles/README.md` is its byte-exact description.

mod compressor;
mod csv;
mod defect;
mod draft;
mod encryption;
mod layout;
mod raw_member;
mod reader;
mod tally;
#[cfg(test)]
mod tests;

pub use csv::{RowReader, fields_of_row, key_of_row};
pub use defect::{Defect, PourError, ReadError};
pub use draft::Draft;
pub use encryption::{EncryptedFile, encryption_overhead, is_encrypted};
pub use layout::SIGNATURE_MEMBER;
pub use reader::Bundle;
