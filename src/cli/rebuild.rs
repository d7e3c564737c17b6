//! `salesync replay --into-branch`

use std::fmt;

use serde::Serialize;

use super::args::Replay;
use super::context::Context;
use super::exit::Exit;
use super::key_file::read_key;
use super::named_keys::NamedKeys;
use super::settings::{Role, Settings};
use crate::branch::{Counter, RebuildOptions, Rebuilt, RebuiltTable, rebuild};
use crate::domain::{Count, Failure, KeyRing, Kind};

#[derive(Debug, Serialize)]
struct Report {
    branch: String,
    from_epoch: String,
    last_sequence: u64,
    at_cut: bool,
    epoch: String,
    /// The key that has signed the last bundle; none if nothing had to be signed.
    key_id: Option<String>,
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
    let keys = keys(&settings, args)?;
    if keys.is_empty() {
        tracing::warn!(
            "this branch has no key and none is named, so nothing proves that the bundles are its own"
        );
    }
    let options = RebuildOptions { folder: &args.folder, to: args.to, tables: &settings.tables, keys: &keys };
    let rebuilt = rebuild(&mut client, &settings.node, &settings.archive, &options)?;
    context.print(&Report::new(settings.node.to_string(), rebuilt))?;
    Ok(Exit::Done)
}

/// The branch's own key, and those that are named: a new machine may have another key than the one that was lost.
fn keys(settings: &Settings, args: &Replay) -> Result<KeyRing, Failure> {
    const DOING: &str = "looking for the branch's key";
    const NAME_IT: &str =
        "name its public key with --key: head office has it in its configuration, or in branches.d";
    let named = NamedKeys::of(&args.keys)?
        .ring_of(&settings.node)
        .map_err(|why| Failure::new(Kind::Usage, DOING, why).hint(NAME_IT))?;
    let own = match settings.signing_key_file() {
        Some(file) if file.exists() => Some(read_key(file)?.public()),
        Some(file) if named.is_none() => {
            let why = format!("there is no {}, which it signs with", file.display());
            return Err(Failure::new(Kind::Configuration, DOING, why).hint(NAME_IT));
        }
        None if named.is_none() && !settings.head_office.is_empty() => {
            let why = "head office signs, as [head_office] says, and nothing says what the branch signs with";
            return Err(Failure::new(Kind::Configuration, DOING, why).hint(NAME_IT));
        }
        _ => None,
    };
    let named = named.unwrap_or_default();
    Ok(KeyRing::of(own.into_iter().chain(named.keys().iter().map(|trusted| trusted.key))))
}

impl Report {
    fn new(branch: String, rebuilt: Rebuilt) -> Self {
        Self {
            branch,
            from_epoch: rebuilt.from_epoch.to_string(),
            last_sequence: rebuilt.last_sequence.get(),
            at_cut: rebuilt.is_at_cut,
            epoch: rebuilt.epoch.to_string(),
            key_id: rebuilt.proven_by.map(|key| key.to_string()),
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
        if let Some(key) = &self.key_id {
            writeln!(f, "  the last of them is signed with key {key}, and vouches for all before it")?;
        }
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
