//! What is open, from the ledger as it stands: also what nobody has written down as an incident, such as a branch that is
//! silent.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use postgres::GenericClient;

use super::matter::{Matter, MatterKind, OpenDecision};
use crate::database::database_failure;
use crate::domain::{Failure, NodeName, legible};
use crate::head_office::branches::BranchState;
use crate::head_office::deletions::Deletion;
use crate::head_office::hold::HoldKind;
use crate::head_office::monitor::{Expectations, standings};
use crate::head_office::place::FORK;
use crate::head_office::requests::ranges;

/// More rejected bundles of one branch are counted, and no more than this many shown.
const MOST_REJECTED: i64 = 20;

/// What is open.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// What needs a person comes first.
    pub matters: Vec<Matter>,
    /// Every branch, by name.
    pub branches: Vec<NodeName>,
    /// The newest decision on each branch that is about bundles, and the newest that asks for something.
    newest: BTreeMap<String, (i64, i64)>,
    /// Receipts and requests that no broker has yet.
    pub unsent: i64,
}

impl Open {
    /// The newest decision on this branch's bundles; 0 if there is none.
    pub fn newest_decision(&self, branch: &NodeName) -> i64 {
        self.newest.get(branch.as_str()).map_or(0, |newest| newest.0)
    }

    /// The newest time it was asked for something, as a decision's number; 0 if never.
    pub fn newest_request(&self, branch: &NodeName) -> i64 {
        self.newest.get(branch.as_str()).map_or(0, |newest| newest.1)
    }
}

/// What is open now, of all branches or of one.
pub fn open_matters(
    client: &mut impl GenericClient,
    expected: &Expectations,
    branch: Option<&NodeName>,
    now: DateTime<Utc>,
) -> Result<Open, Failure> {
    let standings = standings(client, expected, now)?;
    let arrivals = arrivals(client)?;
    let names = standings.iter().map(|standing| standing.state.name.clone());
    let mut open = Open { branches: names.collect(), ..Open::default() };
    for standing in &standings {
        let state = &standing.state;
        if branch.is_some_and(|branch| *branch != state.name) {
            continue;
        }
        let of_branch = Branch { state, arrivals: arrivals.get(state.name.as_str()) };
        open.matters.extend(of_branch.held());
        open.matters.extend(of_branch.gap());
        open.matters.extend(standing.late.map(|late| of_branch.matter(MatterKind::Late(late), late.due)));
        open.matters.extend(of_branch.asked());
        if state.rejected > 0 {
            open.matters.extend(rejected(client, state)?);
        }
    }
    open.matters.extend(decided(client, branch)?);
    open.matters.sort_by(|one, other| (one.rank(), &one.branch).cmp(&(other.rank(), &other.branch)));
    open.newest = newest(client)?;
    open.unsent = unsent(client)?;
    Ok(open)
}

/// When the bundles that are held came, by number.
type Arrivals = BTreeMap<i64, DateTime<Utc>>;

struct Branch<'a> {
    state: &'a BranchState,
    arrivals: Option<&'a Arrivals>,
}

impl Branch<'_> {
    fn matter(&self, kind: MatterKind, since: Option<DateTime<Utc>>) -> Matter {
        Matter { branch: self.state.name.clone(), kind, since, reason: String::new(), behind: Vec::new() }
    }

    fn came(&self, sequence: i64) -> Option<DateTime<Utc>> {
        self.arrivals.and_then(|arrivals| arrivals.get(&sequence).copied())
    }

    fn behind(&self, sequence: i64) -> Vec<i64> {
        self.state.held.iter().map(|held| held.sequence).filter(|held| *held > sequence).collect()
    }

    fn held(&self) -> impl Iterator<Item = Matter> {
        let waiting = self.state.held.iter().filter(|held| held.hold.kind.needs_person());
        waiting.filter_map(|held| {
            let (sequence, hold, epoch) = (held.sequence, held.hold.kind, self.state.held_epoch?);
            let deletion =
                (hold == HoldKind::Deletion).then(|| Deletion::in_words(&held.hold.reason)).flatten();
            let kind = MatterKind::Held { epoch, sequence, hold, deletion };
            Some(Matter {
                reason: held.hold.reason.clone(),
                behind: self.behind(sequence),
                ..self.matter(kind, self.came(sequence))
            })
        })
    }

    fn gap(&self) -> Option<Matter> {
        let held = &self.state.held;
        let first = held.first().filter(|held| !held.hold.kind.needs_person())?;
        let missing = ranges(&self.state.missing());
        if missing.is_empty() && self.state.rejected > 0 {
            // They wait for what was rejected.
            return None;
        }
        let wanted = missing.first().map(|(first, _)| *first);
        let covers = |(from, to): (i64, i64)| wanted.is_some_and(|wanted| (from..=to).contains(&wanted));
        let asked = self.state.requests.iter().find(|request| request.bundles.is_some_and(covers)).cloned();
        let kind = MatterKind::Gap { missing, asked };
        Some(Matter {
            reason: first.hold.reason.clone(),
            behind: held.iter().map(|held| held.sequence).collect(),
            ..self.matter(kind, self.came(first.sequence))
        })
    }

    fn asked(&self) -> impl Iterator<Item = Matter> {
        // What is asked for by a gap is told with it.
        let has_gap = !self.state.missing().is_empty();
        let others =
            self.state.requests.iter().filter(move |request| !(has_gap && request.bundles.is_some()));
        others.map(|request| self.matter(MatterKind::Asked(request.clone()), Some(request.requested_at)))
    }
}

fn arrivals(client: &mut impl GenericClient) -> Result<BTreeMap<String, Arrivals>, Failure> {
    let sql = "SELECT branch, sequence, received_at FROM salesync.bundle WHERE state = 'held' ORDER BY epoch";
    let rows = client.query(sql, &[]);
    let mut arrivals: BTreeMap<String, Arrivals> = BTreeMap::new();
    for row in rows.map_err(|error| database_failure("reading what is held", &error))? {
        arrivals.entry(row.get(0)).or_default().insert(row.get(1), row.get(2));
    }
    Ok(arrivals)
}

/// Bundles rejected since the last one was applied.
fn rejected(client: &mut impl GenericClient, state: &BranchState) -> Result<Vec<Matter>, Failure> {
    let sql = "SELECT i.sequence, max(i.incident_id), count(*), min(i.happened_at),
                      (array_agg(i.detail ORDER BY i.incident_id DESC))[1],
                      (array_agg(i.file ORDER BY i.incident_id DESC))[1]
               FROM salesync.incident i
               WHERE i.branch = $1 AND i.kind = 'rejected' AND i.resolved_at IS NULL
                 AND i.happened_at > coalesce($2, '-infinity'::timestamptz)
               GROUP BY i.epoch, i.sequence, CASE WHEN i.sequence IS NULL THEN i.incident_id END
               ORDER BY i.epoch DESC, i.sequence LIMIT $3";
    let rows = client.query(sql, &[&state.name.as_str(), &state.last_applied_at, &MOST_REJECTED]);
    let rows = rows.map_err(|error| database_failure("reading what was rejected", &error))?;
    let matter = |row: &postgres::Row| {
        let (sequence, reason): (Option<i64>, String) = (row.get(0), legible(row.get(4)));
        let behind = state.held.iter().map(|held| held.sequence).filter(|held| Some(*held) > sequence);
        Matter {
            branch: state.name.clone(),
            since: row.get(3),
            behind: if sequence.is_some() { behind.collect() } else { Vec::new() },
            kind: MatterKind::Rejected {
                sequence,
                incident: row.get(1),
                times: row.get(2),
                file: row.get(5),
                is_fork: reason.starts_with(FORK),
            },
            reason,
        }
    };
    Ok(rows.iter().map(matter).collect())
}

/// Decisions that are not carried out, and the last ones that could not be while nothing has come since.
fn decided(client: &mut impl GenericClient, branch: Option<&NodeName>) -> Result<Vec<Matter>, Failure> {
    let sql = "SELECT d.branch, d.verdict, d.sequence, d.decided_by, d.decided_at, d.trouble, d.carried_out_at IS NULL
               FROM salesync.decision d JOIN salesync.branch b ON b.name = d.branch
               WHERE d.branch = coalesce($1, d.branch) AND d.verdict <> 'request'
                 AND (d.carried_out_at IS NULL OR d.trouble IS NOT NULL
                      AND d.carried_out_at > coalesce(b.last_applied_at, '-infinity')
                      AND NOT EXISTS (SELECT FROM salesync.decision n
                                      WHERE n.branch = d.branch AND n.verdict <> 'request' AND n.decision_id > d.decision_id))
               ORDER BY d.decision_id";
    let rows = client.query(sql, &[&branch.map(NodeName::as_str)]);
    let rows = rows.map_err(|error| database_failure("reading what was decided", &error))?;
    let matter = |row: &postgres::Row| {
        let decision = OpenDecision { verdict: row.get(1), sequence: row.get(2), by: legible(row.get(3)) };
        Ok(Matter {
            branch: row.get::<_, &str>(0).parse()?,
            kind: if row.get(6) { MatterKind::Undecided(decision) } else { MatterKind::Undone(decision) },
            since: row.get(4),
            reason: legible(row.get::<_, Option<&str>>(5).unwrap_or_default()),
            behind: Vec::new(),
        })
    };
    rows.iter().map(matter).collect()
}

fn newest(client: &mut impl GenericClient) -> Result<BTreeMap<String, (i64, i64)>, Failure> {
    let sql = "SELECT b.name,
                      coalesce((SELECT max(decision_id) FROM salesync.decision WHERE branch = b.name AND verdict <> 'request'), 0),
                      coalesce((SELECT max(decision_id) FROM salesync.decision WHERE branch = b.name AND verdict = 'request'), 0)
               FROM salesync.branch b";
    let rows = client.query(sql, &[]);
    let rows = rows.map_err(|error| database_failure("reading what was decided", &error))?;
    Ok(rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2)))).collect())
}

fn unsent(client: &mut impl GenericClient) -> Result<i64, Failure> {
    let sql = "SELECT (SELECT count(*) FROM salesync.receipt WHERE published_at IS NULL)
                    + (SELECT count(*) FROM salesync.request WHERE published_at IS NULL AND answered_at IS NULL)";
    let row = client.query_one(sql, &[]);
    Ok(row.map_err(|error| database_failure("counting what is not sent", &error))?.get(0))
}
