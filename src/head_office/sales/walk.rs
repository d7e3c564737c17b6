//! The sales in the order of their days, page by page.
//!
//! A sale's place is its day, its branch and its number. A page is read from a place on, in windows that follow each
//! other without a gap: how many sales each branch has on each day says how large a window must be to fill the page.
//! Where the summary is complete, it says that, and only the branches are read that have sold something. Where it is
//! behind, what the branches have stated of their days says it; each sale is in one window all the same, whether its day was
//! stated or not.

use std::collections::BTreeSet;

use postgres::{Client, Transaction};

use super::filter::{SalesFilter, all, literal};
use super::known::{NextDay, is_complete, next_day};
use super::shape::FROM;
use super::statement::{COLUMNS, Sale, begin, by_days, failed, first_of};
use crate::domain::Failure;

/// Rows of which a page is filled at most. Where few of them are wanted, the page says how far it has looked.
const LOOK_LIMIT: i64 = 64_000;
/// Rows that are looked through first where only some are wanted.
const FIRST_LOOK: i64 = 8000;
/// Branches' days of a window at most.
const MOST_GROUPS: usize = 5000;
/// So many of them are fetched at a time: mostly they are enough.
const GROUPS_AT_A_TIME: usize = 100;
/// How much larger the next window is at most if one has too few.
const GROWTH: i64 = 8;

/// Which way the pages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// To older sales.
    Older,
    /// To newer ones.
    Newer,
}

/// A place in the order of sales.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The business day, as PostgreSQL writes it.
    pub day: String,
    /// The branch.
    pub branch: String,
    /// The number; none means past the branch's last sale of that day.
    pub id: Option<i64>,
}

/// A page.
#[derive(Debug, Clone, Default)]
pub struct SalesPage {
    /// The sales, in the direction in which they were looked for.
    pub sales: Vec<Sale>,
    /// True if there are more.
    pub has_more: bool,
    /// How far was looked, if that was not to the end and the page is not full.
    pub looked_to: Option<Position>,
}

/// Where a window begins.
enum Start {
    /// At the very first sale.
    Outermost,
    /// At the first sale of this day.
    Day(String),
    /// After this place.
    After(Position),
}

/// A branch's day that has rows.
struct Group {
    day: String,
    branch: String,
    rows: i64,
}

/// The next `limit` sales from a place on, or from the outermost one.
pub fn walk_sales(
    client: &mut Client,
    filter: &SalesFilter,
    towards: Towards,
    after: Option<Position>,
    limit: usize,
) -> Result<SalesPage, Failure> {
    let mut transaction = begin(client)?;
    let is_known = is_complete(&mut transaction, filter)?;
    let page = SalesPage::default();
    let mut walk = Walk { transaction: &mut transaction, filter, towards, limit, is_known, page };
    walk.go(after.map_or(Start::Outermost, Start::After))?;
    let mut page = walk.page;
    page.has_more |= page.sales.len() > limit;
    page.sales.truncate(limit);
    Ok(page)
}

/// The sales with this number, of every branch or of one.
pub fn find_sale(client: &mut Client, filter: &SalesFilter, id: i64) -> Result<SalesPage, Failure> {
    // Each branch's key is looked up by itself: the number alone is no beginning of a key.
    let sql = format!(
        "SELECT {COLUMNS} FROM salesync.branch b CROSS JOIN LATERAL (
             SELECT * FROM {FROM} WHERE t.branch = b.name AND t.id = $1 OFFSET 0) t
         WHERE {} ORDER BY t.branch LIMIT 1000",
        filter.condition()
    );
    let rows = client.query(&sql, &[&id]).map_err(|error| failed(&error))?;
    Ok(SalesPage { sales: rows.iter().map(Sale::of).collect(), ..SalesPage::default() })
}

struct Walk<'w, 't> {
    transaction: &'w mut Transaction<'t>,
    filter: &'w SalesFilter,
    towards: Towards,
    limit: usize,
    /// Whether the summary has every branch's day.
    is_known: bool,
    page: SalesPage,
}

impl Walk<'_, '_> {
    fn go(&mut self, mut start: Start) -> Result<(), Failure> {
        let is_of_some = self.filter.is_of_some();
        let mut wanted = i64::try_from(self.limit).unwrap_or(i64::MAX).saturating_add(1);
        if is_of_some {
            wanted = wanted.max(FIRST_LOOK);
        }
        let mut looked = 0;
        loop {
            if self.is_known && is_of_some {
                let Some(next) = self.next_day(&start)? else { return Ok(()) };
                wanted = self.look_by_share(&next, looked);
                if !matches!(&start, Start::After(after) if after.day == next.day) {
                    start = Start::Day(next.day);
                }
            }
            let groups = self.groups(&start, wanted)?;
            let Some(last) = end_of(&groups, wanted) else { return self.read(&start, &groups, None) };
            if !self.is_known && !is_of_some {
                start = self.read_unstated(start, &groups)?;
            }
            self.read(&start, &groups, Some(last))?;
            if self.page.sales.len() > self.limit {
                return Ok(());
            }
            looked += groups.iter().map(|group| group.rows).sum::<i64>();
            let reached = Position { day: last.day.clone(), branch: last.branch.clone(), id: None };
            if looked >= LOOK_LIMIT {
                self.page.has_more = true;
                self.page.looked_to = Some(reached);
                return Ok(());
            }
            start = Start::After(reached);
            wanted = next_look(wanted, looked, self.page.sales.len(), self.limit);
        }
    }

    /// The next day on which some of those that are looked for were sold: what is before it need not be read. None if
    /// there is none any more.
    fn next_day(&mut self, start: &Start) -> Result<Option<NextDay>, Failure> {
        let from = match (start, self.towards) {
            (Start::Outermost, Towards::Older) => "infinity",
            (Start::Outermost, Towards::Newer) => "-infinity",
            (Start::Day(day) | Start::After(Position { day, .. }), _) => day,
        };
        let (operator, _, direction) = self.words();
        next_day(self.transaction, self.filter, from, (operator, direction))
    }

    /// How many rows the next window has: a quarter more than those among which the missing ones are if they are as frequent
    /// with all branches and on the days behind.
    fn look_by_share(&self, next: &NextDay, looked: i64) -> i64 {
        let missing = (self.limit + 1).saturating_sub(self.page.sales.len());
        let missing = i64::try_from(missing).unwrap_or(i64::MAX);
        let expected = missing.saturating_mul(next.all).checked_div(next.wanted).unwrap_or(i64::MAX);
        expected.saturating_add(expected / 4).max(looked / 2).clamp(FIRST_LOOK, LOOK_LIMIT)
    }

    /// Days that no branch has stated come before the first that one has. With that behind, few branches are read for the
    /// page.
    fn read_unstated(&mut self, start: Start, groups: &[Group]) -> Result<Start, Failure> {
        let (Start::Outermost, Some(first)) = (&start, groups.first()) else { return Ok(start) };
        let (_, back, _) = self.words();
        let before = format!("t.date {back} {}", literal(&first.day));
        self.fetch(vec![before])?;
        Ok(Start::Day(first.day.clone()))
    }

    /// The branches' days from `start` on, until there are as many rows as are wanted.
    fn groups(&mut self, start: &Start, wanted: i64) -> Result<Vec<Group>, Failure> {
        let (operator, _, direction) = self.words();
        let from = match start {
            Start::Outermost => "true".to_owned(),
            Start::Day(day) => format!("d.day {operator}= {}", literal(day)),
            Start::After(Position { day, branch, id }) => {
                let or_equal = if id.is_some() { "=" } else { "" };
                let (day, branch) = (literal(day), literal(branch));
                format!(
                    "d.day {operator}= {day} AND (d.day, d.branch) {operator}{or_equal} ({day}, {branch})"
                )
            }
        };
        let (source, filter) = if self.is_known {
            let days = "(SELECT first_day AS day, branch, row_count FROM salesync.sales_by_branch WHERE NOT is_month)";
            (days, self.filter.days_of_branches())
        } else {
            ("salesync.day_total", self.filter.stated())
        };
        let sql = format!(
            "SELECT d.day::text, d.branch, d.row_count FROM {source} d WHERE {filter} AND {from}
             ORDER BY d.day {direction}, d.branch {direction} LIMIT {MOST_GROUPS}"
        );
        let portal = self.transaction.bind(&sql, &[]).map_err(|error| failed(&error))?;
        let (mut groups, mut sum) = (Vec::new(), 0);
        loop {
            let some = i32::try_from(GROUPS_AT_A_TIME).unwrap_or(i32::MAX);
            let rows = self.transaction.query_portal(&portal, some).map_err(|error| failed(&error))?;
            for row in &rows {
                if sum >= wanted {
                    return Ok(groups);
                }
                let mut group = Group { day: row.get(0), branch: row.get(1), rows: row.get(2) };
                if matches!(start, Start::After(after) if (&after.day, &after.branch) == (&group.day, &group.branch))
                {
                    // Nobody knows how many rows are left of the one in which the last page ended.
                    group.rows = 0;
                }
                sum += group.rows;
                groups.push(group);
            }
            if rows.len() < GROUPS_AT_A_TIME {
                return Ok(groups);
            }
        }
    }

    /// Reads a window: from `start` on, and with all rows of the branch's day `last`, or to the end. `groups` are those in
    /// it, and all there are if that is known.
    fn read(&mut self, start: &Start, groups: &[Group], last: Option<&Group>) -> Result<(), Failure> {
        let (operator, back, _) = self.words();
        let mut conditions = Vec::new();
        let mut first = first_place(start, operator, &mut conditions);
        let mut last = last;
        if self.is_known {
            let (Some(one), Some(other)) = (groups.first(), groups.last()) else { return Ok(()) };
            let branches: BTreeSet<_> = groups.iter().map(|group| literal(&group.branch)).collect();
            let branches: Vec<_> = branches.into_iter().collect();
            conditions.push(format!("t.branch IN ({})", branches.join(", ")));
            if first.is_none() {
                conditions.push(format!("t.date {operator}= {}", literal(&one.day)));
                first = Some((&one.day, None));
            }
            last = Some(other);
        }
        if let Some(last) = last {
            let (day, branch) = (literal(&last.day), literal(&last.branch));
            conditions.push(format!("t.date {back}= {day} AND (t.date, t.branch) {back}= ({day}, {branch})"));
            if first.is_some_and(|(day, _)| *day == last.day) {
                // The planner sees the one day, and of which branches.
                conditions.push(format!("t.date = {day} AND t.branch {back}= {branch}"));
                conditions.extend(
                    first
                        .and_then(|(_, branch)| branch)
                        .map(|branch| format!("t.branch {operator}= {}", literal(branch))),
                );
            }
        }
        self.fetch(conditions)
    }

    /// Adds the first of these to the page, as far as it has room for them and one more.
    fn fetch(&mut self, mut conditions: Vec<String>) -> Result<(), Failure> {
        let room = (self.limit + 1).saturating_sub(self.page.sales.len());
        if room == 0 {
            return Ok(());
        }
        // What leaves out most comes first.
        conditions.splice(0..0, [self.filter.condition(), "t.date IS NOT NULL".to_owned()]);
        let (_, _, direction) = self.words();
        let order = format!("t.date {direction}, t.branch {direction}, t.id {direction}");
        let sql = first_of(&all(&conditions), &order, room);
        let rows = by_days(self.transaction, &sql)?;
        self.page.sales.extend(rows.iter().map(Sale::of));
        Ok(())
    }

    /// What is further on, what is behind, and the order.
    fn words(&self) -> (&'static str, &'static str, &'static str) {
        match self.towards {
            Towards::Older => ("<", ">", "DESC"),
            Towards::Newer => (">", "<", "ASC"),
        }
    }
}

/// The condition that a window begins at `start`. Returns the day, and the branch if the day was begun.
fn first_place<'s>(
    start: &'s Start,
    operator: &str,
    conditions: &mut Vec<String>,
) -> Option<(&'s String, Option<&'s str>)> {
    match start {
        Start::Outermost => None,
        Start::Day(day) => {
            conditions.push(format!("t.date {operator}= {}", literal(day)));
            Some((day, None))
        }
        Start::After(Position { day, branch, id }) => {
            let (shown_day, shown_branch) = (literal(day), literal(branch));
            conditions.push(format!("t.date {operator}= {shown_day}"));
            conditions.push(match id {
                Some(id) => {
                    format!("(t.date, t.branch, t.id) {operator} ({shown_day}, {shown_branch}, {id})")
                }
                None => format!("(t.date, t.branch) {operator} ({shown_day}, {shown_branch})"),
            });
            Some((day, Some(branch)))
        }
    }
}

/// The last branch's day of a window that has as many rows as are wanted; none if there are not so many.
fn end_of(groups: &[Group], wanted: i64) -> Option<&Group> {
    let is_enough =
        groups.iter().map(|group| group.rows).sum::<i64>() >= wanted || groups.len() >= MOST_GROUPS;
    groups.last().filter(|_| is_enough)
}

/// How many rows the next window has if `looked` were looked through and `found` of more than `limit` are on the page:
/// twice those among which the others would be if sales stayed as frequent, but enough to come to an end soon if they do not.
fn next_look(wanted: i64, looked: i64, found: usize, limit: usize) -> i64 {
    let count = |sales: usize| i64::try_from(sales).unwrap_or(i64::MAX);
    let missing = count(limit).saturating_add(1).saturating_sub(count(found));
    let expected = looked.saturating_mul(2).saturating_mul(missing).checked_div(count(found));
    expected.unwrap_or(i64::MAX).max(looked / 2).min(wanted.saturating_mul(GROWTH)).clamp(1, LOOK_LIMIT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_window_is_as_large_as_what_was_found_lets_expect() {
        // Nearly all that is wanted: few more are read. Nothing at all: as many more as may be.
        assert_eq!(next_look(8000, 8000, 40, 50), 4400);
        assert_eq!(next_look(8000, 8000, 5, 50), LOOK_LIMIT);
        assert_eq!(next_look(100, 100, 0, 50), 100 * GROWTH);
    }

    #[test]
    fn windows_end_soon_also_if_nothing_more_is_found() {
        let (mut wanted, mut looked, mut windows) = (FIRST_LOOK, FIRST_LOOK, 1);
        while looked < LOOK_LIMIT {
            wanted = next_look(wanted, looked, 50, 50);
            (looked, windows) = (looked + wanted, windows + 1);
        }
        assert!(windows <= 7, "{windows} windows");
    }
}
