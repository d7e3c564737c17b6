//! What waits, how long it has waited, and what it will need.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::BranchSubject;
use crate::branch::status::change_log_bytes;
use crate::database::database_failure;
use crate::domain::{Check, Count, Failure, Finding, span_in_words};

/// A branch that has a window every day misses one when this is over.
const A_DAY: Duration = Duration::from_hours(26);
/// What a change log of this size costs is worth a word, and of that size somebody's care.
const LARGE_LOG: i64 = 256 << 20;
const TOO_LARGE_LOG: i64 = 1 << 30;
/// Of a bundle without rows, and of what surrounds them.
const SMALL_BUNDLE: u64 = 64 << 10;
/// A row in a bundle where none was sealed yet to tell from.
const USUAL_ROW: f64 = 64.0;

const RUN_IT: &str =
    "see whether cron or the service runs `salesync bundle` (cron/README.md), and what its log says";

impl BranchSubject {
    pub(super) fn log(&mut self) -> Result<Vec<Finding>, Failure> {
        let bytes = change_log_bytes(&mut self.client)?;
        let what = format!("the change log has {}", size(bytes.unsigned_abs()));
        let cure = "it forgets only what head office has answered: run `salesync bundle` with the broker in reach; \
                    if all is answered, see whether autovacuum works";
        Ok(vec![match bytes {
            TOO_LARGE_LOG.. => Finding::warning(Check::Log, what, cure),
            LARGE_LOG.. => Finding::note(Check::Log, what).cure(cure),
            _ => Finding::ok(Check::Log, what),
        }])
    }

    pub(super) fn unsynced(&mut self) -> Result<Vec<Finding>, Failure> {
        let unsynced = self.status()?.unsynced;
        let last = self.moment("SELECT max(cut_at) FROM salesync.bundle JOIN salesync.node USING (epoch)")?;
        let keys = Count(unsynced, "changed key");
        Ok(vec![match last.map(age) {
            _ if unsynced == 0 => Finding::ok(Check::Unsynced, "everything is in a bundle"),
            None => Finding::note(Check::Unsynced, format!("{keys}, and no bundle was ever sealed"))
                .cure("run `salesync bundle`; the first one brings every table whole"),
            Some(age) if age > A_DAY => {
                let what = format!("{keys} in no bundle, and the last was cut {} ago", span_in_words(age));
                Finding::warning(Check::Unsynced, what, RUN_IT)
            }
            Some(age) => {
                let what = format!("{keys} in no bundle yet, since {} at most", span_in_words(age));
                Finding::ok(Check::Unsynced, what)
            }
        }])
    }

    pub(super) fn pending(&mut self) -> Result<Vec<Finding>, Failure> {
        let pending = self.status()?.pending;
        let oldest = self.moment(
            "SELECT min(sealed_at) FROM salesync.bundle JOIN salesync.node USING (epoch) WHERE state = 'sealed'",
        )?;
        let what =
            |age| format!("{} sealed and not published for {}", Count(pending, "bundle"), span_in_words(age));
        Ok(vec![match oldest.map(age) {
            Some(age) if age > A_DAY => {
                let cure = "the line or the broker was not in reach for so long: see what broker.connection says, or carry \
                            the files (docs/operations.md, \"A bundle travels by stick\")";
                Finding::warning(Check::Pending, what(age), cure)
            }
            Some(age) => Finding::ok(Check::Pending, what(age)),
            None => Finding::ok(Check::Pending, "every sealed bundle was published"),
        }])
    }

    pub(super) fn answers(&mut self) -> Result<Vec<Finding>, Failure> {
        let status = self.status()?;
        let mut findings = Vec::new();
        for bundle in &status.unapplied {
            let what =
                format!("head office has {} bundle {}: {}", bundle.state, bundle.sequence, bundle.reason);
            let cure = "docs/operations.md, \"A bundle is held\" and \"Head office refuses a row\"";
            findings.push(Finding::warning(Check::Answers, what, cure));
        }
        let oldest = self.moment(
            "SELECT min(published_at) FROM salesync.bundle JOIN salesync.node USING (epoch) WHERE state = 'published'",
        )?;
        if let Some(silence) = oldest.map(age).filter(|age| *age > A_DAY) {
            let what = format!(
                "head office has not answered a bundle that was published {} ago",
                span_in_words(silence)
            );
            let cure = "ask whether `salesync apply` runs there; then run `salesync bundle` here, which takes the answer in";
            findings.push(Finding::warning(Check::Answers, what, cure));
        }
        findings.extend(self.disbelieved()?);
        if findings.is_empty() {
            let what = match status.last_applied {
                Some(sequence) => format!("head office has applied everything up to bundle {sequence}"),
                None => "nothing to complain of; head office has applied nothing yet".to_owned(),
            };
            findings.push(Finding::ok(Check::Answers, what));
        }
        Ok(findings)
    }

    /// What came in head office's name lately and was not proven to be its.
    fn disbelieved(&mut self) -> Result<Option<Finding>, Failure> {
        let sql = "SELECT count(*), max(refusal) FROM salesync.receipt
                   WHERE refusal IS NOT NULL AND received_at > now() - interval '7 days'";
        let row = self.client.query_one(sql, &[]);
        let row = row.map_err(|error| database_failure("looking for what was not believed", &error))?;
        let count: i64 = row.get(0);
        Ok((count > 0).then(|| {
            let why: &str = row.get(1);
            let what = format!("{} of this week not believed: {why}", Count(count, "receipt"));
            let cure = "if head office has a new key, put it into [head_office]; else somebody else writes in its name \
                        (docs/security.md)";
            Finding::warning(Check::Answers, what, cure)
        }))
    }

    pub(super) fn last_run(&mut self) -> Result<Vec<Finding>, Failure> {
        let last = self.moment(
            "SELECT greatest((SELECT max(greatest(cut_at, published_at)) FROM salesync.bundle),
                             (SELECT max(received_at) FROM salesync.receipt))",
        )?;
        Ok(vec![match last.map(age) {
            None => Finding::note(Check::LastRun, "no run has done anything yet"),
            Some(age) if age > A_DAY => {
                let what = format!("the last run that had something to do was {} ago", span_in_words(age));
                Finding::note(Check::LastRun, what).cure(RUN_IT)
            }
            Some(age) => {
                let what =
                    format!("a run has cut, published or taken in an answer {} ago", span_in_words(age));
                Finding::ok(Check::LastRun, what)
            }
        }])
    }

    /// What the archive will need, by the size of the last bundles.
    pub(super) fn next_bundle(&mut self) -> Result<Vec<Finding>, Failure> {
        let rows = self.status()?.unsynced;
        let sql = "SELECT (sum(byte_count) / nullif(sum(row_count + tombstone_count), 0))::float8 FROM (
                       SELECT byte_count, row_count, tombstone_count FROM salesync.bundle
                       ORDER BY epoch DESC, sequence DESC LIMIT 20) b";
        let row = self.client.query_one(sql, &[]);
        let row = row.map_err(|error| database_failure("measuring the last bundles", &error))?;
        let each: f64 = row.get::<_, Option<f64>>(0).unwrap_or(USUAL_ROW);
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an estimate"
        )]
        let needed = (rows as f64 * each) as u64 + SMALL_BUNDLE;
        let what = format!("{} will need", Count(rows, "changed key"));
        Ok(vec![self.archive.look_at_room(needed, &what)?])
    }

    fn moment(&mut self, sql: &str) -> Result<Option<DateTime<Utc>>, Failure> {
        let row = self.client.query_one(sql, &[]);
        Ok(row.map_err(|error| database_failure("looking at the bundles", &error))?.get(0))
    }
}

fn age(moment: DateTime<Utc>) -> Duration {
    (Utc::now() - moment).to_std().unwrap_or_default()
}

fn size(bytes: u64) -> String {
    bytesize::ByteSize::b(bytes).display().iec().to_string()
}
