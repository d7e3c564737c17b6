//! What a person decides on bundles that are held or rejected. Every decision is recorded with who made it.

use chrono::SecondsFormat;
use postgres::{Client, GenericClient, Transaction};
use uuid::Uuid;

use super::branches::{BranchState, branch_states};
use super::hold::{Hold, HoldKind};
use crate::archive::Archive;
use crate::database::{database_failure, lock_decisions};
use crate::domain::{Epoch, Failure, Kind, Manifest, NodeName, Sequence, legible};
use crate::halt::{self, Step};

/// Who decides, and why.
#[derive(Debug, Clone, Copy)]
pub struct Decider<'a> {
    /// The operator's login.
    pub name: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// What they had before their eyes, if they look at something that can grow old.
    pub seen: Option<Seen>,
}

/// What somebody saw who decides. If it is not so any more, nothing is decided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// The newest decision on the branch then; 0 if there was none.
    pub decision: i64,
    /// The epoch of what was held, and what it waited for, if the decision is about that.
    pub held: Option<(Epoch, HoldKind)>,
    /// The incident that was open, if it is about that.
    pub incident: Option<i64>,
}

/// What a person decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    /// What this bundle, which waits for a person, is held for may pass, with all parts of its cut.
    Approve(Sequence),
    /// This bundle, which is held, is rejected. The branch is told, and has to begin a new epoch.
    Reject(Sequence),
    /// What was held or rejected and comes next is tried again, and what waits for it.
    Retry,
    /// The branch is asked for something.
    Request,
}

impl Ruling {
    fn as_str(self) -> &'static str {
        match self {
            Self::Approve(_) => "approve",
            Self::Reject(_) => "reject",
            Self::Retry => "retry",
            Self::Request => "request",
        }
    }
}

/// The channel on which those who apply hear of decisions.
pub(super) const CHANNEL: &str = "salesync_decision";

/// Records a decision, if there is something to decide; returns its number. Whoever applies carries it out:
/// [`carry_out`](super::carry_out).
pub fn decide(
    client: &mut Client,
    archive: &Archive,
    branch: &NodeName,
    ruling: Ruling,
    by: Decider<'_>,
) -> Result<i64, Failure> {
    let failed = |error: postgres::Error| database_failure("recording the decision", &error);
    let mut transaction = client.transaction().map_err(failed)?;
    lock_decisions(&mut transaction).map_err(failed)?;
    let state = branch_state(&mut transaction, branch)?;
    let doing = match ruling {
        Ruling::Approve(sequence) | Ruling::Reject(sequence) => {
            format!("deciding on bundle {sequence} of {branch}")
        }
        _ => format!("deciding on {branch}"),
    };
    if let Some(seen) = by.seen {
        expect_as_seen(&mut transaction, &doing, &state, ruling, seen)?;
    }
    let (mut bundle, mut cut) = (None, None);
    if let Ruling::Approve(sequence) | Ruling::Reject(sequence) = ruling {
        let (epoch, hold) = held(&doing, &state, sequence)?;
        if ruling == Ruling::Approve(sequence) && !hold.kind.needs_person() {
            return Err(Failure::new(Kind::Usage, doing, format!("nothing is to be decided: {hold}"))
                .hint("`salesync status` shows what is missing; `salesync request` asks the branch for it"));
        }
        let file = archive.open(&archive.file(branch, epoch, sequence))?;
        cut = Some((file.manifest().cut.watermark.clone(), hold.kind));
        bundle = Some((epoch, sequence));
    }
    let decision = record(&mut transaction, branch, ruling, About { bundle, cut, request: None }, by)?;
    transaction.commit().map_err(failed)?;
    halt::after(Step::DecisionRecorded);
    Ok(decision)
}

/// Fails if it is not any more as the one who decides has seen it.
pub(super) fn expect_as_seen(
    transaction: &mut Transaction<'_>,
    doing: &str,
    state: &BranchState,
    ruling: Ruling,
    seen: Seen,
) -> Result<(), Failure> {
    let is_old = |why: String| {
        let hint = "nothing was changed; look at the branch as it is now, and decide anew";
        Err(Failure::new(Kind::NeedsPerson, doing, why).hint(hint))
    };
    let failed = |error: postgres::Error| database_failure(doing, &error);
    let newer =
        "SELECT decided_by, decided_at, verdict || coalesce(' ' || sequence, '') FROM salesync.decision
                 WHERE branch = $1 AND decision_id > $2 AND (verdict = 'request') = ($3 = 'request')
                 ORDER BY decision_id DESC LIMIT 1";
    let row = transaction.query_opt(newer, &[&state.name.as_str(), &seen.decision, &ruling.as_str()]);
    if let Some(row) = row.map_err(failed)? {
        let (by, what): (&str, &str) = (row.get(0), row.get(2));
        let at = row.get::<_, chrono::DateTime<chrono::Utc>>(1).to_rfc3339_opts(SecondsFormat::Secs, true);
        return is_old(format!("{by} has decided meanwhile ({what}, {at})"));
    }
    if let (Some((epoch, kind)), Ruling::Approve(sequence) | Ruling::Reject(sequence)) = (seen.held, ruling) {
        match held(doing, state, sequence) {
            Ok((now, hold)) if (now, hold.kind) == (epoch, kind) => {}
            Ok((_, hold)) => return is_old(format!("it waits for something else now: {hold}")),
            Err(_) => return is_old("it is not held any more".to_owned()),
        }
    }
    if let Some(incident) = seen.incident {
        let open = "SELECT EXISTS (SELECT FROM salesync.incident WHERE incident_id = $1 AND branch = $2 AND resolved_at IS NULL)";
        let row = transaction.query_one(open, &[&incident, &state.name.as_str()]).map_err(failed)?;
        if !row.get::<_, bool>(0) {
            return is_old("what was to be tried again is applied meanwhile".to_owned());
        }
    }
    Ok(())
}

/// The branch as it stands; it is a mistake to name one that is not known.
pub(super) fn branch_state(
    client: &mut impl GenericClient,
    branch: &NodeName,
) -> Result<BranchState, Failure> {
    branch_states(client)?.into_iter().find(|state| state.name == *branch).ok_or_else(|| {
        let why = format!("head office does not know a branch {branch}");
        Failure::new(Kind::Usage, "deciding", why).hint("`salesync status` lists the branches")
    })
}

/// The epoch of a bundle that is held, and what it waits for.
fn held(doing: &str, state: &BranchState, sequence: Sequence) -> Result<(Epoch, Hold), Failure> {
    let found = state.held.iter().find(|held| held.sequence == sequence.as_bigint());
    if let (Some(epoch), Some(found)) = (state.held_epoch, found) {
        return Ok((epoch, found.hold.clone()));
    }
    let numbers: Vec<String> = state.held.iter().map(|held| held.sequence.to_string()).collect();
    let why = if numbers.is_empty() {
        "no bundle of this branch is held".to_owned()
    } else {
        format!("it is not held; held: {}", numbers.join(", "))
    };
    Err(Failure::new(Kind::Usage, doing, why)
        .hint("`salesync status` shows what is held; `salesync retry` tries again what was rejected"))
}

/// What a decision is about.
#[derive(Debug, Default)]
pub(super) struct About {
    pub(super) bundle: Option<(Epoch, Sequence)>,
    /// The watermark of its cut, and what it is held for.
    pub(super) cut: Option<(String, HoldKind)>,
    /// What the branch is asked for.
    pub(super) request: Option<Uuid>,
}

/// Writes a decision down, and tells those who apply; returns its number.
pub(super) fn record(
    client: &mut impl GenericClient,
    branch: &NodeName,
    ruling: Ruling,
    about: About,
    by: Decider<'_>,
) -> Result<i64, Failure> {
    let About { bundle, cut, request } = about;
    let row = client.query_one(
        "WITH decision AS (
             INSERT INTO salesync.decision (branch, verdict, epoch, sequence, watermark, reason, decided_by, carried_out_at,
                                            hold, request_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7 || ' as ' || session_user,
                     CASE $2 WHEN 'request' THEN clock_timestamp() END, $9, $10)
             RETURNING decision_id)
         SELECT decision_id, pg_notify($8, '') FROM decision",
        &[
            &branch.as_str(),
            &ruling.as_str(),
            &bundle.map(|(epoch, _)| epoch.0),
            &bundle.map(|(_, sequence)| sequence.as_bigint()),
            &cut.as_ref().map(|(watermark, _)| watermark),
            &by.reason.map(legible),
            &legible(by.name),
            &CHANNEL,
            &cut.as_ref().map(|(_, hold)| hold.as_str()),
            &request,
        ],
    );
    Ok(row.map_err(|error| database_failure("recording the decision", &error))?.get(0))
}

/// True if a person has approved the cut that this bundle is a part of, seeing that it was held for this, and nobody
/// has rejected a part of it since.
pub(super) fn approved(
    client: &mut impl GenericClient,
    manifest: &Manifest,
    hold: HoldKind,
) -> Result<bool, Failure> {
    let sql = "SELECT coalesce((SELECT verdict = 'approve' FROM salesync.decision
                                WHERE branch = $1 AND epoch = $2 AND watermark = $3 AND (hold = $4 OR verdict = 'reject')
                                ORDER BY decision_id DESC LIMIT 1), false)";
    let Manifest { branch, epoch, cut, .. } = manifest;
    let row = client
        .query_one(sql, &[&branch.as_str(), &epoch.0, &cut.watermark, &hold.as_str()])
        .map_err(|error| database_failure("looking up what was approved", &error))?;
    Ok(row.get(0))
}
