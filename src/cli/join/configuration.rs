//! The branch's configuration: from the file that head office has written, or as it is already there.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use zeroize::Zeroizing;

use crate::cli::args::Join;
use crate::cli::context::Context;
use crate::cli::enrolment::Offered;
use crate::cli::private_file::{Readers, write_new};
use crate::cli::settings::{Role, Settings};
use crate::domain::{Failure, Kind};

/// What the configuration file is called.
const NAME: &str = "salesync.toml";

/// The settings, and where they are from.
pub(super) fn settings(context: &Context, args: &Join) -> Result<(Settings, String), Failure> {
    let (settings, word) = match &args.file {
        None => (context.settings()?, "is there"),
        Some(file) => from_file(args, file)?,
    };
    settings.require(Role::Branch)?;
    if settings.head_office.is_empty() {
        return Err(Failure::new(
            Kind::Configuration,
            "looking for head office's key",
            "the configuration has none",
        )
        .hint("put the sections [head_office] and [signing] of the file from head office into it"));
    }
    let told = format!("{} {word}, of {}", settings.file().display(), settings.node);
    Ok((settings, told))
}

fn from_file(args: &Join, file: &Path) -> Result<(Settings, &'static str), Failure> {
    let target = args.dir.join(NAME);
    let offer = Offered::read(file)?;
    let offered = &offer.settings;
    offered.require(Role::Branch)?;
    if target.exists() {
        let there = Settings::load(Some(&target))?;
        if there.node == offered.node {
            must_agree(&offer, &there, file, args.database.as_deref())?;
            offer.write_authority(&args.dir)?;
            return Ok((there, "is there, and stays as it is"));
        }
        let why = format!(
            "{} is that of {}, and {} is for {}",
            target.display(),
            there.node,
            file.display(),
            offered.node
        );
        return Err(Failure::new(Kind::Usage, "looking at what is there", why)
            .hint("name another folder with --dir, or the right file"));
    }
    let mode = fs::metadata(file).map_or(0, |metadata| metadata.mode() & 0o7777);
    if mode & 0o077 != 0 {
        tracing::warn!(
            "others can read {} (mode {mode:04o}): if somebody may have, `salesync enroll {} --again` makes another password",
            file.display(),
            offered.node
        );
    }
    let text = with_database(&offer.text, args.database.as_deref(), offered)?;
    fs::create_dir_all(&args.dir).map_err(|error| Failure::file("making the folder", &args.dir, &error))?;
    offer.write_authority(&args.dir)?;
    write_new(
        "the configuration",
        &target,
        text.as_bytes(),
        Readers::Owner,
        "name another folder with --dir",
    )?;
    Ok((Settings::load(Some(&target))?, "written"))
}

/// What is there is neither overwritten nor kept in silence where head office, or who calls, says something else.
fn must_agree(offer: &Offered, there: &Settings, file: &Path, database: Option<&str>) -> Result<(), Failure> {
    let mut differences = offer.differences(there);
    if database.is_some_and(|url| there.differs_in_database(url)) {
        differences.push(format!("{} in [database]", there.file().display()));
    }
    if differences.is_empty() {
        return Ok(());
    }
    let why = format!(
        "{} has joined by another enrolment than {}: {} differ{}; nothing was changed",
        there.node,
        file.display(),
        differences.join(", "),
        if differences.len() == 1 { "s" } else { "" },
    );
    Err(Failure::new(Kind::Configuration, "looking at what is there", why).hint(
        "if the new one is right, put what it says into these, or remove them and run this again: the key stays; \
         to go on with what is there, run `salesync join` without a file",
    ))
}

/// The configuration with its database, as the last section.
fn with_database(text: &str, url: Option<&str>, offered: &Settings) -> Result<Zeroizing<String>, Failure> {
    let doing = "writing the configuration";
    match (url, offered.has_database()) {
        (Some(_), true) if offered.database_is_configured() => {
            Err(Failure::new(Kind::Usage, doing, "the file from head office names a database already")
                .hint("leave --database out, or take `url` out of [database] there"))
        }
        (Some(url), _) => {
            // What JSON writes as a text is one in TOML too.
            let url = serde_json::to_string(url)
                .map(Zeroizing::new)
                .map_err(|error| Failure::new(Kind::Failed, doing, error))?;
            Ok(Zeroizing::new(format!("{text}\n[database]\nurl = {}\n", *url)))
        }
        (None, true) => Ok(Zeroizing::new(text.to_owned())),
        (None, false) => Err(Failure::new(Kind::Usage, doing, "nothing says which database the branch has")
            .hint("--database postgres://salesync@localhost/NAME, or SALESYNC_DATABASE_URL; a password goes into ~/.pgpass")),
    }
}
