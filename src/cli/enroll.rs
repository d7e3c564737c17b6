//! `salesync enroll`

use std::fmt;
use std::path::{Path, PathBuf};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use chrono::Utc;
use postgres::Client;
use serde::Serialize;
use zeroize::Zeroizing;

use super::args::Enroll;
use super::context::Context;
use super::enrolment::Enrolment;
use super::exit::Exit;
use super::key_file::read_identities;
use super::private_file::{Readers, write_new};
use super::settings::{BranchSettings, Role, Settings};
use crate::broker::branch_definitions;
use crate::domain::{Failure, Identity, Kind, NodeName, PublicKey, Recipient, legible};
use crate::head_office::{expect_again, init_head_office, presented_keys};
use crate::tls::export_authority;

/// What is true of both ways to call it.
#[derive(Debug, Default, Serialize)]
struct Report {
    branch: String,
    /// Where the branch's file is; none if it was printed.
    file: Option<String>,
    /// Where the broker's definitions are.
    definitions: Option<String>,
    /// Head office's key.
    head_office_key_id: Option<String>,
    /// The file whose certificates the branch is to believe at the broker.
    authority: Option<String>,
    /// What its bundles will be encrypted to.
    recipient: Option<String>,
    /// The key that was confirmed.
    key_id: Option<String>,
    /// Whether the branch has shown that key.
    presented: bool,
    note: Option<String>,
}

pub(super) fn run(context: &Context, args: &Enroll) -> Result<Exit, Failure> {
    let settings = context.settings_of(Role::HeadOffice)?;
    let mut client = settings.connect_database("enroll")?;
    init_head_office(&mut client, &settings.node, &[])?;
    // Others wait for the lock of `init`; what they have changed before is read again.
    let settings = context.settings_of(Role::HeadOffice)?;
    match args.confirm {
        Some(key) => context.print(&confirm(&settings, &mut client, &args.branch, key)?)?,
        None => enrol(context, &settings, &mut client, args)?,
    }
    Ok(Exit::Done)
}

/// Puts a key into force.
fn confirm(
    settings: &Settings,
    client: &mut Client,
    branch: &NodeName,
    key: PublicKey,
) -> Result<Report, Failure> {
    let mut known = settings.branch(branch)?;
    let presented = presented_keys(client)?;
    let is_new = known.confirm(key)?;
    if is_new {
        settings.write_branch(branch, &known)?;
    }
    let is_presented = presented.iter().any(|shown| shown.branch == *branch && shown.key == key);
    let unseen = || format!("head office has had no probe of {branch} with it: is it the right key?");
    let note = if is_new { (!is_presented).then(unseen) } else { Some("it was in force already".to_owned()) };
    let key_id = Some(key.id().to_string());
    Ok(Report { branch: branch.to_string(), key_id, presented: is_presented, note, ..Report::default() })
}

/// Writes everything the branch needs.
fn enrol(context: &Context, settings: &Settings, client: &mut Client, args: &Enroll) -> Result<(), Failure> {
    let branch = &args.branch;
    let doing = format!("enrolling {branch}");
    let known = known(settings, args, &doing)?;
    let address = settings.broker_address()?;
    if *branch == settings.node || branch.as_str() == address.user() {
        let why = "head office itself, or its user at the broker, has that name";
        return Err(Failure::new(Kind::Usage, doing, why).hint("give the branch another name"));
    }
    let key = settings.signing_key()?.ok_or_else(|| {
        Failure::new(
            Kind::Configuration,
            doing.clone(),
            "head office has no key, so the branch could not know its answers",
        )
        .hint("name a file as `key` in [signing], and make the key with `salesync keygen`")
    })?;
    let place = args.broker.clone().map_or(Ok(address.clone()), |place| address.clone().at(&place))?;
    let authority = settings.broker_authority();
    let certificates = authority.map(|file| export_authority(file, "ca_file in [broker]")).transpose()?;
    let recipient = recipient(settings)?;
    let password = password()?;
    let files = Files::of(branch, args.out.as_deref());
    files.must_be_new()?;
    prepare(settings, client, branch)?;
    settings.write_branch(branch, &known)?;
    let address = place.for_login(branch.as_str(), &password);
    let enrolment = Enrolment {
        branch,
        head_office: &settings.node,
        address: &address,
        allow_plaintext: settings.allows_plaintext(),
        authority: certificates,
        key: key.public(),
        recipient: recipient.clone(),
    };
    let enrolment = enrolment.to_text();
    write_new(
        "the broker's definitions",
        &files.definitions,
        branch_definitions(address.vhost(), branch, &password)?.as_bytes(),
        Readers::All,
        AGAIN,
    )?;
    let notes = [
        address.is_loopback().then_some(
            "its broker address is this machine's own: for a branch elsewhere name it with --broker HOST",
        ),
        settings.has_broker_certificate().then_some(
            "head office shows the broker a certificate: if the broker wants one of the branch too, add \
             `client_certificate` and `client_key` to its file",
        ),
    ];
    let notes: Vec<_> = notes.into_iter().flatten().collect();
    let report = Report {
        branch: branch.to_string(),
        file: args.out.as_ref().map(|file| file.display().to_string()),
        definitions: Some(files.definitions.display().to_string()),
        head_office_key_id: Some(key.public().id().to_string()),
        authority: authority.map(|file| file.display().to_string()),
        recipient: recipient.map(|recipient| recipient.to_string()),
        note: (!notes.is_empty()).then(|| notes.join("; ")),
        ..Report::default()
    };
    if let Some(file) = &args.out {
        write_new("the enrolment", file, enrolment.as_bytes(), Readers::Owner, AGAIN)?;
        return context.print(&report);
    }
    // What is printed is the branch's file, and nothing else.
    report.to_string().lines().for_each(|line| tracing::warn!("{}", legible(line)));
    Context::write(enrolment.as_bytes())
}

const AGAIN: &str = "name another file, or remove it; `salesync enroll --again` writes everything once more";

/// What head office will know of the branch. A branch that is enrolled is not enrolled by mistake.
fn known(settings: &Settings, args: &Enroll, doing: &str) -> Result<BranchSettings, Failure> {
    let mut known = if settings.branches.contains_key(&args.branch) {
        settings.branch(&args.branch)?
    } else {
        BranchSettings::default()
    };
    if args.again || known.enrolled_at.is_none() {
        known.expect_every = known.expect_every.or(Some(args.expect_every));
        return Ok(known.enrolled(Utc::now()));
    }
    Err(Failure::new(
        Kind::Failed,
        doing,
        format!("it is enrolled, in {}", settings.branch_file(&args.branch).display()),
    )
    .hint("--again writes its file once more, with another password; --confirm KEY puts its key into force"))
}

/// Where everything goes.
struct Files {
    enrolment: Option<PathBuf>,
    definitions: PathBuf,
}

impl Files {
    fn of(branch: &NodeName, out: Option<&Path>) -> Self {
        let beside = out.map(|file| file.with_extension("broker.json"));
        let definitions = beside.unwrap_or_else(|| PathBuf::from(format!("{branch}.broker.json")));
        Self { enrolment: out.map(Path::to_owned), definitions }
    }

    /// Before anything is done.
    fn must_be_new(&self) -> Result<(), Failure> {
        match self.enrolment.iter().chain([&self.definitions]).find(|file| file.exists()) {
            Some(file) => Err(Failure::new(
                Kind::Failed,
                format!("writing {}", file.display()),
                "there is a file already, which is never overwritten",
            )
            .hint(AGAIN)),
            None => Ok(()),
        }
    }
}

/// As `init` does: the branch is known to the database, and has its queues.
fn prepare(settings: &Settings, client: &mut Client, branch: &NodeName) -> Result<(), Failure> {
    init_head_office(client, &settings.node, std::slice::from_ref(branch))?;
    if settings.branches.get(branch).is_none_or(|known| known.left_at.is_some()) {
        expect_again(client, branch)?;
    }
    let mut broker = settings.connect_broker()?;
    broker.declare_topology(&[branch.as_str()])?;
    broker.close();
    Ok(())
}

/// What the branch is to encrypt to, if head office reads what is encrypted: the key that was added last.
fn recipient(settings: &Settings) -> Result<Option<Recipient>, Failure> {
    let Some(file) = settings.identity_file() else { return Ok(None) };
    Ok(read_identities(file)?.last().map(Identity::recipient))
}

/// 256 bits that nobody can guess, as they stand in a URL.
fn password() -> Result<Zeroizing<String>, Failure> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(bytes.as_mut_slice())
        .map_err(|error| Failure::new(Kind::Failed, "making a password", error))?;
    Ok(Zeroizing::new(Base64UrlUnpadded::encode_string(bytes.as_slice())))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branch = &self.branch;
        if let Some(key) = &self.key_id {
            writeln!(f, "{branch}: what key {key} signs is taken as its own")?;
        } else {
            let file = self.file.as_deref().unwrap_or("FILE");
            writeln!(f, "{branch} is enrolled: from now on nothing of it is taken that is not signed")?;
            writeln!(f, "  its file:     {file} (it has a password: hand it over by a way that you trust)")?;
            if let Some(definitions) = &self.definitions {
                writeln!(f, "  at the broker: rabbitmqctl import_definitions < {definitions}")?;
            }
            writeln!(f, "  at {branch}: salesync join {file} --dir /etc/salesync --database URL")?;
            if let Some(id) = &self.head_office_key_id {
                writeln!(f, "  head office's key has the id {id}")?;
            }
            if let Some(file) = &self.authority {
                writeln!(f, "  at the broker it will believe the authority in {file} only")?;
            }
            if let Some(recipient) = &self.recipient {
                writeln!(f, "  its bundles will be encrypted to {recipient}")?;
            }
        }
        self.note.iter().try_for_each(|note| writeln!(f, "  note: {note}"))
    }
}
