//! The sales of the demo: those of the spring of 2021, or as many invented ones as are asked for.

use std::fs;
use std::io;
use std::path::Path;

use chrono::{Days, NaiveDate};

use crate::domain::{Failure, Kind};

/// What each branch's file is called.
pub(super) const FILE: &str = "sales-2021.csv";

const EAST_AND_WEST: &str = include_str!("sales-2021.csv");
const NORTH: &str = include_str!("north-2021.csv");

const HEADER: [&str; 8] = ["Date", "Region", "Product", "Qty", "Cost", "Amt", "Tax", "Total"];

/// Name and cost in cents.
const PRODUCTS: [(&str, u64); 6] = [
    ("Paper", 1_295),
    ("Pens", 219),
    ("Ink, black", 890),
    ("Folders \"A4\"", 345),
    ("Staples", 119),
    ("Desk lamp", 3_950),
];

/// Over how many days the invented sales are spread.
const DAYS: u64 = 56;

/// Writes the branch's sales of 2021 into `file`.
pub(super) fn write_known(branch: &str, file: &Path) -> Result<(), Failure> {
    let text = if branch == "north" { NORTH.to_owned() } else { of_region(&region(branch)) };
    fs::write(file, text).map_err(|error| Failure::file("writing", file, &error))
}

/// The header and the lines of one region.
fn of_region(region: &str) -> String {
    let mut lines = EAST_AND_WEST.lines();
    let header = lines.next().unwrap_or_default();
    let lines = lines.filter(|line| line.split(',').nth(1) == Some(region));
    [header].into_iter().chain(lines).fold(String::new(), |text, line| text + line + "\n")
}

/// Writes `count` invented sales of the branch into `file`, the same ones each time.
pub(super) fn write_invented(branch: &str, count: u32, file: &Path) -> Result<(), Failure> {
    let failed = |error: csv::Error| {
        Failure::new(Kind::Failed, format!("writing {}", file.display()), io::Error::from(error))
    };
    let mut writer = csv::Writer::from_path(file).map_err(failed)?;
    writer.write_record(HEADER).map_err(failed)?;
    let region = region(branch);
    let mut dice = Dice(branch.bytes().map(u64::from).sum());
    for number in 0..count {
        let day = u64::from(number) * DAYS / u64::from(count);
        writer.write_record(invented(&region, day, &mut dice)).map_err(failed)?;
    }
    writer.flush().map_err(|error| Failure::file("writing", file, &error))
}

fn invented(region: &str, day: u64, dice: &mut Dice) -> [String; 8] {
    let first = NaiveDate::from_ymd_opt(2021, 4, 29).unwrap_or_default();
    let date = first.checked_add_days(Days::new(day)).unwrap_or(first);
    let (product, cost) = dice.product();
    let qty = dice.quantity();
    let amt = qty * cost;
    let tax = (amt * 7 + 50) / 100;
    [
        date.to_string(),
        region.to_owned(),
        product.to_owned(),
        qty.to_string(),
        money(cost),
        money(amt),
        money(tax),
        money(amt + tax),
    ]
}

/// `1,011.52`, as spreadsheets write it.
fn money(cents: u64) -> String {
    match (cents / 100_000, cents / 100 % 1000, cents % 100) {
        (0, units, cents) => format!("{units}.{cents:02}"),
        (thousands, units, cents) => format!("{thousands},{units:03}.{cents:02}"),
    }
}

/// `East` for `east`.
pub(super) fn region(branch: &str) -> String {
    let mut letters = branch.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Numbers that look random and are the same in every run: a linear congruential generator (Knuth's
/// MMIX), of which the upper bits are used.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn product(&mut self) -> (&'static str, u64) {
        let number = self.roll() % PRODUCTS.len() as u64;
        PRODUCTS[usize::try_from(number).unwrap_or(0)]
    }

    fn quantity(&mut self) -> u64 {
        1 + self.roll() % 90
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_region_gets_its_three_sales() {
        for region in ["East", "West"] {
            let text = of_region(region);
            assert_eq!(text.lines().count(), 4, "{text}");
            assert!(text.starts_with("Date,Region"));
        }
        assert!(of_region("East").contains("\"1,011.52\"\n"));
    }

    #[test]
    fn invented_sales_are_the_same_in_every_run() {
        let sales = |branch| {
            let file = tempfile::NamedTempFile::new().unwrap();
            write_invented(branch, 100, file.path()).unwrap();
            fs::read_to_string(file.path()).unwrap()
        };
        assert_eq!(sales("east"), sales("east"));
        assert_eq!(sales("west").lines().count(), 101);
    }

    #[test]
    fn money_has_a_thousands_separator() {
        assert_eq!(money(105), "1.05");
        assert_eq!(money(101_152), "1,011.52");
    }
}
