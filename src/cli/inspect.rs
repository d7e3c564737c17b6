//! `salesync inspect`

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

use super::args::Inspect;
use super::context::Context;
use super::exit::Exit;
use crate::archive::open_bundle;
use crate::bundle::PourError;
use crate::domain::{Count, Failure, Kind, Manifest};

#[derive(Debug, Serialize)]
struct Report {
    file: String,
    bytes: u64,
    manifest_sha256: String,
    is_encrypted: bool,
    is_signed: bool,
    key_id: Option<String>,
    manifest: Manifest,
    #[serde(skip_serializing_if = "Option::is_none")]
    rows: Option<Vec<MemberRows>>,
}

#[derive(Debug, Serialize)]
struct MemberRows {
    member: String,
    csv: String,
}

pub(super) fn run(context: &Context, args: &Inspect) -> Result<Exit, Failure> {
    let identities = context.identities(args.reading.identity.as_deref())?;
    let mut bundle = open_bundle(&args.file, &identities)?;
    let manifest = bundle.manifest().clone();
    let mut rows = args.rows.then(Vec::new);
    if let Some(rows) = &mut rows {
        for table in &manifest.tables {
            for member in &table.members {
                let mut csv = Vec::new();
                bundle.pour(table, member, &mut csv).map_err(|error| refused(args, &error))?;
                let csv = String::from_utf8_lossy(&csv).into_owned();
                rows.push(MemberRows { member: member.name.clone(), csv });
            }
        }
    }
    context.print(&Report {
        file: args.file.display().to_string(),
        bytes: bundle.size(),
        manifest_sha256: bundle.manifest_sha256().to_string(),
        is_encrypted: bundle.is_encrypted(),
        is_signed: bundle.signature().is_some(),
        key_id: bundle.signature().map(|signature| signature.key().to_string()),
        manifest,
        rows,
    })?;
    Ok(Exit::Done)
}

fn refused(args: &Inspect, error: &PourError) -> Failure {
    let kind = if matches!(error, PourError::Defect(_)) { Kind::Damaged } else { Kind::Failed };
    Failure::new(kind, format!("reading the rows of {}", args.file.display()), error)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Manifest { branch, sequence, epoch, bundle_id, cut, created_at, tool, .. } = &self.manifest;
        writeln!(f, "{}: bundle {sequence} of {branch}, {} bytes", self.file, self.bytes)?;
        writeln!(f, "  id        {bundle_id}\n  epoch     {epoch}\n  manifest  {}", self.manifest_sha256)?;
        let previous =
            self.manifest.previous.map_or_else(|| "none, it is the first".to_owned(), |p| p.to_string());
        writeln!(f, "  follows   {previous}")?;
        match &self.key_id {
            Some(key) => writeln!(f, "  signed    with key {key}, not checked")?,
            None => writeln!(f, "  signed    not")?,
        }
        if self.is_encrypted {
            writeln!(f, "  encrypted yes, as a whole")?;
        }
        let last = if cut.last { ", the last" } else { "" };
        let time = |at: &DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Secs, true);
        writeln!(f, "  cut       {}, part {}{last}, taken {}", cut.watermark, cut.part, time(&cut.taken_at))?;
        writeln!(f, "  sealed    {} by {tool}", time(created_at))?;
        for table in &self.manifest.tables {
            writeln!(f, "  table {}, {}", table.name, table.mode.as_str())?;
            for member in &table.members {
                let rows = Count(member.rows, "row");
                write!(f, "    {}: {rows}, {} bytes", member.kind.as_str(), member.bytes)?;
                for (column, total) in &member.totals {
                    write!(f, ", {column} {}", total.sum)?;
                }
                writeln!(f)?;
            }
        }
        for MemberRows { member, csv } in self.rows.iter().flatten() {
            write!(f, "{member}\n{csv}")?;
        }
        Ok(())
    }
}
