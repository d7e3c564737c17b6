//! `salesync completions` and `salesync man`: what the arguments say of themselves.

use std::fs;

use clap::CommandFactory as _;
use clap_mangen::Man;

use super::args::{Args, Completions, Manual};
use super::context::Context;
use super::exit::Exit;
use crate::domain::{Failure, Kind};

pub(super) fn completions(args: &Completions) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "salesync", &mut script);
    Context::write(&script)?;
    Ok(Exit::Done)
}

/// One page for the program and one for each command: to files, or one after the other to stdout.
pub(super) fn man(args: &Manual) -> Result<Exit, Failure> {
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    let commands: Vec<clap::Command> = program.get_subcommands().cloned().collect();
    let pages = std::iter::once(program).chain(commands).map(Man::new);
    let Some(folder) = &args.dir else {
        let mut text = Vec::new();
        for page in pages {
            let rendered = page.render(&mut text);
            rendered.map_err(|error| Failure::new(Kind::Failed, "writing the manual", error))?;
        }
        Context::write(&text)?;
        return Ok(Exit::Done);
    };
    fs::create_dir_all(folder).map_err(|error| Failure::file("making the folder", folder, &error))?;
    for page in pages {
        page.generate_to(folder).map_err(|error| Failure::file("writing the manual to", folder, &error))?;
    }
    Ok(Exit::Done)
}
