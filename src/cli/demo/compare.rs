//! The proof at the end: every branch's table against head office's.

use super::company::Company;
use super::node::Node;
use super::story::Story;
use super::table::Table;
use crate::domain::{Failure, Kind};

/// Number of rows, sum of their totals, and a checksum over every value of every row.
type Fingerprint = [String; 3];

/// What the fingerprint is made of, in SQL. Head office has a column more, whose row it is.
const FINGERPRINT: &str = "\
SELECT count(*) AS rows, coalesce(sum(total), 0) AS total,
       md5(string_agg((id, date, region, product, qty, cost, amt, tax, total)::text,
                      E'\\n' ORDER BY id)) AS md5_of_all_rows
FROM public.sales";

/// Shows and compares the fingerprints of all branches; it is a failure if one differs, or if there is
/// nothing to compare.
pub(super) fn compare(story: &Story, company: &Company) -> Result<(), Failure> {
    story.typed("#", &format!("{FINGERPRINT};"))?;
    let mut table = Table::new(&["branch", "table at", "rows", "total", "md5 of all rows", ""]);
    let mut different = Vec::new();
    for branch in &company.branches {
        let here = branch.texts(FINGERPRINT)?;
        let there = company.head_office.texts(&at_head_office(branch))?;
        let is_equal = here == there && here[0] != "0";
        if !is_equal {
            different.push(branch.name.as_str());
        }
        let result = if is_equal { "equal" } else { "DIFFERENT" };
        table.rows.push(line(branch, branch, here, ""));
        table.rows.push(line(branch, &company.head_office, there, result));
    }
    story.answered(table)?;
    if different.is_empty() {
        return Ok(());
    }
    let why = format!("{} and head office differ", different.join(", "));
    Err(Failure::new(Kind::Failed, "comparing every branch with head office", why))
}

/// The sales that head office has, in one checksum.
pub(super) fn head_office_checksum(company: &Company) -> Result<String, Failure> {
    let query = "SELECT md5(string_agg(sales::text, E'\\n' ORDER BY branch, id)) FROM public.sales";
    let [checksum] = company.head_office.texts(query)?;
    Ok(checksum)
}

fn at_head_office(branch: &Node) -> String {
    format!("{FINGERPRINT} WHERE branch = '{}'", branch.name)
}

fn line(branch: &Node, place: &Node, [rows, total, md5]: Fingerprint, result: &str) -> Vec<String> {
    vec![branch.name.clone(), place.name.clone(), rows, total, md5, result.to_owned()]
}
