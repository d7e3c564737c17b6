//! A bundle's file, byte for byte.

use std::path::PathBuf;

use axum::extract;
use axum::response::Response;

use super::ask::whose;
use crate::archive::Archive;
use crate::domain::{Digest, NodeName};
use crate::head_office::history::{RejectedFile, biography, rejected_file as find_rejected};
use crate::web::bundle::{file_name, send};
use crate::web::server::State;
use crate::web::trouble::Trouble;

/// The file of a bundle that the ledger knows.
pub(in crate::web::head_office) async fn file(
    extract::State(state): extract::State<State>,
    extract::Path(address): extract::Path<(String, String, String)>,
) -> Result<Response, Trouble> {
    let (branch, epoch, sequence) = whose(&address)?;
    let path = state.archive.file(&branch, epoch, sequence);
    let name = file_name(&branch, epoch, sequence);
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
