//! One day in the company's life, step by step. Every step must do what the story says of it.

use super::company::Company;
use super::compare::{compare, head_office_checksum};
use super::enrolment::{KEYS, enrol};
use super::node::Node;
use super::sales::FILE;
use super::story::Story;
use crate::domain::{Failure, Kind};
use crate::sandbox::Sandbox;

/// How a branch's `bundle` ends when the broker is away.
const POSTPONED: i32 = 75;

const CONSOLIDATED: &str = "\
SELECT branch, id, date, product, qty, cost, amt, tax, total
FROM public.sales ORDER BY branch, id";

const BY_BRANCH: &str = "\
SELECT coalesce(branch, 'all') AS branch, count(*) AS sales, sum(qty) AS qty,
       sum(total) AS total
FROM public.sales GROUP BY ROLLUP (branch) ORDER BY sales.branch NULLS LAST";

/// Plays the day.
pub(super) fn play(story: &Story, sandbox: &Sandbox, company: &Company) -> Result<(), Failure> {
    prepare(story, sandbox, company)?;
    sell(story, company)?;
    sync(story, company)?;
    lose_the_line(story, company)?;
    regain_the_line(story, company)?;
    deliver_twice(story, company)?;
    lose_the_database(story, company)?;
    prove(story, company)
}

fn prepare(story: &Story, sandbox: &Sandbox, company: &Company) -> Result<(), Failure> {
    story.chapter(1, "Four databases that do not know each other")?;
    enrol(story, sandbox, company)
}

fn sell(story: &Story, company: &Company) -> Result<(), Failure> {
    let [east, west, north] = &company.branches;
    story.chapter(2, "The branches sell")?;
    story.tell(
        "Each branch loads its sales from a CSV file: all of them or none. Amounts may come with a \
         thousands separator, as in \"1,011.52\".",
    )?;
    for branch in [east, west] {
        import(story, branch)?;
    }
    story.tell(
        "North's names have commas and quotes. Where Amt, Tax and Total are missing, they are computed.",
    )?;
    import(story, north)?;
    north.query(story, "SELECT * FROM public.sales ORDER BY id")
}

fn import(story: &Story, branch: &Node) -> Result<(), Failure> {
    branch.show_file(story, FILE, 4)?;
    branch.salesync(story, &["import", FILE])?.exits(0)?.says("imported")?;
    Ok(())
}

fn sync(story: &Story, company: &Company) -> Result<(), Failure> {
    story.chapter(3, "The line is up: bundle, apply")?;
    story.tell(
        "A branch collects the rows that head office does not have into one compressed file with \
         checksums, a bundle, and publishes the file as one message.",
    )?;
    for branch in &company.branches {
        branch.salesync(story, &["bundle"])?.exits(0)?.says("published")?;
    }
    story.tell(
        "Head office verifies each bundle and applies it in one transaction. Its table has one column \
         more: whose sale it is.",
    )?;
    company.head_office.salesync(story, &["apply"])?.exits(0)?.says("applied")?;
    company.head_office.query(story, CONSOLIDATED)?;
    company.head_office.query(story, BY_BRANCH)
}

fn lose_the_line(story: &Story, company: &Company) -> Result<(), Failure> {
    story.chapter(4, "The line is down, and life goes on")?;
    story.tell("The broker is stopped now, as if somebody had cut the line.")?;
    company.broker.control(&["stop_app"])?;
    let [east, west, north] = &company.branches;
    story.tell("East corrects the price of a sale:")?;
    east.change_one_row(
        story,
        "UPDATE public.sales\n\
         SET cost = 13.45, amt = qty * 13.45, tax = round(qty * 13.45 * 0.07, 2),\n    \
             total = qty * 13.45 + round(qty * 13.45 * 0.07, 2)\n\
         WHERE id = 3 RETURNING *",
    )?;
    story.tell("West voids a sale:")?;
    west.change_one_row(story, "DELETE FROM public.sales WHERE id = 2 RETURNING *")?;
    story.tell("North sells on:")?;
    for values in [
        "'2021-05-02', 'North', 'Envelopes', 300, 0.19, 57.00, 3.99, 60.99",
        "'2021-05-02', 'North', 'Ink', 11, 8.90, 97.90, 6.85, 104.75",
    ] {
        let insert = "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)";
        north.change_one_row(story, &format!("{insert}\nVALUES ({values}) RETURNING *"))?;
    }
    story.tell(
        "The nightly `bundle` runs all the same. The bundles are sealed and recorded; only the sending \
         has to wait.",
    )?;
    for branch in [east, west, north] {
        branch.salesync(story, &["bundle"])?.exits(POSTPONED)?.says("safe in the archive")?;
    }
    story.tell(
        "75 is \"try again later\", which cron and systemd understand. East's bundle waits on its disk:",
    )?;
    east.salesync(story, &["status"])?.exits(0)?.says("not yet published: 1")?;
    story.tell("Anybody can look into the file, without a server:")?;
    east.salesync(story, &["inspect", "--rows", &east.last_bundle()?])?.exits(0)?.says("13.45")?;
    Ok(())
}

fn regain_the_line(story: &Story, company: &Company) -> Result<(), Failure> {
    story.chapter(5, "The line is back")?;
    story.tell("The broker starts again …")?;
    company.broker.control(&["start_app"])?;
    story.tell("… and the next run of `bundle` sends what has waited, oldest first.")?;
    for branch in &company.branches {
        branch.salesync(story, &["bundle"])?.exits(0)?.says("published")?;
    }
    company.head_office.salesync(story, &["apply"])?.exits(0)?.says("applied")?;
    story.tell("East's sale 3 has the new price, West's sale 2 is gone, and North's new sales are here:")?;
    let [.., north] = &company.branches;
    let [one, two] = north.texts("SELECT max(id) - 1, max(id) FROM public.sales")?;
    company.head_office.query(
        story,
        &format!(
            "SELECT branch, id, date, product, qty, cost, amt, tax, total FROM public.sales\n\
             WHERE (branch, id) IN (('east', 3), ('west', 2), ('north', {one}), ('north', {two}))\n\
             ORDER BY branch, id"
        ),
    )?;
    company.head_office.query(story, BY_BRANCH)
}

fn deliver_twice(story: &Story, company: &Company) -> Result<(), Failure> {
    let ([east, ..], head_office) = (&company.branches, &company.head_office);
    story.chapter(6, "A bundle comes twice")?;
    story.tell(
        "A line that drops before the broker's answer makes a branch send again. Here East sends its \
         bundle 2 a second time, the same bytes:",
    )?;
    let before = head_office_checksum(company)?;
    east.salesync(story, &["resend", "2"])?.exits(0)?.says("published")?;
    head_office.salesync(story, &["apply"])?.exits(0)?.says("1 applied before")?;
    must_be_unchanged("delivering a bundle twice", &before, company)?;
    story.tell("Head office knew the bundle and changed nothing. Its ledger has every arrival:")?;
    head_office.query(
        story,
        "SELECT branch, sequence, source, outcome FROM salesync.delivery\n\
         WHERE branch = 'east' ORDER BY delivery_id",
    )
}

fn lose_the_database(story: &Story, company: &Company) -> Result<(), Failure> {
    let head_office = &company.head_office;
    story.chapter(7, "Head office loses its database")?;
    story.tell("The worst night: the database is gone, ledger and all.")?;
    let before = head_office_checksum(company)?;
    let database = &head_office.database;
    head_office.administer(story, &format!("DROP DATABASE {database} WITH (FORCE)"))?;
    head_office.administer(story, &format!("CREATE DATABASE {database}"))?;
    story.tell(
        "But every bundle that ever came is a file in head office's archive. An empty database, `init`, \
         and `replay` applies them again, in their order:",
    )?;
    head_office.salesync(story, &["init"])?.exits(0)?;
    head_office.salesync(story, &["replay", "bundles"])?.exits(0)?.says("applied")?;
    must_be_unchanged("rebuilding head office's database", &before, company)?;
    head_office.query(story, BY_BRANCH)?;
    story.tell(
        "Nothing is missing. Had the archive been lost with the database: each branch keeps the same \
         files. Replaying East's shows that head office has them all:",
    )?;
    head_office.salesync(story, &["replay", "../east/bundles"])?.exits(0)?.says("applied before")?;
    must_be_unchanged("replaying a branch's archive", &before, company)
}

fn must_be_unchanged(doing: &str, before: &str, company: &Company) -> Result<(), Failure> {
    if head_office_checksum(company)? == before {
        return Ok(());
    }
    Err(Failure::new(Kind::Failed, doing, "head office's sales are not what they were before"))
}

fn prove(story: &Story, company: &Company) -> Result<(), Failure> {
    story.chapter(8, "Is it all there, once, unchanged?")?;
    story.tell("The files: format, checksums, totals, signatures, and the chain from each to the one before it. The branches' three public \
         keys are in a file; no server is needed.")?;
    company.head_office.salesync(story, &["verify", "--keys", KEYS, "bundles"])?.exits(0)?;
    company.head_office.salesync(story, &["status"])?.exits(0)?;
    story.tell(
        "The tables: rows, sum, and a checksum over every value of every row. This query runs at each \
         branch, and at head office for that branch's rows:",
    )?;
    compare(story, company)
}
