//! One life of a company: rounds of chance, each ending in rest.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use fastrand::Rng;
use postgres::Client;
use salesync::sandbox::{BrokerServer, PostgresServer};

use super::writes::{TABLES, write};
use crate::company::Company;
use crate::halted::Reached;
use crate::line::{BOTH_WAYS, Break, Line};

const ROUNDS: u32 = 3;
const ACTIONS: u32 = 24;
/// No command comes to many more steps.
const STEPS: u32 = 30;
const OPTIONS: &str = "[bundle]\nmax_bytes = \"64 KiB\"\n[[table]]\nname = \"public.sales\"\nday = \"date\"\n\
                       [[table]]\nname = \"public.shop\"\n[[table]]\nname = \"public.visit\"\n";

/// The broker of a life.
pub(super) enum Broker<'a> {
    /// One that others need too, by its URL.
    Shared(String),
    /// One that may be killed.
    Own { server: &'a mut BrokerServer, vhost: String },
}

pub(super) struct Life<'a> {
    seed: u64,
    rng: Rng,
    company: Company,
    line: Line,
    postgres: &'a mut PostgresServer,
    broker: Broker<'a>,
    /// A transaction of the application at a branch that goes on and on.
    open: Option<Client>,
}

/// What befalls a command.
#[derive(Debug, Clone, Copy)]
enum Mishap {
    None,
    Killed,
    DatabaseKilled,
    BrokerKilled,
    LineBroken(Break),
}

impl<'a> Life<'a> {
    pub(super) fn begin(seed: u64, postgres: &'a mut PostgresServer, broker: Broker<'a>) -> Self {
        println!("SALESYNC_SEED={seed}");
        let url = match &broker {
            Broker::Shared(url) => url.clone(),
            Broker::Own { server, vhost } => server.url(vhost),
        };
        let line = Line::to(&url);
        let number = std::cell::Cell::new(0);
        let database = || {
            let name = format!("life_{seed}_{}", number.replace(number.get() + 1));
            postgres.create_database(&name).unwrap();
            postgres.url(&name)
        };
        let company = Company::on(line.url().to_owned(), database, &["east", "west"], OPTIONS);
        company.head_office.run(&["init"]).ok();
        for branch in &company.branches {
            branch.sql(TABLES);
            branch.run(&["init", "--with-sales"]).ok();
        }
        company.heal();
        if let Broker::Own { server, .. } = &broker {
            server.record_queues().unwrap();
        }
        Self { seed, rng: Rng::with_seed(seed), company, line, postgres, broker, open: None }
    }

    /// Rounds of chance. A failure says how to repeat it.
    pub(super) fn live(mut self) {
        let lived = catch_unwind(AssertUnwindSafe(|| {
            for _ in 0..ROUNDS {
                (0..ACTIONS).for_each(|_| self.act());
                self.open = None;
                self.company.heal();
                self.company.assert_whole();
            }
        }));
        if let Err(failure) = lived {
            eprintln!("repeat this life with SALESYNC_SEED={}", self.seed);
            resume_unwind(failure);
        }
    }

    fn act(&mut self) {
        let branch = self.rng.usize(..self.company.branches.len());
        match self.rng.u8(..100) {
            0..40 => {
                let said = write(&mut self.rng, &self.company.branches[branch]);
                println!("{}: {said}", self.company.branches[branch].name);
            }
            40..46 => self.begin_or_end_transaction(branch),
            46..75 => {
                let arguments = self.branch_command(branch);
                self.run(Some(branch), &arguments);
            }
            _ => {
                let arguments = self.head_office_command(branch);
                self.run(None, &arguments);
            }
        }
    }

    /// Rows that no cut sees before the end of their transaction.
    fn begin_or_end_transaction(&mut self, branch: usize) {
        println!("{}: a long transaction begins or ends", self.company.branches[branch].name);
        if let Some(mut client) = self.open.take() {
            return client.batch_execute("COMMIT").unwrap();
        }
        let mut client = self.company.branches[branch].client();
        let statements =
            "BEGIN; INSERT INTO public.shop SELECT least(min(id), 0) - 1, 'late' FROM public.shop";
        client.batch_execute(statements).unwrap();
        self.open = Some(client);
    }

    fn branch_command(&mut self, branch: usize) -> Vec<String> {
        let node = &self.company.branches[branch];
        let last: u64 = node.value("SELECT last_sequence FROM salesync.node").parse().unwrap();
        let number = self.rng.u64(1..=last.max(1)).to_string();
        let words = match self.rng.u8(..100) {
            0..50 => vec!["bundle"],
            50..70 => vec!["bundle", "--offline"],
            70..78 if last > 0 => vec!["bundle", "--since", &number],
            78..83 => vec!["bundle", "--since", "all"],
            83..95 if last > 0 => vec!["resend", &number],
            _ => vec!["status", "--json"],
        };
        words.into_iter().map(str::to_owned).collect()
    }

    fn head_office_command(&mut self, branch: usize) -> Vec<String> {
        let mut words = match self.rng.u8(..100) {
            0..60 => return vec!["apply".to_owned()],
            60..70 => return vec!["replay".to_owned(), "bundles".to_owned()],
            70..75 => return vec!["status".to_owned(), "--json".to_owned()],
            75..80 => vec!["apply".to_owned(), "--check".to_owned()],
            _ => vec!["apply".to_owned()],
        };
        // By stick, in any order: what is recorded, since nothing else is let out of the house.
        let node = &self.company.branches[branch];
        let recorded = node.column(
            "SELECT n.name || '/' || b.epoch || '/' || to_char(sequence, 'FM0000000000') || '.bundle'
             FROM salesync.bundle b, salesync.node n ORDER BY sealed_at DESC, sequence DESC LIMIT 8",
        );
        let mut files: Vec<String> = recorded.into_iter().filter(|_| self.rng.bool()).collect();
        self.rng.shuffle(&mut files);
        let archive = node.folder.join("bundles");
        words.extend(files.iter().map(|file| archive.join(file).to_str().unwrap().to_owned()));
        if words.last().is_some_and(|last| last == "--check") {
            words.pop();
        }
        words
    }

    fn mishap(&mut self) -> Mishap {
        match self.rng.u8(..100) {
            0..40 => Mishap::None,
            40..72 => Mishap::Killed,
            72..82 => Mishap::DatabaseKilled,
            82..90 => Mishap::LineBroken(Break::HangUp),
            90..98 => Mishap::LineBroken(Break::Reset),
            _ if matches!(self.broker, Broker::Own { .. }) => Mishap::BrokerKilled,
            _ => Mishap::None,
        }
    }

    /// Runs a command at a branch or at head office, with a mishap of chance.
    fn run(&mut self, branch: Option<usize>, arguments: &[String]) {
        let mishap = self.mishap();
        let at = format!("#{}", self.rng.u32(1..=STEPS));
        let byte_count = self.rng.u64(..60_000);
        let node = branch.map_or(&self.company.head_office, |branch| &self.company.branches[branch]);
        println!("{}: {} {mishap:?} {at} {byte_count}", node.name, arguments.join(" "));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match mishap {
            // 2: the log has forgotten what `--since N` asks for.
            Mishap::None => drop(node.run(&arguments).exits_with_any(&[0, 2, 3])),
            Mishap::LineBroken(then) => {
                self.line.breaks_after(byte_count, BOTH_WAYS, then);
                node.run(&arguments).exits_with_any(&[0, 2, 3, 69, 75]);
                self.line.is_repaired();
            }
            Mishap::Killed | Mishap::DatabaseKilled | Mishap::BrokerKilled => {
                let halted = match node.run_until(&arguments, &at) {
                    Reached::End(run) => return drop(run.exits_with_any(&[0, 2, 3])),
                    Reached::Halt(halted) => halted,
                };
                println!("after {}", halted.step);
                match (mishap, &mut self.broker) {
                    (Mishap::DatabaseKilled, _) => {
                        self.open = None;
                        self.postgres.stop_immediately();
                        halted.go_on().exits_with_any(&[0, 3, 69, 75]);
                        self.postgres.start_again().unwrap();
                    }
                    (Mishap::BrokerKilled, Broker::Own { server, .. }) => {
                        server.kill();
                        halted.go_on().exits_with_any(&[0, 3, 69, 75]);
                        server.start_again().unwrap();
                    }
                    _ => halted.kill(),
                }
            }
        }
    }
}
