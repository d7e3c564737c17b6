//! Tells open pages that something has changed.
//!
//! One question a second to the database serves all that look on, and none is asked while nobody does. A page that is
//! told so fetches itself again (`page.js`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_core::Stream;
use serde::Deserialize;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::crowd::{Crowd, Guest};
use super::form::Asked;
use super::server::State;
use super::trouble::Trouble;
use super::viewer::Viewer;

/// So many look on at most; others fetch the page from time to time.
const STREAMS: usize = 200;
/// So many of one who has logged in.
const STREAMS_OF_ONE: usize = 40;
/// How often it looks whether something has changed.
const LOOK: Duration = Duration::from_secs(1);
/// How long it waits after a look that failed.
const REST: Duration = Duration::from_secs(5);
/// How often a stream says that it is alive, which also finds out who is gone.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A stream that is older ends; the browser opens another, and has to be let in again.
const HEARTBEATS: u32 = 40;

/// Words of the protocol. The second is a comment.
const CHANGED: &str = "event: changed\ndata:\n\n";
const ALIVE: &str = ": alive\n\n";

/// Those that look on.
pub(super) struct Live {
    watchers: Crowd<String>,
    /// When the last one was seen; none any more when the server ends.
    change: watch::Sender<Option<Instant>>,
}

impl Live {
    pub(super) fn new() -> Self {
        Self {
            watchers: Crowd::new(STREAMS_OF_ONE, STREAMS),
            change: watch::Sender::new(Some(Instant::now())),
        }
    }

    /// Ends all streams.
    pub(super) fn end(&self) {
        self.change.send_replace(None);
    }

    /// Something has changed.
    pub(super) fn tell(&self) {
        self.change.send_modify(|change| *change = change.map(|_| Instant::now()));
    }

    fn is_watched(&self) -> bool {
        !self.watchers.is_empty()
    }
}

/// Looks for changes, and tells of them.
pub(super) async fn look(state: State) {
    let mut last = None;
    loop {
        sleep(LOOK).await;
        if !state.live.is_watched() {
            continue;
        }
        let role = Arc::clone(&state);
        match state.databases.read(move |client| role.role.mark(client)).await {
            Ok(mark) if last.as_ref() != Some(&mark) => {
                state.live.tell();
                last = Some(mark);
            }
            Ok(_) => {}
            Err(failure) => {
                tracing::debug!("{failure}");
                sleep(REST).await;
            }
        }
    }
}

/// How old the page is that asks, in milliseconds: what has changed since is news to it.
#[derive(Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    age: u32,
}

/// `GET /events`
pub(super) async fn events(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
    Asked(since): Asked<Since>,
) -> Result<Response, Trouble> {
    let watcher = state.live.watchers.admit(viewer.has_logged_in.then_some(viewer.name));
    let watcher = watcher.ok_or(Trouble::Status(StatusCode::SERVICE_UNAVAILABLE))?;
    let (words, heard) = mpsc::channel(4);
    let mut change = state.live.change.subscribe();
    if change.borrow().is_some_and(|last| last.elapsed() <= Duration::from_millis(since.age.into())) {
        change.mark_changed();
    }
    tokio::spawn(speak(change, words));
    let kinds = [(CONTENT_TYPE, "text/event-stream"), (HeaderName::from_static("x-accel-buffering"), "no")];
    Ok((kinds, Body::from_stream(Events { heard, _watcher: watcher })).into_response())
}

async fn speak(mut change: watch::Receiver<Option<Instant>>, words: mpsc::Sender<&'static str>) {
    for _ in 0..HEARTBEATS {
        let word = match timeout(HEARTBEAT, change.changed()).await {
            Ok(_) if change.borrow().is_none() => return,
            Ok(_) => CHANGED,
            Err(_) => ALIVE,
        };
        if words.send(word).await.is_err() {
            return;
        }
    }
}

/// The body of a stream. Its place is free as soon as the connection is gone.
struct Events {
    heard: mpsc::Receiver<&'static str>,
    _watcher: Guest<String>,
}

impl Stream for Events {
    type Item = Result<Bytes, std::convert::Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.heard.poll_recv(context).map(|word| word.map(|word| Ok(Bytes::from_static(word.as_bytes()))))
    }
}
