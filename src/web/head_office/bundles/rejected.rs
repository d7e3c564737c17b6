//! `/bundles/_rejected/{incident}`: a file that was refused, and why. No branch can be called `_rejected`.

use askama::Template;
use axum::extract;
use axum::response::Response;

use super::file::{path_of, rejected};
use crate::archive::{Examined, examine};
use crate::web::bundle::PreviewView;
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::thread::in_thread;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::Moment;

#[derive(Template)]
#[template(path = "head_office/rejected.html")]
struct RejectedView {
    frame: Frame,
    branch: Option<String>,
    bundle: Option<(i64, String)>,
    reason: String,
    happened: Moment,
    resolved: Option<Moment>,
    file: String,
    facts: Vec<(&'static str, String)>,
    unseen: Option<String>,
    previews: Vec<PreviewView>,
}

pub(in crate::web::head_office) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    extract::Path(incident): extract::Path<String>,
) -> Result<Response, Trouble> {
    let found = rejected(&state, &incident).await?;
    let archive = state.archive.clone();
    let path = path_of(&archive, &found);
    let examined = in_thread("looking into the file", move || {
        let missing = || Examined::Not("What was noted of it is no file of the archive.".to_owned());
        path.map_or_else(missing, |path| examine(&archive, &path))
    });
    let (mut facts, mut unseen, mut previews) = (Vec::new(), None, Vec::new());
    match examined.await? {
        Examined::Whole(glimpse) => {
            facts.push(("Manifest (SHA-256)", glimpse.manifest_sha256.to_string()));
            facts.push(("File (SHA-256)", glimpse.file_sha256.to_string()));
            facts.push(("Bundle", glimpse.manifest.bundle_id.to_string()));
            facts.push(("Says it is of", glimpse.manifest.branch.to_string()));
            previews = glimpse.previews.into_iter().map(PreviewView::of).collect();
        }
        Examined::Not(why) => unseen = Some(why),
    }
    let bundle = found
        .branch
        .as_ref()
        .zip(found.place)
        .map(|(branch, (epoch, sequence))| (sequence, format!("/bundles/{branch}/{epoch}/{sequence}")));
    render(&RejectedView {
        frame: Frame::new(&state, viewer, "Rejected bundle", "/bundles"),
        bundle,
        branch: found.branch,
        reason: found.detail,
        happened: Moment(found.happened_at),
        resolved: found.resolved_at.map(Moment),
        file: format!("/bundles/_rejected/{incident}/file"),
        facts,
        unseen,
        previews,
    })
}
