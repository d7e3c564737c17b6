//! The server: where it listens, which pages it has, how it ends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::database::Databases;
use super::page::Section;
use super::site::{Role, Site};
use super::{assets, branch, head_office};
use crate::archive::Archive;
use crate::domain::{Failure, Kind, NodeName};

/// How often it looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

/// How the server is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where it listens.
    pub listen: SocketAddr,
}

/// What the handlers share.
pub(super) struct Shared {
    pub(super) node: NodeName,
    pub(super) archive: Archive,
    pub(super) databases: Databases,
    pub(super) role: Role,
    pub(super) sections: &'static [Section],
}

/// The state of every handler.
pub(super) type State = Arc<Shared>;

/// Serves the pages of `site` until `is_to_stop`. `on_ready` is told where it listens.
pub fn serve(
    site: Site,
    options: &Options,
    on_ready: impl FnOnce(SocketAddr) -> Result<(), Failure>,
    is_to_stop: impl Fn() -> bool + Send + 'static,
) -> Result<(), Failure> {
    let doing = || format!("listening on {}", options.listen);
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Kind::Failed, "starting the server", error))?;
    runtime.block_on(async {
        let listener = TcpListener::bind(options.listen).await;
        let listener = listener.map_err(|error| Failure::new(Kind::Failed, doing(), error))?;
        let address = listener.local_addr().map_err(|error| Failure::new(Kind::Failed, doing(), error))?;
        on_ready(address)?;
        let served = axum::serve(listener, router(site)).with_graceful_shutdown(async move {
            while !is_to_stop() {
                sleep(LOOK).await;
            }
        });
        served.await.map_err(|error| Failure::new(Kind::Failed, "serving the page", error))
    })
}

fn router(site: Site) -> Router {
    let (pages, sections) = match &site.role {
        Role::HeadOffice(_) => (head_office::pages(), head_office::SECTIONS),
        Role::Branch(_) => (branch::pages(), branch::SECTIONS),
    };
    let Site { node, archive, connect, role } = site;
    let shared = Shared { node, archive, databases: Databases::new(connect), role, sections };
    let pages = pages.route("/assets/{name}", get(assets::asset));
    pages.with_state(Arc::new(shared))
}
