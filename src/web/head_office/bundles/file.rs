//! A bundle's file, byte for byte.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use axum::extract;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};

use super::ask::whose;
use crate::archive::Archive;
use crate::bundle::is_encrypted;
use crate::domain::{Digest, Failure, NodeName};
use crate::head_office::history::{RejectedFile, biography, rejected_file as find_rejected};
use crate::web::download::{attachment, download};
use crate::web::server::State;
use crate::web::trouble::Trouble;

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// The file of a bundle that the ledger knows.
pub(in crate::web::head_office) async fn file(
    extract::State(state): extract::State<State>,
    extract::Path(address): extract::Path<(String, String, String)>,
) -> Result<Response, Trouble> {
    let (branch, epoch, sequence) = whose(&address)?;
    let path = state.archive.file(&branch, epoch, sequence);
    let name = format!("{branch}_{epoch}_{:010}.bundle", sequence.get());
    let found = state.databases.read(move |client| biography(client, &branch, epoch, sequence)).await?;
    found.and_then(|bundle| bundle.recorded).ok_or(Trouble::NotFound)?;
    send(path, &name).await
}

/// The file of a rejected bundle.
pub(in crate::web::head_office) async fn rejected_file(
    extract::State(state): extract::State<State>,
    extract::Path(incident): extract::Path<String>,
) -> Result<Response, Trouble> {
    let found = rejected(&state, &incident).await?;
    let path = path_of(&state.archive, &found).ok_or(Trouble::NotFound)?;
    let name = format!("rejected_{}_{incident}.bundle", found.branch.as_deref().unwrap_or("unknown"));
    send(path, &name).await
}

/// What is known of the rejected file of an incident.
pub(super) async fn rejected(state: &State, incident: &str) -> Result<RejectedFile, Trouble> {
    let number: i64 = incident.parse().map_err(|_| Trouble::NotFound)?;
    let found = state.databases.read(move |client| find_rejected(client, number)).await?;
    found.ok_or(Trouble::NotFound)
}

/// Where a rejected file is. Of what was noted only the name counts, which is the hash of the content: wherever else
/// the note may point, nothing is read there.
pub(super) fn path_of(archive: &Archive, file: &RejectedFile) -> Option<PathBuf> {
    let whose: Option<NodeName> = file.branch.as_deref().map(str::parse).transpose().ok()?;
    let content: Digest = PathBuf::from(&file.file).file_stem()?.to_str()?.parse().ok()?;
    Some(archive.rejected_file(whose.as_ref(), content))
}

async fn send(path: PathBuf, name: &str) -> Result<Response, Trouble> {
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
