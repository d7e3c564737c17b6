//! One sale: named texts in, a checked sale or what is wrong with each text out.
//!
//! It knows nothing of files or databases, so that a form on a page follows the same rules.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::ImportOptions;
use super::amount::{AMOUNT_DIGITS, COST_DIGITS, parse_amount, parse_quantity, round_amount};
use super::dates::DateFormat;
use super::field::{Field, SaleText};
use crate::domain::{Failure, Kind};

/// More decimals in a tax rate than any law knows; few enough that all products stay exact.
const TAX_RATE_DECIMALS: u32 = 6;

/// A sale that the table takes: `amt = qty * cost`, `total = amt + tax`, money with two decimals.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `Field`")]
pub struct Sale {
    pub date: NaiveDate,
    pub region: String,
    pub product: String,
    pub qty: i32,
    pub cost: Decimal,
    pub amt: Decimal,
    pub tax: Decimal,
    pub total: Decimal,
}

/// What is wrong with one text of a sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// Which text.
    pub field: Field,
    /// The text itself, as it was given but for white space around it.
    pub value: String,
    /// Why it cannot be taken.
    pub reason: String,
}

/// The rules that sales are checked by; proven to be usable.
#[derive(Debug, Clone)]
pub struct SaleRules {
    dates: DateFormat,
    tax_rate: Decimal,
}

impl SaleRules {
    /// The rules that `options` declare; a failure of kind `Usage` if they make no sense.
    pub fn new(options: &ImportOptions) -> Result<Self, Failure> {
        let tax_rate = options.tax_rate.normalize();
        let unusable = |why: &str| {
            Failure::new(Kind::Usage, format!("reading the tax rate {tax_rate}"), why)
                .hint("a rate is a fraction: 7 % is 0.07")
        };
        if !(Decimal::ZERO..=Decimal::ONE).contains(&tax_rate) {
            return Err(unusable("it is not between 0 and 1"));
        }
        if tax_rate.scale() > TAX_RATE_DECIMALS {
            return Err(unusable("it has more than six decimals"));
        }
        Ok(Self { dates: DateFormat::new(options.date_format.as_deref())?, tax_rate })
    }

    /// Tax as a fraction of the amount.
    pub fn tax_rate(&self) -> Decimal {
        self.tax_rate
    }

    /// The sale that `text` describes, or everything that is wrong with it. `Amt`, `Tax` and `Total` are
    /// computed if they are missing and compared if they are not; money is rounded half up, that is
    /// with midpoints away from zero, so that a return cancels its sale.
    pub fn check(&self, text: &SaleText<'_>) -> Result<Sale, Vec<FieldProblem>> {
        let mut check = Check { text, problems: Vec::new() };
        let date = check.required(Field::Date, |text| self.dates.parse(text));
        let region = check.required(Field::Region, parse_name);
        let product = check.required(Field::Product, parse_name);
        let qty = check.required(Field::Qty, parse_quantity);
        let cost = check.required(Field::Cost, |text| parse_amount(text, COST_DIGITS));
        let amt = check.derived(Field::Amt, amt_of(qty, cost));
        let tax = check.derived(Field::Tax, self.tax_of(amt));
        let total = check.derived(Field::Total, total_of(amt, tax));
        match (date, region, product, qty, cost, amt, tax, total) {
            (
                Some(date),
                Some(region),
                Some(product),
                Some(qty),
                Some(cost),
                Some(amt),
                Some(tax),
                Some(total),
            ) if check.problems.is_empty() => Ok(Sale { date, region, product, qty, cost, amt, tax, total }),
            _ => Err(check.problems),
        }
    }

    fn tax_of(&self, amt: Option<Decimal>) -> Option<Expected> {
        let amt = amt?;
        let rate = self.tax_rate;
        let formula = format!("{rate} of Amt {amt}, rounded half up");
        Some(Expected { exact: amt.checked_mul(rate), formula })
    }
}

/// What a field must be by the others: the value before rounding (`None` if no number can hold it), and
/// how it comes about.
struct Expected {
    exact: Option<Decimal>,
    formula: String,
}

impl Expected {
    fn rounded(&self) -> Result<Decimal, String> {
        self.exact.ok_or_else(|| "is too large".to_owned()).and_then(round_amount)
    }
}

fn amt_of(qty: Option<i32>, cost: Option<Decimal>) -> Option<Expected> {
    let (qty, cost) = (qty?, cost?);
    let formula = format!("Qty {qty} * Cost {cost}");
    Some(Expected { exact: Decimal::from(qty).checked_mul(cost), formula })
}

fn total_of(amt: Option<Decimal>, tax: Option<Decimal>) -> Option<Expected> {
    let (amt, tax) = (amt?, tax?);
    Some(Expected { exact: amt.checked_add(tax), formula: format!("Amt {amt} + Tax {tax}") })
}

/// `PostgreSQL` has no NUL in a text, in any encoding.
fn parse_name(text: &str) -> Result<String, String> {
    if text.contains('\0') { Err("has a NUL character".to_owned()) } else { Ok(text.to_owned()) }
}

/// The check of one sale under way. A field with a problem is `None`, and whatever depends on it is not
/// judged: one mistake is told once.
struct Check<'a> {
    text: &'a SaleText<'a>,
    problems: Vec<FieldProblem>,
}

impl Check<'_> {
    fn required<T>(&mut self, field: Field, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.text.get(field);
        let parsed = if text.is_empty() { Err("must not be empty".to_owned()) } else { parse(text) };
        parsed.map_err(|reason| self.report(field, reason)).ok()
    }

    /// The given value if it is what the other fields say, else what they say. Without a word from
    /// them (one of them has a problem) a given value stands for itself.
    fn derived(&mut self, field: Field, expected: Option<Expected>) -> Option<Decimal> {
        let text = self.text.get(field);
        let value = if text.is_empty() {
            let expected = expected?;
            expected.rounded().map_err(|reason| format!("{} {reason}", expected.formula))
        } else {
            parse_amount(text, AMOUNT_DIGITS).and_then(|given| agreed(given, expected))
        };
        value.map_err(|reason| self.report(field, reason)).ok()
    }

    fn report(&mut self, field: Field, reason: String) {
        self.problems.push(FieldProblem { field, value: self.text.get(field).to_owned(), reason });
    }
}

fn agreed(given: Decimal, expected: Option<Expected>) -> Result<Decimal, String> {
    let Some(expected) = expected else {
        return Ok(given);
    };
    match expected.rounded() {
        Ok(value) if value == given => Ok(given),
        Ok(value) => Err(format!("expected {value} ({})", expected.formula)),
        Err(reason) => Err(format!("{} {reason}", expected.formula)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PAPER: [&str; 8] = ["2021-04-29", "East", "Paper", "73", "12.95", "945.35", "66.17", "1,011.52"];

    fn rules() -> SaleRules {
        SaleRules::new(&ImportOptions { date_format: None, tax_rate: Decimal::new(7, 2) }).unwrap()
    }

    /// The paper sale with some of its texts replaced.
    fn check(changes: &[(Field, &str)]) -> Result<Sale, Vec<FieldProblem>> {
        let mut text = SaleText::default();
        let paper = Field::ALL.into_iter().zip(PAPER);
        for (field, value) in paper.chain(changes.iter().copied()) {
            text.set(field, value);
        }
        rules().check(&text)
    }

    /// The only problem of the paper sale after one change.
    fn problem(field: Field, value: &str) -> FieldProblem {
        let mut problems = check(&[(field, value)]).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:?}");
        problems.remove(0)
    }

    fn money(text: &str) -> Decimal {
        Decimal::from_str_exact(text).unwrap()
    }

    #[test]
    fn a_complete_sale_is_taken_as_given() {
        let sale = check(&[(Field::Region, "  East ")]).unwrap();
        let expected = Sale {
            date: NaiveDate::from_ymd_opt(2021, 4, 29).unwrap(),
            region: "East".to_owned(),
            product: "Paper".to_owned(),
            qty: 73,
            cost: money("12.95"),
            amt: money("945.35"),
            tax: money("66.17"),
            total: money("1011.52"),
        };
        assert_eq!(sale, expected);
    }

    #[test]
    fn missing_money_is_computed_half_up() {
        let nothing = [(Field::Amt, ""), (Field::Tax, " "), (Field::Total, "")];
        for (qty, amt, tax, total) in [
            ("10", "129.50", "9.07", "138.57"),
            ("-10", "-129.50", "-9.07", "-138.57"),
            ("0", "0.00", "0.00", "0.00"),
        ] {
            let sale = check(&[&nothing[..], &[(Field::Qty, qty)]].concat()).unwrap();
            let computed = (sale.amt.to_string(), sale.tax.to_string(), sale.total.to_string());
            assert_eq!(computed, (amt.to_owned(), tax.to_owned(), total.to_owned()));
        }
    }

    #[test]
    fn given_money_is_checked_and_the_expected_value_told() {
        for (field, value, expected) in [
            (Field::Amt, "945.36", "expected 945.35 (Qty 73 * Cost 12.95)"),
            (Field::Tax, "66.18", "expected 66.17 (0.07 of Amt 945.35, rounded half up)"),
            (Field::Total, "1,011.53", "expected 1011.52 (Amt 945.35 + Tax 66.17)"),
        ] {
            let found = problem(field, value);
            assert_eq!((found.field, found.value.as_str(), found.reason.as_str()), (field, value, expected));
        }
    }

    #[test]
    fn every_required_field_must_be_there() {
        for field in Field::ALL.into_iter().filter(|field| field.is_required()) {
            let found = problem(field, " \t");
            assert_eq!((found.field, found.reason.as_str()), (field, "must not be empty"));
        }
    }

    #[test]
    fn all_problems_of_a_sale_are_told_and_none_twice() {
        let problems =
            check(&[(Field::Date, "yesterday"), (Field::Qty, "abc"), (Field::Tax, "$1")]).unwrap_err();
        let fields: Vec<_> = problems.iter().map(|problem| problem.field).collect();
        assert_eq!(fields, [Field::Date, Field::Qty, Field::Tax]);
    }

    #[test]
    fn a_nul_character_is_a_problem_here_and_not_at_the_server() {
        assert!(problem(Field::Product, "Pa\0per").reason.contains("NUL"));
    }

    #[test]
    fn a_computed_amount_that_no_column_holds_is_a_problem() {
        let huge = [
            (Field::Qty, "2147483647"),
            (Field::Cost, "9999999999.99"),
            (Field::Amt, ""),
            (Field::Tax, ""),
            (Field::Total, ""),
        ];
        let problems = check(&huge).unwrap_err();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].field, Field::Amt);
        assert!(problems[0].reason.contains("more than 12 digits"), "{}", problems[0].reason);
    }

    #[test]
    fn a_tax_rate_that_is_no_fraction_is_refused() {
        for rate in ["7", "-0.07", "0.0700001"] {
            let options = ImportOptions { date_format: None, tax_rate: money(rate) };
            let failure = SaleRules::new(&options).unwrap_err();
            assert_eq!(failure.kind(), Kind::Usage);
            assert!(failure.advice().is_some_and(|advice| advice.contains("0.07")));
        }
        for rate in ["0", "1", "0.07000000000"] {
            assert!(SaleRules::new(&ImportOptions { date_format: None, tax_rate: money(rate) }).is_ok());
        }
    }

    proptest! {
        #[test]
        fn every_sale_that_is_taken_satisfies_the_constraints_of_the_table(
            qty in any::<i32>(), cents in -999_999_999_999_i64..=999_999_999_999, rate in 0_i64..=1_000_000,
        ) {
            let options = ImportOptions { date_format: None, tax_rate: Decimal::new(rate, 6) };
            let (qty, cost) = (qty.to_string(), Decimal::new(cents, 2).to_string());
            let mut text = SaleText::default();
            for (field, value) in [(Field::Date, "2021-04-29"), (Field::Region, "East"), (Field::Product, "Pens")] {
                text.set(field, value);
            }
            text.set(Field::Qty, &qty);
            text.set(Field::Cost, &cost);
            if let Ok(sale) = SaleRules::new(&options).unwrap().check(&text) {
                prop_assert_eq!(sale.amt, Decimal::from(sale.qty) * sale.cost);
                prop_assert_eq!(sale.total, sale.amt + sale.tax);
                prop_assert!((sale.tax - sale.amt * options.tax_rate).abs() <= Decimal::new(5, 3));
                prop_assert!(sale.total.abs() < Decimal::from(10_i64.pow(12)));
                prop_assert!([sale.amt, sale.tax, sale.total].iter().all(|money| money.scale() == 2));
            }
        }
    }
}
