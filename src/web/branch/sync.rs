//! Sync now: how far it is, and what came of it, in plain words.

use std::time::Duration;

use askama::Template;
use axum::extract;
use axum::response::Response;
use serde::Deserialize;

use super::proof::Proof;
use super::requests::Wish;
use super::site;
use super::synchroniser::Run;
use crate::domain::{Extent, Failure, Kind, Stage, span_in_words};
use crate::web::form::Posted;
use crate::web::page::{Frame, go_to, render};
use crate::web::server::State;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::{Moment, grouped, size};

/// There is nothing to say but that it was pressed.
#[derive(Debug, Deserialize)]
pub(super) struct Pressed {}

#[derive(Template)]
#[template(path = "branch/sync.html")]
struct Sync {
    frame: Frame,
    run: Option<View>,
    proof: Proof,
    requests: Vec<Wish>,
}

/// A synchronisation, in words.
struct View {
    is_over: bool,
    /// Style and word.
    badge: (&'static str, &'static str),
    /// What is the matter, in a sentence.
    headline: String,
    /// Parts of a hundred that are sent, where that is known.
    percent: Option<u64>,
    /// More of it, a line each.
    details: Vec<String>,
    /// The reason in the program's own words.
    small_print: Vec<String>,
    /// When it began, or ended.
    at: Moment,
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
) -> Result<Response, Trouble> {
    // Looked at first: what it has just done is then seen in the database.
    let run = site(&state)?.synchroniser.run();
    let proof = Proof::of(&state).await?;
    let requests = state.databases.read(Wish::all).await?;
    let run = run.map(|run| View::of(&run, &proof));
    render(&Sync { frame: Frame::new(&state, viewer, "Sync", "/sync"), run, proof, requests })
}

pub(super) async fn start(
    extract::State(state): extract::State<State>,
    Posted { form: Pressed {}, .. }: Posted<Pressed>,
) -> Result<Response, Trouble> {
    let is_started = site(&state)?.synchroniser.start()?;
    let words = if is_started {
        "Synchronising has begun."
    } else {
        "Synchronising is under way already; this is it."
    };
    Ok(go_to("/sync", words))
}

impl View {
    fn of(run: &Run, proof: &Proof) -> Self {
        let mut view = match &run.end {
            None => Self::under_way(run),
            Some((at, end)) => Self::over(Moment(*at), end.as_ref().err(), proof),
        };
        for trouble in &run.troubles {
            view.small_print.extend(in_small_print(trouble));
        }
        view
    }

    fn new(badge: (&'static str, &'static str), headline: impl Into<String>, at: Moment) -> Self {
        let (details, small_print) = (Vec::new(), Vec::new());
        Self { is_over: true, badge, headline: headline.into(), percent: None, details, small_print, at }
    }

    fn under_way(run: &Run) -> Self {
        let (headline, extent, small_print) = match &run.stage {
            None => ("Looking at what there is.".to_owned(), None, None),
            Some(Stage::AwaitingTurn(who)) => {
                let words = "Another synchronisation is at work; this one goes on when that has ended.";
                (words.to_owned(), None, Some(who.clone()))
            }
            Some(Stage::Cutting) => ("Collecting what has changed.".to_owned(), None, None),
            Some(Stage::Sending(extent)) => ("Sending to head office.".to_owned(), Some(*extent), None),
            Some(Stage::SendingEnded) => ("Finishing.".to_owned(), None, None),
            Some(Stage::AwaitingAnswers(count)) => {
                let ending = if *count == 1 { "" } else { "s" };
                let words =
                    format!("All is sent. Waiting for head office to confirm {count} bundle{ending}.");
                (words, None, None)
            }
        };
        let mut view = Self::new(("waiting", "At work"), headline, Moment(run.began_at));
        view.is_over = false;
        view.small_print.extend(small_print);
        if let Some(extent) = extent {
            let time = run.stage_began.elapsed();
            view.percent = ((extent.sent_bytes + reckoned(&extent, time)) * 100).checked_div(extent.bytes);
            view.details = sending(&extent, time);
        }
        view
    }

    fn over(at: Moment, failure: Option<&Failure>, proof: &Proof) -> Self {
        let Some(failure) = failure else { return Self::went_well(at, proof) };
        let rest = proof.rest();
        let is_to_wait_for = matches!(failure.kind(), Kind::Unreachable | Kind::Postponed);
        let mut view = match (is_to_wait_for, proof.is_all_sent) {
            (true, true) if proof.unproven.is_empty() => Self::went_well(at, proof),
            (true, true) => {
                Self::new(("waiting", "Sent"), "All is sent. Head office has not confirmed it yet.", at)
            }
            (true, false) => {
                Self::new(("waiting", "Saved"), format!("{rest} saved, they go when the line is back."), at)
            }
            (false, _) => {
                Self::new(("trouble", "Failed"), "This did not work, and somebody has to look.", at)
            }
        };
        view.small_print = in_small_print(failure);
        view
    }

    fn went_well(at: Moment, proof: &Proof) -> Self {
        if !proof.unapplied.is_empty() {
            return Self::new(
                ("trouble", "Held up"),
                "All is sent, but head office has not taken all of it.",
                at,
            );
        }
        if proof.unproven.is_empty() {
            return Self::new(("ok", "Done"), "Head office has everything.", at);
        }
        // Somebody has sold something since.
        let words = format!("Head office had everything; since then: {}.", proof.rest());
        Self::new(("ok", "Done"), words, at)
    }
}

fn in_small_print(failure: &Failure) -> Vec<String> {
    [Some(failure.to_string()), failure.advice().map(str::to_owned)].into_iter().flatten().collect()
}

/// How much of the bundle that is on its way for so long is over the line, if that is as fast as before.
fn reckoned(extent: &Extent, time: Duration) -> u64 {
    let Some(left) = extent.time_left else { return 0 };
    let bytes = u128::from(extent.bytes.saturating_sub(extent.sent_bytes)) * time.as_millis();
    let bytes = bytes.checked_div(left.as_millis()).unwrap_or(0);
    u64::try_from(bytes).unwrap_or(u64::MAX).min(extent.on_way_bytes)
}

fn sending(extent: &Extent, time: Duration) -> Vec<String> {
    let mut details = vec![
        format!(
            "{} rows cut so far, in {} of which {} are sent",
            grouped(&extent.rows),
            bundles(extent.bundles),
            extent.sent
        ),
        format!("{} of {} sent", size(extent.sent_bytes), size(extent.bytes)),
    ];
    if extent.on_way_bytes > 0 {
        details.push(format!("{} on their way for {}", size(extent.on_way_bytes), span_in_words(time)));
    }
    details.extend(extent.time_left.map(|left| match left.saturating_sub(time).as_secs() {
        ..60 => "less than a minute left at the rate so far".to_owned(),
        seconds => format!("about {} min left at the rate so far", seconds.div_ceil(60)),
    }));
    details
}

fn bundles(count: usize) -> String {
    format!("{count} bundle{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_over_the_line_of_a_bundle_is_reckoned_and_never_more_than_all_of_it() {
        let extent = Extent {
            sent: 1,
            bundles: 3,
            sent_bytes: 1_000_000,
            on_way_bytes: 3_000_000,
            bytes: 5_000_000,
            rows: 10,
            time_left: Some(Duration::from_secs(40)),
        };
        let after = |seconds| reckoned(&extent, Duration::from_secs(seconds));
        assert_eq!([after(0), after(10), after(30), after(500)], [0, 1_000_000, 3_000_000, 3_000_000]);
        let told = sending(&extent, Duration::from_secs(30));
        assert_eq!(told[2..], ["3.0 MB on their way for 30 s", "less than a minute left at the rate so far"]);
        let unknown = Extent { time_left: None, ..extent };
        assert_eq!(reckoned(&unknown, Duration::from_secs(10)), 0);
    }
}
