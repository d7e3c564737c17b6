//! The whole state in a sentence.

use chrono::{DateTime, NaiveDate, Utc};

use super::calendar::local_day;
use super::standing::Standing;
use crate::domain::NodeName;

/// The whole state in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// The sentence, without a full stop.
    pub sentence: String,
    /// What there is to add, in whole sentences; often nothing.
    pub remark: String,
    /// True if somebody has to do something.
    pub needs_person: bool,
}

/// How all branches stand.
pub fn headline(standings: &[Standing], now: DateTime<Utc>) -> Headline {
    let needy: Vec<&Standing> = standings.iter().filter(|standing| standing.needs_person()).collect();
    let state = Completeness::of(standings, now);
    let (sentence, mut remarks) = match (&needy[..], standings.len()) {
        (_, 0) => ("Head office knows no branch yet".to_owned(), Vec::new()),
        ([], _) => (state.sentence(), Vec::new()),
        ([one], 1) => (format!("{} needs you", one.state.name), Vec::new()),
        ([_], all) => (format!("1 of {all} branches needs you"), vec![state.sentence()]),
        (needy, all) => (format!("{} of {all} branches need you", needy.len()), vec![state.sentence()]),
    };
    remarks.extend(state.remark());
    let remark = remarks.iter().map(|sentence| format!("{sentence}.")).collect::<Vec<_>>().join(" ");
    Headline { sentence, remark, needs_person: !needy.is_empty() }
}

/// Up to which day head office has everything.
struct Completeness<'a> {
    standings: &'a [Standing],
    yesterday: Option<NaiveDate>,
    /// The days up to which those branches are complete that are so up to some day.
    through: Vec<(NaiveDate, &'a NodeName)>,
}

impl<'a> Completeness<'a> {
    fn of(standings: &'a [Standing], now: DateTime<Utc>) -> Self {
        let through = |standing: &'a Standing| Some((standing.complete_through()?, &standing.state.name));
        let through = standings.iter().filter_map(through).collect();
        Self { standings, yesterday: local_day(now).pred_opt(), through }
    }

    /// Of those that are furthest.
    fn sentence(&self) -> String {
        let all = self.standings.len();
        let Some(newest) = self.through.iter().map(|(day, _)| day).max() else {
            let nothing = self.standings.iter().all(|standing| standing.state.last_sequence.is_none());
            let sentence = if nothing {
                "Nothing has come from any branch yet"
            } else {
                "No branch is complete up to any day"
            };
            return sentence.to_owned();
        };
        let day = self.in_words(*newest);
        let furthest = self.through.iter().filter(|(day, _)| day == newest).count();
        match (furthest, self.standings) {
            (1, [one]) => format!("{} is complete up to {day}", one.state.name),
            (furthest, _) if furthest == all => format!("All {all} branches are complete up to {day}"),
            (1, _) => format!("1 of {all} branches is complete up to {day}"),
            (furthest, _) => format!("{furthest} of {all} branches are complete up to {day}"),
        }
    }

    /// Who of the others is furthest behind.
    fn remark(&self) -> Option<String> {
        let newest = self.through.iter().map(|(day, _)| day).max()?;
        let (oldest, name) = self.through.iter().min()?;
        (oldest < newest).then(|| format!("{name} only up to {}", self.in_words(*oldest)))
    }

    fn in_words(&self, day: NaiveDate) -> String {
        if Some(day) == self.yesterday { "yesterday".to_owned() } else { day.format("%-d %B %Y").to_string() }
    }
}
