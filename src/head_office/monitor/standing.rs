//! How every branch stands: what `status`, the page and the metrics show.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use postgres::GenericClient;

use super::concern::{Concern, Lateness, Weight, concerns, since};
use crate::domain::{Failure, NodeName};
use crate::head_office::branches::{BranchState, branch_states};

/// How long each branch may be silent, where that is configured.
pub type Expectations = BTreeMap<NodeName, Option<Duration>>;

/// How a branch stands.
#[derive(Debug, Clone)]
pub struct Standing {
    /// What the ledger says.
    pub state: BranchState,
    /// Silent longer than is expected of it, or for ever.
    pub is_late: bool,
    /// What is the matter, the heaviest first.
    pub concerns: Vec<Concern>,
}

impl Standing {
    fn new(state: BranchState, expected: Option<Duration>, now: DateTime<Utc>) -> Self {
        let silence = state.last_applied_at.map(|last| since(last, now));
        let late = expected
            .filter(|expected| silence.is_none_or(|silence| silence > *expected))
            .map(|expected| Lateness { silence, expected });
        Self { is_late: late.is_some(), concerns: concerns(&state, late), state }
    }

    /// True if something waits for a person: to decide, to mend, to look after the branch.
    pub fn needs_person(&self) -> bool {
        self.is_late || self.state.rejected > 0 || !self.state.held.is_empty()
    }

    /// How heavy the heaviest concern weighs; none if there is nothing to say.
    pub fn weight(&self) -> Option<Weight> {
        let of_state = self.needs_person().then_some(Weight::NeedsPerson);
        of_state.max(self.concerns.iter().map(|concern| concern.weight).max())
    }

    /// True if bundles are known to exist that were not applied: any day of the branch may be touched by them.
    pub fn has_bundles_waiting(&self) -> bool {
        self.state.rejected > 0 || !self.state.held.is_empty()
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
