//! A node of the demo's company: what is typed there is shown, done and judged.

use std::fs::{self, DirBuilder, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use postgres::{Client, SimpleQueryMessage};

use super::story::Story;
use super::table::{SHOWN_ROWS, Table};
use crate::archive::find_bundles;
use crate::database::{connect, database_failure};
use crate::domain::{Failure, Kind};
use crate::sandbox::PostgresServer;

/// The configuration file in the node's folder.
const CONFIGURATION: &str = "salesync.toml";

/// The database that a server always has.
const MAINTENANCE: &str = "postgres";

/// A head office or a branch: its own folder, its own `PostgreSQL` server.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) server: PostgresServer,
    pub(super) database: String,
    /// The `salesync` program.
    pub(super) program: PathBuf,
}

impl Node {
    /// The URL of its database.
    pub(super) fn url(&self) -> String {
        self.server.url(&self.database)
    }

    /// Makes its folder. The broker's administrator, who may be another user, may pass through it.
    pub(super) fn make_folder(&self) -> Result<(), Failure> {
        let made = DirBuilder::new().create(&self.folder);
        made.and_then(|()| fs::set_permissions(&self.folder, Permissions::from_mode(0o711)))
            .map_err(|error| Failure::file("making", &self.folder, &error))
    }

    /// Writes the configuration file. `sections` are added to what every node has.
    pub(super) fn configure(&self, role: &str, broker: &str, sections: &str) -> Result<(), Failure> {
        let text = format!(
            "node = \"{}\"\nrole = \"{role}\"\n\n[database]\nurl = \"{}\"\n\n[broker]\nurl = \"{broker}\"\n\n{sections}",
            self.name,
            self.url(),
        );
        let file = self.folder.join(CONFIGURATION);
        fs::write(&file, text).map_err(|error| Failure::file("writing", &file, &error))
    }

    /// Types `cat file`, or `head -n lines file` if the file has more lines.
    pub(super) fn show_file(&self, story: &Story, file: &str, lines: usize) -> Result<(), Failure> {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).map_err(|error| Failure::file("reading", &path, &error))?;
        let command = match text.lines().nth(lines) {
            None => format!("cat {file}"),
            Some(_) => format!("head -n {lines} {file}"),
        };
        story.typed(&self.shell_prompt(), &command)?;
        story.answered(text.lines().take(lines).collect::<Vec<_>>().join("\n"))
    }

    /// Types `salesync …`: the real program, in the node's folder, with nothing of our environment.
    pub(super) fn salesync(&self, story: &Story, arguments: &[&str]) -> Result<Ran, Failure> {
        let line = format!("salesync {}", arguments.join(" "));
        story.typed(&self.shell_prompt(), &line)?;
        let mut command = Command::new(&self.program);
        command.args(arguments).current_dir(&self.folder).env_clear().env("HOME", &self.folder);
        let done = command.stdin(Stdio::null()).output();
        let step = format!("{} {line}", self.shell_prompt());
        let output = done.map_err(|error| Failure::new(Kind::Failed, format!("running `{step}`"), error))?;
        let ran = Ran { step, output };
        story.answered(ran.printed())?;
        match ran.output.status.code() {
            Some(0) => Ok(ran),
            _ => story.answered(format!("({})", ran.output.status)).map(|()| ran),
        }
    }

    /// The newest bundle in the archive of a branch, as it is called in the node's folder.
    pub(super) fn last_bundle(&self) -> Result<String, Failure> {
        let bundles = find_bundles(&self.folder.join("bundles"))?;
        let last = bundles.last().and_then(|path| path.strip_prefix(&self.folder).ok());
        last.map(|path| path.display().to_string()).ok_or_else(|| {
            Failure::new(Kind::Failed, format!("looking for the bundles of {}", self.name), "there are none")
        })
    }

    /// Types a query and shows the first of its rows.
    pub(super) fn query(&self, story: &Story, query: &str) -> Result<(), Failure> {
        story.typed(&self.sql_prompt(), &format!("{query};"))?;
        let mut client = self.client(&self.database)?;
        let failed = |error: postgres::Error| self.sql_failure(query, &error);
        let first = format!("SELECT * FROM ({query}) AS asked LIMIT {SHOWN_ROWS}");
        let mut table = Table::of_answer(&client.simple_query(&first).map_err(failed)?);
        if table.rows.len() == SHOWN_ROWS {
            let count = format!("SELECT count(*) FROM ({query}) AS asked");
            let count: i64 = client.query_one(&count, &[]).map_err(failed)?.get(0);
            table.more = u64::try_from(count).unwrap_or(0).saturating_sub(SHOWN_ROWS as u64);
        }
        story.answered(table)
    }

    /// Types a statement that must change exactly one row and return it, and shows the row.
    pub(super) fn change_one_row(&self, story: &Story, statement: &str) -> Result<(), Failure> {
        story.typed(&self.sql_prompt(), &format!("{statement};"))?;
        let answer = self.client(&self.database)?.simple_query(statement);
        let answer = answer.map_err(|error| self.sql_failure(statement, &error))?;
        story.answered(Table::of_answer(&answer))?;
        let counts = answer.iter().map(|message| match message {
            SimpleQueryMessage::CommandComplete(count) => *count,
            _ => 0,
        });
        match counts.sum() {
            1 => Ok(()),
            count => Err(Failure::new(
                Kind::Failed,
                format!("running `{} {statement}`", self.sql_prompt()),
                format!("it changed {count} rows instead of one"),
            )),
        }
    }

    /// Types a statement about the database itself, at the server's maintenance database.
    pub(super) fn administer(&self, story: &Story, statement: &str) -> Result<(), Failure> {
        story.typed(&format!("{MAINTENANCE}@{}#", self.name), &format!("{statement};"))?;
        let done = self.client(MAINTENANCE)?.batch_execute(statement);
        done.map_err(|error| self.sql_failure(statement, &error))
    }

    /// The texts of the one row of a query that is not shown.
    pub(super) fn texts<const N: usize>(&self, query: &str) -> Result<[String; N], Failure> {
        let answer = self.client(&self.database)?.simple_query(query);
        let answer = answer.map_err(|error| self.sql_failure(query, &error))?;
        let row = Table::of_answer(&answer).rows.into_iter().next().unwrap_or_default();
        row.try_into().map_err(|row| {
            let why = format!("it answered {row:?}, not {N} values");
            Failure::new(Kind::Failed, format!("running `{} {query}`", self.sql_prompt()), why)
        })
    }

    fn client(&self, database: &str) -> Result<Client, Failure> {
        connect(&self.server.url(database).parse()?, "salesync demo")
    }

    fn sql_failure(&self, statement: &str, error: &postgres::Error) -> Failure {
        database_failure(format!("running `{} {statement}`", self.sql_prompt()), error)
    }

    fn shell_prompt(&self) -> String {
        format!("{}$", self.name)
    }

    fn sql_prompt(&self) -> String {
        format!("{}#", self.name)
    }
}

/// A `salesync` command that has ended.
#[derive(Debug)]
pub(super) struct Ran {
    step: String,
    output: Output,
}

impl Ran {
    /// It must have ended with this exit status, and without a complaint if that is 0.
    pub(super) fn exits(self, status: i32) -> Result<Self, Failure> {
        if status == 0 && !self.output.stderr.is_empty() {
            return Err(self.failure("it complained"));
        }
        if self.output.status.code() == Some(status) {
            return Ok(self);
        }
        Err(self.failure(&format!("it ended with {}, not with status {status}", self.output.status)))
    }

    /// It must have printed these words.
    pub(super) fn says(self, words: &str) -> Result<Self, Failure> {
        if self.printed().contains(words) {
            return Ok(self);
        }
        Err(self.failure(&format!("it did not say {words:?}")))
    }

    /// What it has printed and said.
    pub(super) fn printed(&self) -> String {
        let [stdout, stderr] = [&self.output.stdout, &self.output.stderr].map(|b| String::from_utf8_lossy(b));
        format!("{stdout}{stderr}")
    }

    fn failure(&self, why: &str) -> Failure {
        let why = format!("{why}; it printed:\n{}", self.printed().trim_end());
        Failure::new(Kind::Failed, format!("running `{}`", self.step), why)
    }
}
