//! `salesync demo`: one day of a company, on private servers, told so that a person follows it.
//!
//! Nothing is staged: every step is this program, run at a node as a person would run it, or SQL at a
//! node's database, and a step that does not do what the story says of it ends the demo with a failure.
//!
//! `story` prints, `node` is where commands are typed, `company` starts the servers, `enrolment` is how the branches join,
//! `day` what happens then, `compare` the proof at the end,
//! `keep` and `pages` what one can try afterwards.

mod company;
mod compare;
mod day;
mod enrolment;
mod keep;
mod node;
mod pages;
mod sales;
mod story;
mod table;

use std::time::Instant;

use self::company::Company;
use self::story::Story;
use super::args::Demo;
use super::exit::Exit;
use super::unattended::stop;
use crate::domain::Failure;
use crate::sandbox::Sandbox;

/// Plays the demo. The sandbox ends with this process, whatever ends it.
pub(super) fn run(args: &Demo) -> Result<Exit, Failure> {
    stop::end_at_once()?;
    let story = Story::new();
    let began = Instant::now();
    let sandbox = Sandbox::new()?;
    story.tell(
        "One day of a company: a head office, three branches, and a line between them that is not \
         always there.",
    )?;
    story.tell(format!(
        "Starting four PostgreSQL servers and a RabbitMQ node, on this machine only, in {} …",
        sandbox.path().display()
    ))?;
    let company = Company::start(&sandbox)?;
    for branch in &company.branches {
        let file = branch.folder.join(sales::FILE);
        match args.rows {
            Some(count) => sales::write_invented(&branch.name, count, &file)?,
            None => sales::write_known(&branch.name, &file)?,
        }
    }
    story.tell(format!("They run, after {:.1} s.", began.elapsed().as_secs_f32()))?;
    day::play(&story, &sandbox, &company)?;
    story.tell(format!(
        "Every branch and head office are equal. The day took {:.0} s.",
        began.elapsed().as_secs_f32()
    ))?;
    if args.serve {
        pages::serve(&story, &sandbox, &company)?;
    }
    if args.keep {
        keep::keep(&story, &company)?;
    }
    story.tell(
        "The servers end now, and their folder is removed. `salesync demo --serve` leaves them running, with a page for \
         each node, `salesync demo --keep` for the terminal.",
    )?;
    Ok(Exit::Done)
}
