//! `salesync replay --into-branch`

use std::fmt;

use serde::Serialize;

use super::args::Replay;
use super::context::Context;
use super::exit::Exit;
use super::settings::Role;
use crate::branch::{Counter, RebuildOptions, Rebuilt, RebuiltTable, rebuild};
use crate::domain::{Count, Failure};

#[derive(Debug, Serialize)]
struct Report {
    branch: String,
    from_epoch: String,
    last_sequence: u64,
    at_cut: bool,
    epoch: String,
    tables: Vec<TableLine>,
}

#[derive(Debug, Serialize)]
struct TableLine {
    table: String,
    rows: u64,
    created: bool,
    counters: Vec<CounterLine>,
}

#[derive(Debug, Serialize)]
struct CounterLine {
    column: String,
    last_value: Option<i64>,
}

pub(super) fn run(context: &Context, args: &Replay) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::Branch)?;
    let mut client = settings.connect_database("replay")?;
    let options = RebuildOptions { folder: &args.folder, to: args.to, tables: &settings.tables };
    let rebuilt = rebuild(&mut client, &settings.node, &settings.archive, &options)?;
    context.print(&Report::new(settings.node.to_string(), rebuilt))?;
    Ok(Exit::Done)
}

impl Report {
    fn new(branch: String, rebuilt: Rebuilt) -> Self {
        Self {
            branch,
            from_epoch: rebuilt.from_epoch.to_string(),
            last_sequence: rebuilt.last_sequence.get(),
            at_cut: rebuilt.is_at_cut,
            epoch: rebuilt.epoch.to_string(),
            tables: rebuilt.tables.into_iter().map(TableLine::from).collect(),
        }
    }
}

impl From<RebuiltTable> for TableLine {
    fn from(table: RebuiltTable) -> Self {
        let line = |counter: Counter| CounterLine { column: counter.column, last_value: counter.last_value };
        Self {
            table: table.name.to_string(),
            rows: table.rows,
            created: table.was_created,
            counters: table.counters.into_iter().map(line).collect(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: rebuilt from the bundles 1 to {} of the epoch {}",
            self.branch, self.last_sequence, self.from_epoch
        )?;
        if !self.at_cut {
            writeln!(f, "  the last of them is not the last part of its cut; what followed it is not here")?;
        }
        for TableLine { table, rows, created, counters } in &self.tables {
            write!(f, "  {table}: {}", Count(*rows, "row"))?;
            for CounterLine { column, last_value } in counters {
                match last_value {
                    Some(value) => write!(f, ", {column} counts on from {value}")?,
                    None => write!(f, ", {column} counts from the beginning")?,
                }
            }
            if *created {
                write!(f, "; the table was made with columns, types and key only")?;
            }
            writeln!(f)?;
        }
        writeln!(
            f,
            "  the next `salesync bundle` begins a new epoch and makes head office equal to this database"
        )
    }
}
