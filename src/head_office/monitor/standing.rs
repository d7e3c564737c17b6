//! How every branch stands: what `status`, the page and the metrics show.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use postgres::GenericClient;

use super::calendar::local_day;
use super::concern::{Concern, Lateness, Weight, concerns};
use crate::domain::{Count, Failure, NodeName};
use crate::head_office::branches::{BranchState, branch_states};

/// How long each branch may be silent, where that is configured.
pub type Expectations = BTreeMap<NodeName, Option<Duration>>;

/// How a branch stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What the ledger says.
    pub state: BranchState,
    /// Silent longer than is expected of it.
    pub late: Option<Lateness>,
    /// What is the matter, the heaviest first.
    pub concerns: Vec<Concern>,
}

impl Standing {
    fn new(state: BranchState, expected: Option<Duration>, now: DateTime<Utc>) -> Self {
        let late = expected.and_then(|expected| Lateness::of(&state, expected, now));
        Self { late, concerns: concerns(&state, late), state }
    }

    /// True if something waits for a person: to decide, to mend, to look after the branch.
    pub fn needs_person(&self) -> bool {
        self.late.is_some() || self.state.rejected > 0 || !self.state.held.is_empty()
    }

    /// How heavy the heaviest concern weighs; none if there is nothing to say.
    pub fn weight(&self) -> Option<Weight> {
        let of_state = self.needs_person().then_some(Weight::NeedsPerson);
        of_state.max(self.concerns.iter().map(|concern| concern.weight).max())
    }

    /// The last day of which head office has everything, and knows of no bundle that could change it.
    pub fn complete_through(&self) -> Option<NaiveDate> {
        let as_of = self.state.data_as_of.filter(|_| self.doubts().is_empty())?;
        local_day(as_of).pred_opt()
    }

    /// What may yet change any day, whenever it was.
    pub(super) fn doubts(&self) -> Vec<String> {
        let state = &self.state;
        let (held, missing, rejected) = (state.held.len(), state.missing().len(), state.rejected);
        let in_cut = state.last_sequence.is_some() && !state.is_at_cut;
        let doubts = [
            (held > 0).then(|| format!("{} held", Count(held, "bundle"))),
            (missing > 0).then(|| format!("{} missing", Count(missing, "bundle"))),
            (rejected > 0).then(|| format!("{} rejected", Count(rejected, "bundle"))),
            in_cut.then(|| "a part of a change set has yet to come".to_owned()),
        ];
        doubts.into_iter().flatten().collect()
    }
}

/// How every branch stands now, by name.
pub fn standings(
    client: &mut impl GenericClient,
    expected: &Expectations,
    now: DateTime<Utc>,
) -> Result<Vec<Standing>, Failure> {
    let states = branch_states(client)?.into_iter();
    let expected = |state: &BranchState| expected.get(&state.name).copied().flatten();
    Ok(states
        .map(|state| (expected(&state), state))
        .map(|(expected, state)| Standing::new(state, expected, now))
        .collect())
}

#[cfg(test)]
mod tests {
    use chrono::{Local, TimeDelta, TimeZone as _};

    use super::*;
    use crate::domain::Sequence;
    use crate::head_office::monitor::headline;

    /// Noon of 21 November 2026, here.
    fn now() -> DateTime<Utc> {
        Local.with_ymd_and_hms(2026, 11, 21, 12, 0, 0).unwrap().with_timezone(&Utc)
    }

    fn branch(name: &str, days_ago: i64) -> BranchState {
        let as_of = now() - TimeDelta::days(days_ago);
        BranchState {
            name: name.parse().unwrap(),
            epoch: None,
            last_sequence: Sequence::new(7),
            last_manifest: None,
            last_applied_at: Some(as_of),
            known_since: as_of,
            is_at_cut: true,
            data_as_of: Some(as_of),
            held_epoch: None,
            held: Vec::new(),
            refused: Vec::new(),
            rejected: 0,
            clock_skew_ms: None,
            requests: Vec::new(),
        }
    }

    fn new_branch(name: &str, days_ago: i64) -> BranchState {
        BranchState {
            last_sequence: None,
            last_applied_at: None,
            data_as_of: None,
            is_at_cut: false,
            ..branch(name, days_ago)
        }
    }

    fn said(states: Vec<BranchState>) -> (String, String) {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        let standings: Vec<Standing> =
            states.into_iter().map(|state| Standing::new(state, hours(26), now())).collect();
        let headline = headline(&standings, now());
        (headline.sentence, headline.remark)
    }

    #[test]
    fn the_headline_says_the_whole_state() {
        let is = |states: Vec<BranchState>, sentence: &str, remark: &str| {
            assert_eq!(said(states), (sentence.to_owned(), remark.to_owned()));
        };
        is(vec![], "Head office knows no branch yet", "");
        is(vec![branch("east", 0)], "east is complete up to yesterday", "");
        is(vec![branch("east", 3)], "east needs you", "");
        is(vec![branch("east", 0), branch("west", 0)], "All 2 branches are complete up to yesterday", "");
        is(
            vec![branch("east", 0), branch("north", 1), branch("west", 0)],
            "2 of 3 branches are complete up to yesterday",
            "north only up to 19 November 2026.",
        );
        let rejected = BranchState { rejected: 1, ..branch("north", 0) };
        is(
            vec![branch("east", 0), rejected.clone(), branch("west", 0)],
            "1 of 3 branches needs you",
            "2 of 3 branches are complete up to yesterday.",
        );
        is(
            vec![rejected.clone(), rejected],
            "2 of 2 branches need you",
            "No branch is complete up to any day.",
        );
        let in_the_middle = BranchState { is_at_cut: false, ..branch("east", 0) };
        is(vec![in_the_middle, branch("west", 0)], "1 of 2 branches is complete up to yesterday", "");
    }

    #[test]
    fn a_branch_is_late_when_it_was_silent_too_long_since_it_is_known_and_only_where_that_is_configured() {
        let late = |state: BranchState, hours: Option<u64>| {
            Standing::new(state, hours.map(|hours| Duration::from_secs(hours * 3600)), now()).late.is_some()
        };
        assert!(!late(branch("east", 1), Some(25)));
        assert!(late(branch("east", 1), Some(23)));
        assert!(!late(new_branch("east", 0), Some(23)));
        assert!(!late(new_branch("east", 1), Some(25)) && late(new_branch("east", 1), Some(23)));
        // It had left, and has come back.
        let back =
            |days: i64| BranchState { known_since: now() - TimeDelta::days(days), ..branch("east", 100) };
        assert!(!late(back(0), Some(23)) && late(back(1), Some(23)));
        assert!(!late(branch("east", 100), None) && !late(new_branch("east", 100), None));
    }
}
