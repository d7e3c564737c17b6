//! One line per branch, trouble first, and the whole state in a sentence.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::extract;
use axum::response::Response;
use chrono::{DateTime, NaiveDate, Utc};
use postgres::Client;

use super::queues::{QueueWatch, Queues};
use crate::domain::{Count, Failure, NodeName};
use crate::head_office::OpenRequest;
use crate::head_office::monitor::{
    BusinessTable, Concern, Figure, Headline, Sold, Standing, Weight, business_tables, headline,
    latest_sales, local_day, standings,
};
use crate::web::page::{Frame, render};
use crate::web::server::State;
use crate::web::site::HeadOfficeSite;
use crate::web::trouble::Trouble;
use crate::web::viewer::Viewer;
use crate::web::words::{Moment, capitalised, grouped};

#[derive(Template)]
#[template(path = "head_office/overview.html")]
struct Overview {
    frame: Frame,
    headline: Headline,
    facts: Vec<Fact>,
    /// What the figures of the sales are of; none while no day was ever stated.
    table: Option<BusinessTable>,
    /// The heading of these figures.
    of_the_day: String,
    today: NaiveDate,
    has_queues: bool,
    lines: Vec<Line>,
}

struct Fact {
    label: String,
    figure: String,
    remark: String,
}

/// A branch.
struct Line {
    branch: NodeName,
    badge: (&'static str, &'static str),
    bundle: Option<(String, u64)>,
    applied: Option<Moment>,
    as_of: Option<Moment>,
    sold: Option<Sold>,
    queue: String,
    waiting: String,
    clock: String,
    concerns: Vec<Concern>,
    requests: Vec<Asked>,
}

/// What the branch was asked for and has not answered.
struct Asked {
    wanted: String,
    at: Moment,
    is_sent: bool,
}

/// What the database says.
struct Found {
    standings: Vec<Standing>,
    table: Option<BusinessTable>,
    sold: BTreeMap<String, Sold>,
}

pub(super) async fn page(
    extract::State(state): extract::State<State>,
    viewer: Viewer,
) -> Result<Response, Trouble> {
    let now = Utc::now();
    let today = local_day(now);
    let asked = Arc::clone(&state);
    let found =
        state.databases.read(move |client| Found::read(client, asked.role.head_office()?, now)).await?;
    let queues = state.role.head_office()?.queues.as_ref().map(QueueWatch::known);
    let Found { mut standings, table, mut sold } = found;
    let headline = headline(&standings, now);
    let mut facts = vec![sold_fact(&sold, table.as_ref(), today)?];
    facts.push(oldest_fact(&standings));
    facts.extend(queues.as_ref().map(queue_fact));
    // By name they are already. Whoever is only silent comes behind those with trouble here.
    standings.sort_by_key(|standing| (Reverse(standing.weight()), badge(standing).0 == "late"));
    let lines = standings.into_iter().map(|standing| {
        let sold = sold.remove(standing.state.name.as_str());
        Line::new(standing, sold, queues.as_ref())
    });
    let lines = lines.collect();
    let frame = Frame::new(&state, viewer, "Overview", "/");
    let of_the_day = of_the_day(table.as_ref());
    render(&Overview {
        frame,
        headline,
        facts,
        table,
        of_the_day,
        today,
        has_queues: queues.is_some(),
        lines,
    })
}

/// What the column says that tells of a day.
fn of_the_day(table: Option<&BusinessTable>) -> String {
    let what = match table.map(|table| table.amount.as_deref()) {
        Some(Some(amount)) => capitalised(amount),
        Some(None) => "Rows".to_owned(),
        None => "Sales".to_owned(),
    };
    what + " of the day"
}

impl Found {
    fn read(client: &mut Client, site: &HeadOfficeSite, now: DateTime<Utc>) -> Result<Self, Failure> {
        let standings = standings(client, &site.branches().expect_every, now)?;
        let table = business_tables(client, &site.amounts)?.into_iter().next();
        let sold = match &table {
            Some(table) => latest_sales(client, table, local_day(now))?,
            None => BTreeMap::new(),
        };
        Ok(Self { standings, table, sold })
    }
}

impl Line {
    fn new(standing: Standing, sold: Option<Sold>, queues: Option<&Queues>) -> Self {
        let badge = badge(&standing);
        let Standing { state, mut concerns, .. } = standing;
        let depth = queues.and_then(|queues| queues.depths.get(state.name.as_str()));
        if let Some(None) = depth {
            concerns.push(no_queue());
        }
        Self {
            badge,
            bundle: state.epoch.zip(state.last_sequence).map(|(epoch, last)| (epoch.to_string(), last.get())),
            applied: state.last_applied_at.map(Moment),
            as_of: state.data_as_of.map(Moment),
            sold,
            queue: depth.copied().flatten().map_or_else(String::new, |depth| grouped(&depth)),
            waiting: waiting(state.held.len(), state.missing().len(), state.rejected),
            clock: clock(state.clock_skew_ms),
            concerns,
            requests: state.requests.iter().map(Asked::new).collect(),
            branch: state.name,
        }
    }
}

impl Asked {
    fn new(request: &OpenRequest) -> Self {
        let at = Moment(request.requested_at);
        Self { wanted: request.in_words(), at, is_sent: request.published_at.is_some() }
    }
}

/// Class and word.
fn badge(standing: &Standing) -> (&'static str, &'static str) {
    let first = standing.concerns.first();
    match (standing.weight(), first) {
        (Some(Weight::NeedsPerson), Some(concern)) if concern.name == "Late" => ("late", "Late"),
        (Some(Weight::NeedsPerson), concern) => ("trouble", concern.map_or("Held", |concern| concern.name)),
        (Some(Weight::Remark), Some(concern)) => ("waiting", concern.name),
        _ => ("ok", "Fine"),
    }
}

fn no_queue() -> Concern {
    Concern {
        weight: Weight::Remark,
        name: "No queue",
        what: "It has no queue at the broker: what it publishes comes back to it.".to_owned(),
        cure: "Run this here; it makes the queues that are missing.",
        command: Some("salesync init".to_owned()),
    }
}

fn waiting(held: usize, missing: usize, rejected: i64) -> String {
    let parts = [
        (held > 0).then(|| format!("{held} held")),
        (missing > 0).then(|| format!("{missing} missing")),
        (rejected > 0).then(|| format!("{rejected} rejected")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// How far a clock is known to be wrong: a bundle that comes before it was sealed shows that it is ahead. That it is behind
/// cannot be told from a bundle that was on the way for long.
fn clock(skew_ms: Option<i64>) -> String {
    match skew_ms {
        Some(skew) if skew < 0 => format!("{}.{} s ahead", skew / -1000, skew / -100 % 10),
        Some(_) => "not ahead".to_owned(),
        None => String::new(),
    }
}

/// What all have sold today, or on the newest business day there is.
fn sold_fact(
    sold: &BTreeMap<String, Sold>,
    table: Option<&BusinessTable>,
    today: NaiveDate,
) -> Result<Fact, Failure> {
    let Some(day) = sold.values().map(|sold| sold.day).max() else {
        let (figure, remark) = ("none".to_owned(), "no business day has come yet".to_owned());
        return Ok(Fact { label: "Sales".to_owned(), figure, remark });
    };
    let mut sum = Figure::default();
    let of_day: Vec<&Sold> = sold.values().filter(|sold| sold.day == day).collect();
    of_day.iter().try_for_each(|sold| sum.add_figure(&sold.figure))?;
    let date = day.format("%-d %B %Y");
    let label = if day == today { format!("Today, {date}") } else { format!("Newest business day, {date}") };
    let rows = format!("{} {}", grouped(&sum.rows), if sum.rows == 1 { "row" } else { "rows" });
    let branches =
        if of_day.len() == 1 { "1 branch".to_owned() } else { format!("{} branches", of_day.len()) };
    Ok(match table.and_then(|table| table.amount.as_ref()) {
        Some(amount) => Fact {
            label,
            figure: grouped(&sum.amount.text()),
            remark: format!("{amount} of {rows}, {branches}"),
        },
        None => Fact { label, figure: rows, remark: branches },
    })
}

fn oldest_fact(standings: &[Standing]) -> Fact {
    let oldest = standings
        .iter()
        .filter_map(|standing| Some((standing.state.data_as_of?, &standing.state.name)))
        .min();
    let none = standings.iter().filter(|standing| standing.state.data_as_of.is_none()).count();
    let label = "Oldest data".to_owned();
    let none = (none > 0).then(|| format!("{none} without any"));
    match oldest {
        Some((moment, name)) => {
            let words = [Some(name.to_string()), none].into_iter().flatten().collect::<Vec<_>>();
            Fact { label, figure: Moment(moment).ago(), remark: words.join("; ") }
        }
        None => Fact { label, figure: "none".to_owned(), remark: none.unwrap_or_default() },
    }
}

fn queue_fact(queues: &Queues) -> Fact {
    let label = "In the queues".to_owned();
    let sum: u64 = queues.depths.values().flatten().map(|depth| u64::from(*depth)).sum();
    match &queues.away {
        Some((since, why)) => {
            let remark = format!("broker not reachable since {}: {why}", Moment(*since).clock());
            Fact { label, figure: "not known".to_owned(), remark }
        }
        None if queues.depths.is_empty() => {
            Fact { label, figure: "…".to_owned(), remark: "the broker is being asked".to_owned() }
        }
        None => {
            let remark = if sum == 0 { "nothing waits" } else { "`salesync apply` fetches them" };
            Fact { label, figure: Count(sum, "bundle").to_string(), remark: remark.to_owned() }
        }
    }
}
