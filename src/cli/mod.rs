//! The command line: arguments, settings, reports, exit statuses, and one file per command.

mod apply;
mod args;
mod bundle;
mod compare;
mod context;
mod daemon;
mod decide;
mod demo;
mod doctor;
mod enroll;
mod enrolment;
mod exchange;
mod exit;
mod hash_password;
mod import;
mod init;
mod inspect;
mod intake;
mod join;
mod key_file;
mod keygen;
mod leave;
mod manual;
mod named_keys;
mod private_file;
mod progress;
mod prune;
mod rebuild;
mod replay;
mod request;
mod resend;
mod revoke;
mod secrecy;
mod serve;
mod settings;
mod status;
mod sync;
mod unattended;
mod units;
mod verdicts;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;

use self::args::{Args, Command};
use self::context::Context;
use self::exit::Exit;
use self::secrecy::{leave_no_core_dump, refuse_passwords_in_arguments};
use crate::domain::Failure;

/// Runs the command of this process's arguments and returns its exit status.
#[must_use]
pub fn run() -> ExitCode {
    leave_no_core_dump();
    if let Err(failure) = refuse_passwords_in_arguments() {
        Context::complain(&failure);
        return Exit::of(failure.kind()).into();
    }
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are what was asked for; clap prints them to stdout by itself.
            let asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let _ = error.print();
            return if asked_for { Exit::Done.into() } else { Exit::Usage.into() };
        }
    };
    let context = Context::new(&args.global);
    match dispatch(&context, args.command) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            Context::complain(&failure);
            Exit::of(failure.kind()).into()
        }
    }
}

/// Whether this text can be a node's configuration file: for tests of what cannot.
pub fn check_configuration(text: &str) -> Result<(), Failure> {
    settings::Settings::read(text, Path::new("salesync.toml")).map(drop)
}

fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::run(context, &args),
        Command::Import(args) => import::run(context, args),
        Command::Bundle(args) => bundle::run(context, &args),
        Command::Resend(args) => resend::run(context, &args),
        Command::Sync(args) => sync::run(context, &args),
        Command::Apply(args) => apply::run(context, &args),
        Command::Replay(args) => replay::run(context, args),
        Command::Request(args) => request::run(context, &args),
        Command::Approve(args) => decide::approve(context, &args),
        Command::Reject(args) => decide::reject(context, &args),
        Command::Retry(args) => decide::retry(context, &args),
        Command::Status(args) => status::run(context, &args),
        Command::Doctor(args) => doctor::run(context, &args),
        Command::Compare(args) => compare::run(context, &args),
        Command::Prune(args) => prune::run(context, &args),
        Command::Verify(args) => verify::run(context, &args),
        Command::Inspect(args) => inspect::run(context, &args),
        Command::Keygen(args) => keygen::run(context, &args),
        Command::Enroll(args) => enroll::run(context, &args),
        Command::Join(args) => join::run(context, &args),
        Command::Leave(args) => leave::run(context, &args),
        Command::Revoke(args) => revoke::run(context, &args),
        Command::Serve(args) => serve::run(context, &args),
        Command::HashPassword(_) => hash_password::run(),
        Command::Demo(args) => demo::run(&args),
        Command::Completions(args) => manual::completions(&args),
        Command::Man(args) => manual::man(&args),
    }
}
