//! `salesync join`: a branch gets its configuration and its key, and everything is tried once.

mod configuration;
mod steps;

use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use postgres::Client;
use serde::Serialize;

use self::steps::{Step, Steps};
use super::args::Join;
use super::context::Context;
use super::exit::Exit;
use super::key_file::{read_key, write_key};
use super::settings::Settings;
use crate::branch::{Node, Settled, create_sales, init_branch, send_probe, settle};
use crate::broker::Broker;
use crate::domain::{Failure, KeyStanding, Kind, Probe, ProbeAnswer, SigningKey};

/// How often to look for the answer.
const LOOK: Duration = Duration::from_millis(100);

const NO_ANSWER: &str =
    "head office's `apply` is not running, or does not know this branch; `salesync join` may be run again";
const STRANGER: &str =
    "compare the id of head office's key by telephone, and correct `public_key` in [head_office]";

#[derive(Debug, Default, Serialize)]
struct Report {
    node: Option<String>,
    steps: Vec<Step>,
    key_id: Option<String>,
    public_key: Option<String>,
    /// How head office holds the key; none if it has not answered.
    standing: Option<KeyStanding>,
    /// What head office has to run.
    confirm: Option<String>,
}

pub(super) fn run(context: &Context, args: &Join) -> Result<Exit, Failure> {
    let (mut steps, mut report) = (Steps::of(context), Report::default());
    let outcome = join(context, args, &mut steps, &mut report);
    report.steps = steps.done();
    context.print(&report)?;
    outcome.map(|()| Exit::Done)
}

fn join(context: &Context, args: &Join, steps: &mut Steps<'_>, report: &mut Report) -> Result<(), Failure> {
    let settings = steps.take("configuration", || configuration::settings(context, args))?;
    report.node = Some(settings.node.to_string());
    let key = steps.take("key", || key(&settings))?;
    let public = key.public();
    report.key_id = Some(public.id().to_string());
    report.public_key = Some(public.to_string());
    report.confirm = Some(format!("salesync enroll {} --confirm {public}", settings.node));
    let database = steps.take("database", || database(&settings));
    let captured = database.and_then(|mut client| {
        steps.take("capture", || capture(&settings, &mut client, args.with_sales))?;
        Ok(client)
    });
    // Whatever there is about the database, the broker is tried as well.
    let broker = steps.take("broker", || broker(&settings));
    let (mut client, mut broker) = (captured?, broker?);
    let probe = steps.take("publishing", || publishing(&settings, &mut broker, &key))?;
    let mut found = steps.take("receipts", || receipts(&settings, &mut client, &mut broker))?;
    let answer = steps.take("head office", || {
        let answer = await_answer(&settings, (&mut client, &mut broker), &probe, &mut found, args.wait)?;
        Ok((answer.clone(), told(&answer)))
    })?;
    report.standing = Some(answer.standing);
    broker.close();
    Ok(())
}

/// The key, made if it is not there yet.
fn key(settings: &Settings) -> Result<(SigningKey, String), Failure> {
    let file = settings.signing_key_file().ok_or_else(|| {
        Failure::new(Kind::Configuration, "looking for the key", "the configuration names no file for it")
            .hint("name one as `key` in the section [signing]: key = \"signing.key\"")
    })?;
    let is_there = file.exists();
    if !is_there {
        write_key(file, &SigningKey::generate()?)?;
    }
    let key = read_key(file)?;
    let word = if is_there { "is there" } else { "made" };
    let told = format!("{} {word}, id {}", file.display(), key.public().id());
    Ok((key, told))
}

fn database(settings: &Settings) -> Result<(Client, String), Failure> {
    Ok((settings.connect_database("join")?, "answers".to_owned()))
}

/// What `init` does.
fn capture(settings: &Settings, client: &mut Client, with_sales: bool) -> Result<((), String), Failure> {
    let created = with_sales && create_sales(client)?;
    let done = init_branch(client, &settings.node, &settings.tables)?;
    let tables: Vec<_> = done.tracked.iter().chain(&done.unchanged).map(ToString::to_string).collect();
    if tables.is_empty() {
        let why = "no tables are configured";
        return Err(Failure::new(Kind::Configuration, "installing capture", why)
            .hint("name them in the configuration: tables = [\"public.sales\"]"));
    }
    let made = if created { "public.sales made; " } else { "" };
    Ok(((), format!("{made}changes of {} are captured", tables.join(", "))))
}

/// The broker vouches for the login, and head office believes nobody else's.
fn broker(settings: &Settings) -> Result<(Broker, String), Failure> {
    let broker = settings.connect_broker()?;
    if broker.user() != settings.node.as_str() {
        let why = format!(
            "the login is {}, and head office takes bundles of {} from its own only",
            broker.user(),
            settings.node
        );
        return Err(Failure::new(Kind::Configuration, "looking at the broker's URL", why)
            .hint("use the URL that `salesync enroll` has written"));
    }
    let told = format!("logged in as {}", broker.user());
    Ok((broker, told))
}

fn publishing(
    settings: &Settings,
    broker: &mut Broker,
    key: &SigningKey,
) -> Result<(Probe, String), Failure> {
    let probe = send_probe(broker, &settings.node, key)?;
    Ok((probe, "a signed probe is in its queue".to_owned()))
}

fn receipts(
    settings: &Settings,
    client: &mut Client,
    broker: &mut Broker,
) -> Result<(Settled, String), Failure> {
    let node = Node::load(client, &settings.node, &settings.archive)?;
    let settled = settle(client, broker, &node, &settings.head_office)?;
    Ok((settled, "may be read".to_owned()))
}

/// Waits for the answer to this probe. Answers to earlier ones say nothing new.
fn await_answer(
    settings: &Settings,
    (client, broker): (&mut Client, &mut Broker),
    probe: &Probe,
    found: &mut Settled,
    wait: Duration,
) -> Result<ProbeAnswer, Failure> {
    let doing = "asking head office";
    let end = Instant::now() + wait;
    loop {
        if let Some(answer) = found.answers.iter().find(|answer| answer.nonce == probe.nonce) {
            return Ok(answer.clone());
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        thread::sleep(LOOK.min(left));
        let node = Node::load(client, &settings.node, &settings.archive)?;
        let more = settle(client, broker, &node, &settings.head_office)?;
        found.refused += more.refused;
        found.answers.extend(more.answers);
    }
    if found.refused > 0 {
        return Err(Failure::new(
            Kind::NeedsPerson,
            doing,
            "what has answered is not proven to be head office",
        )
        .hint(STRANGER));
    }
    let why = format!("no answer within {}", humantime::format_duration(wait));
    Err(Failure::new(Kind::Postponed, doing, why).hint(NO_ANSWER))
}

fn told(answer: &ProbeAnswer) -> String {
    let key = match answer.standing {
        KeyStanding::Confirmed => "believes this key",
        KeyStanding::Waiting => "has seen this key, and waits for somebody to confirm it",
        KeyStanding::Revoked => "has revoked this key: make another, and name its file in [signing]",
    };
    format!("has answered, proven by its key; it {key}")
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(node), Some(confirm), Some(id)) = (&self.node, &self.confirm, &self.key_id) else {
            return Ok(());
        };
        match self.standing {
            None | Some(KeyStanding::Revoked) => Ok(()),
            Some(KeyStanding::Confirmed) => {
                writeln!(f, "{node} has joined: `salesync bundle` brings its sales to head office")
            }
            Some(KeyStanding::Waiting) => {
                writeln!(f, "at head office, once the id {id} was compared by telephone:")?;
                writeln!(f, "  {confirm}")
            }
        }
    }
}
