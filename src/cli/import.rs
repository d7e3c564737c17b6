//! `salesync import`

use std::fmt;
use std::fs::File;
use std::io;

use rust_decimal::Decimal;
use serde::Serialize;

use super::args::Import;
use super::context::Context;
use super::exit::Exit;
use super::settings::Role;
use crate::branch::import::{ImportOptions, ImportOutcome, Problem, import};
use crate::domain::{Count, Failure, Kind};

#[derive(Debug, Serialize)]
struct Report {
    rows: u64,
    total: String,
    problems: Vec<BadField>,
    more_problems: u64,
}

#[derive(Debug, Serialize)]
struct BadField {
    line: u64,
    column: Option<String>,
    value: String,
    reason: String,
    #[serde(skip)]
    shown: String,
}

pub(super) fn run(context: &Context, args: Import) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let options =
        ImportOptions { date_format: args.date_format, tax_rate: args.tax_rate.unwrap_or(settings.tax_rate) };
    let mut client = settings.connect_database("import")?;
    let outcome = if args.file.as_os_str() == "-" {
        import(&mut client, io::stdin().lock(), &options)?
    } else {
        let file = File::open(&args.file).map_err(|error| Failure::file("opening", &args.file, &error))?;
        import(&mut client, file, &options)?
    };
    let (report, refused) = match outcome {
        ImportOutcome::Loaded { row_count, total } => (loaded(row_count, total), None),
        ImportOutcome::Refused { problems, more } => {
            let count = problems.len() as u64 + more;
            (refused(problems, more), Some(count))
        }
    };
    context.print(&report)?;
    match refused {
        None => Ok(Exit::Done),
        Some(count) => {
            let doing = format!("importing {}", args.file.display());
            Err(Failure::new(Kind::Failed, doing, format!("{count} problems, so nothing was imported"))
                .hint(
                "correct the lines listed and import the whole file again; --date-format and --tax-rate declare other dates \
                 and another tax",
            ))
        }
    }
}

fn loaded(rows: u64, total: Decimal) -> Report {
    Report { rows, total: total.to_string(), problems: Vec::new(), more_problems: 0 }
}

fn refused(problems: Vec<Problem>, more_problems: u64) -> Report {
    let bad_field = |problem: Problem| BadField {
        shown: problem.to_string(),
        line: problem.line,
        column: problem.column,
        value: problem.value,
        reason: problem.reason,
    };
    Report {
        rows: 0,
        total: "0".to_owned(),
        problems: problems.into_iter().map(bad_field).collect(),
        more_problems,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.problems {
            writeln!(f, "{}", problem.shown)?;
        }
        if self.more_problems > 0 {
            writeln!(f, "… and {} more", self.more_problems)?;
        }
        if self.problems.is_empty() {
            writeln!(f, "imported {}, total {}", Count(self.rows, "sale"), self.total)?;
        }
        Ok(())
    }
}
