//! A bundle's file, byte for byte.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use crate::archive::Glimpse;
use crate::bundle::is_encrypted;
use crate::domain::{Epoch, Failure, NodeName, Sequence};
use crate::web::download::{attachment, download};
use crate::web::trouble::Trouble;

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// The name under which a bundle is saved.
pub(in crate::web) fn file_name(branch: &NodeName, epoch: Epoch, sequence: Sequence) -> String {
    format!("{branch}_{epoch}_{:010}.bundle", sequence.get())
}

/// What is told of the file besides its rows.
pub(in crate::web) fn facts_of_file(glimpse: Option<&Glimpse>) -> Vec<(&'static str, String)> {
    let Some(glimpse) = glimpse else { return Vec::new() };
    let answer = |is_so| if is_so { "yes" } else { "no" }.to_owned();
    vec![
        ("File (SHA-256)", glimpse.file_sha256.to_string()),
        ("Encrypted", answer(glimpse.is_encrypted)),
        ("Signed", answer(glimpse.is_signed)),
        ("Made by", glimpse.manifest.tool.clone()),
    ]
}

/// Sends a file under this name.
pub(in crate::web) async fn send(path: PathBuf, name: &str) -> Result<Response, Trouble> {
    let opened =
        File::open(&path).and_then(|mut file| Ok((file.metadata()?.len(), is_encrypted(&mut file)?, file)));
    let (size, is_encrypted, mut file) = match opened {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(Trouble::NotFound),
        Err(error) => return Err(Failure::file("opening", &path, &error).into()),
    };
    let body = download(move |outlet| {
        let mut left = size;
        while left > 0 {
            let mut piece = vec![0; PIECE.min(usize::try_from(left).unwrap_or(PIECE))];
            file.read_exact(&mut piece).map_err(|error| Failure::file("reading", &path, &error))?;
            left -= piece.len() as u64;
            if outlet.send(piece).is_err() {
                break;
            }
        }
        Ok(())
    });
    let content_type = if is_encrypted { "application/octet-stream" } else { "application/x-tar" };
    let headers = [
        (CONTENT_TYPE, content_type.to_owned()),
        (CONTENT_DISPOSITION, attachment(name)),
        (CONTENT_LENGTH, size.to_string()),
    ];
    Ok((headers, body.await?).into_response())
}
