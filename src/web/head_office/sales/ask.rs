//! What was asked for: the query of the address, checked, and the addresses of other views of the same.

use chrono::{Datelike as _, Days, Local, NaiveDate};
use serde::Deserialize;

use super::name::name_filter;
use crate::domain::{Failure, Kind, NodeName, is_day};
use crate::head_office::sales::{Position, SalesFilter, SortColumn, SortPosition, Towards};
use crate::web::field::{day, given};

/// The query as it came.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(in crate::web::head_office) struct SalesQuery {
    pub(super) period: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) branch: String,
    pub(super) region: String,
    pub(super) product: String,
    pub(super) id: String,
    pub(super) sort: String,
    pub(super) direction: String,
    pub(super) after: String,
    pub(super) back: String,
    pub(super) texts: String,
}

/// The period by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    Week,
    Month,
    All,
    /// By its first and last day.
    Days,
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Asking {
    pub(super) query: SalesQuery,
    pub(super) period: Period,
    pub(super) filter: SalesFilter,
    pub(super) id: Option<i64>,
    /// None means by day.
    pub(super) sort: Option<SortColumn>,
    pub(super) towards: Towards,
    /// Whether the page before the one that ended there is wanted, and not the one behind it.
    pub(super) is_back: bool,
    pub(super) after: Option<After>,
    /// Whether the file has texts as they are.
    pub(super) is_exact: bool,
}

/// The place where the last page ended.
#[derive(Debug, Clone)]
pub(super) enum After {
    Day(Position),
    Value(SortPosition),
}

impl TryFrom<SalesQuery> for Asking {
    type Error = Failure;

    fn try_from(query: SalesQuery) -> Result<Self, Failure> {
        let (period, from, to) = period(&query)?;
        let branch = given(&query.branch).map(str::parse::<NodeName>).transpose().map_err(usage)?;
        let names = |field, text| name_filter(text).map_err(|why| wrong(field, why));
        let (region, product) = (names("region", &query.region)?, names("product", &query.product)?);
        let filter = SalesFilter { branch, region, product, from, to };
        let sort = sort(&query.sort)?;
        let towards = match given(&query.direction) {
            None | Some("down") => Towards::Older,
            Some("up") => Towards::Newer,
            Some(_) => return Err(wrong("direction", "it is `up` or `down`")),
        };
        let id = given(&query.id)
            .map(|id| id.parse().map_err(|_| wrong("id", "it is no number of a sale")))
            .transpose()?;
        let after = Some(&*query.after).filter(|place| !place.is_empty());
        let after = after.map(|place| self::after(place, sort)).transpose()?;
        let is_back = given(&query.back).is_some();
        let is_exact = given(&query.texts) == Some("exact");
        Ok(Self { query, period, filter, id, sort, towards, is_back, after, is_exact })
    }
}

impl Asking {
    /// The address of a view of `path` that differs by these fields; an empty one is left out.
    pub(super) fn address(&self, path: &str, changes: &[(&str, &str)]) -> String {
        let SalesQuery { period, from, to, branch, region, product, id, sort, direction, .. } = &self.query;
        let fields = [
            ("period", period),
            ("from", from),
            ("to", to),
            ("branch", branch),
            ("region", region),
            ("product", product),
            ("id", id),
            ("sort", sort),
            ("direction", direction),
        ];
        let kept = fields.iter().map(|(name, value)| (*name, value.as_str()));
        let kept = kept.filter(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
        let fields: Vec<_> =
            kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty()).collect();
        match serde_urlencoded::to_string(&fields) {
            Ok(query) if !query.is_empty() => format!("{path}?{query}"),
            _ => path.to_owned(),
        }
    }

    /// The direction in which sales are read: that of the order, or back.
    pub(super) fn reading(&self) -> Towards {
        match (self.towards, self.is_back) {
            (Towards::Older, false) | (Towards::Newer, true) => Towards::Older,
            _ => Towards::Newer,
        }
    }
}

fn period(query: &SalesQuery) -> Result<(Period, Option<NaiveDate>, Option<NaiveDate>), Failure> {
    let day = |field, text| day(text).map_err(|why| wrong(field, why));
    let (from, to) = (day("from", &query.from)?, day("to", &query.to)?);
    if from.zip(to).is_some_and(|(from, to)| from > to) {
        return Err(wrong("from", "it comes after the last day"));
    }
    if from.is_some() || to.is_some() {
        return Ok((Period::Days, from, to));
    }
    let today = Local::now().date_naive();
    let week = today.checked_sub_days(Days::new(today.weekday().num_days_from_monday().into()));
    match given(&query.period) {
        None | Some("all") => Ok((Period::All, None, None)),
        Some("week") => Ok((Period::Week, week, week.and_then(|day| day.checked_add_days(Days::new(6))))),
        Some("month") => {
            let next = today.with_day(1).and_then(|first| first.checked_add_months(chrono::Months::new(1)));
            Ok((Period::Month, today.with_day(1), next.and_then(|day| day.pred_opt())))
        }
        Some(_) => Err(wrong("period", "it is `week`, `month` or `all`")),
    }
}

fn sort(text: &str) -> Result<Option<SortColumn>, Failure> {
    match given(text) {
        None | Some("date") => Ok(None),
        Some(name) => match SortColumn::ALL.into_iter().find(|column| column.as_str() == name) {
            Some(column) => Ok(Some(column)),
            None => Err(wrong("sort", "there is no such column")),
        },
    }
}

/// `DAY.BRANCH.NUMBER` or `NUMBER.BRANCH.VALUE`, as [`place_of`] and [`sort_place_of`] write them.
fn after(text: &str, sort: Option<SortColumn>) -> Result<After, Failure> {
    let lost = || wrong("after", "it is no place in the list");
    let parts: Vec<&str> = text.splitn(3, '.').collect();
    let &[first, branch, end] = &parts[..] else { return Err(lost()) };
    let branch = branch.replace("%2E", ".").replace("%25", "%");
    let Some(column) = sort else {
        if !is_day(first) {
            return Err(lost());
        }
        let id = given(end).map(|id| id.parse().map_err(|_| lost())).transpose()?;
        return Ok(After::Day(Position { day: first.to_owned(), branch, id }));
    };
    let id = first.parse().map_err(|_| lost())?;
    if column.is_number() && !is_number(end) {
        return Err(lost());
    }
    Ok(After::Value(SortPosition { value: end.to_owned(), branch, id }))
}

/// True for a number as the database prints it.
fn is_number(text: &str) -> bool {
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_finite = digits.split_once('.').map_or(is_whole(digits), |(a, b)| is_whole(a) && is_whole(b));
    is_finite || ["NaN", "Infinity", "-Infinity"].contains(&text)
}

/// A place in the order of days as a field of an address.
pub(super) fn place_of(Position { day, branch, id }: &Position) -> String {
    format!("{day}.{}.{}", without_dots(branch), id.map(|id| id.to_string()).unwrap_or_default())
}

/// A place in another order, the same.
pub(super) fn sort_place_of(SortPosition { value, branch, id }: &SortPosition) -> String {
    format!("{id}.{}.{value}", without_dots(branch))
}

fn without_dots(branch: &str) -> String {
    branch.replace('%', "%25").replace('.', "%2E")
}

fn wrong(field: &str, why: &str) -> Failure {
    Failure::new(Kind::Usage, format!("reading the field `{field}`"), why)
}

fn usage(failure: Failure) -> Failure {
    failure.as_kind(Kind::Usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(query: &str) -> Result<Asking, Failure> {
        serde_urlencoded::from_str::<SalesQuery>(query).unwrap().try_into()
    }

    #[test]
    fn nothing_hostile_is_taken_for_an_answerable_question() {
        for query in [
            "from=99999-01-01",
            "from=2026-02-30",
            "from=-1-01-01",
            "from=2026-03-02&to=2026-03-01",
            "branch=East",
            "branch=..%2F..",
            "id=-",
            "id=99999999999999999999",
            "sort=password",
            "direction=left",
            "period=century",
            "after=x",
            "after=2026-13-01.east.1",
            "after=2026-03-01.east.x",
            "sort=total&after=1.east.1%27",
            "sort=total&after=x.east.1",
        ] {
            assert_eq!(asking(query).unwrap_err().kind(), Kind::Usage, "{query}");
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Position { day: "2026-03-01".to_owned(), branch: "a.b%2E".to_owned(), id: Some(-7) };
        let Ok(After::Day(read)) = after(&place_of(&place), None) else { panic!("no place") };
        assert_eq!(read, place);
        let place = SortPosition { value: "a.b".to_owned(), branch: "x.y".to_owned(), id: 3 };
        let Ok(After::Value(read)) = after(&sort_place_of(&place), Some(SortColumn::Product)) else {
            panic!("no place")
        };
        assert_eq!(read, place);
    }

    #[test]
    fn an_empty_field_is_none() {
        let asking = asking("from=&to=&branch=&product=+&id=&period=").unwrap();
        assert_eq!((asking.filter, asking.id), (SalesFilter::default(), None));
    }
}
