//! A change set in many parts: they are recorded and leave one by one, and a cut that did not come to its end is
//! made good by the next.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use postgres::Client;
use salesync::archive::Archive;
use salesync::branch::{Node as KnownNode, pending_bundles};
use salesync::domain::NodeName;
use salesync::sandbox::wait_until;
use serde_json::Value;

use crate::company::{Company, Node};
use crate::delivery::text;
use crate::halted::Halted;
use crate::line::Line;
use crate::rebuild::new_machine;

const OPTIONS: &str = "[bundle]\nmax_bytes = \"64 KiB\"\n[[table]]\nname = \"public.sales\"\nday = \"date\"\n\
                       [[table]]\nname = \"public.visit\"\n";
const TABLES: &str = "
    CREATE TABLE public.visit (no int PRIMARY KEY, note text, noise bytea);
    CREATE FUNCTION public.noise() RETURNS bytea LANGUAGE sql VOLATILE AS
    $$SELECT string_agg(sha256(random()::text::bytea), '') FROM generate_series(1, 32)$$";
/// About six parts.
const MANY: &str =
    "INSERT INTO public.visit SELECT no, 'new', public.noise() FROM generate_series(1000, 1299) no";
const MARKER: &str = "bundles/east/last-recorded.json";
const NEWEST: &str = "SELECT max(sequence) FROM salesync.bundle JOIN salesync.node USING (epoch)";

/// Nothing of it has travelled yet.
fn unsent() -> Company {
    let company = Company::new(&["east"], OPTIONS);
    company.branch().sql(TABLES);
    company.head_office.run(&["init"]).ok();
    company.branch().run(&["init", "--with-sales"]).ok();
    company.branch().sell("Ink");
    company
}

/// At rest, with rows at head office.
fn company() -> Company {
    let company = unsent();
    company.branch().sql("INSERT INTO public.visit SELECT no, 'old' FROM generate_series(1, 100) no");
    company.heal();
    company
}

fn count(node: &Node, condition: &str) -> u64 {
    node.value(&format!("SELECT count(*) FROM salesync.bundle WHERE {condition}")).parse().unwrap()
}

/// Killed with so many parts recorded and not sent. Returns their files.
fn cut_short(company: &Company, parts: usize) -> Vec<PathBuf> {
    let east = company.branch();
    let before = east.bundles().len();
    east.halted(&["bundle", "--offline"], &format!("PartCommitted#{parts}")).kill();
    let files = east.bundles().split_off(before);
    assert_eq!(files.len(), parts);
    files
}

/// What was recorded of a cut and what has become of it since, with the rows of the parts at head office.
fn go_on_after(company: &Company, parts: &[PathBuf]) {
    let (east, head) = (company.branch(), &company.head_office);
    for part in parts {
        head.run(&["apply", text(part)]).ok();
    }
    assert_eq!(head.value("SELECT is_at_cut FROM salesync.branch"), "false");
    let arrived = head.column("SELECT no FROM public.visit WHERE no >= 1000 ORDER BY no");
    let [first, second, ..] = &arrived[..] else { panic!("nothing has arrived") };
    // Gone, changed, gone and back: rows that head office has and rows that it has not.
    east.sql(&format!(
        "DELETE FROM public.visit WHERE no IN ({first}, 1298, 3);
         UPDATE public.visit SET note = 'changed' WHERE no IN ({second}, 1299, 4);
         DELETE FROM public.visit WHERE no IN (5, 1297); INSERT INTO public.visit VALUES (5, 'back'), (1297, 'back');
         DELETE FROM public.sales WHERE id = 1"
    ));
}

fn assert_agree(company: &Company) {
    company.assert_equal("public.visit");
    company.assert_equal("public.sales");
    assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.incident"), "0");
    assert_eq!(company.head_office.value("SELECT is_at_cut FROM salesync.branch"), "true");
}

#[test]
fn the_cut_after_one_that_was_cut_short_makes_it_good() {
    for since in ["last", "before", "newest", "all"] {
        let company = company();
        let (east, head) = (company.branch(), &company.head_office);
        let finished = east.value(NEWEST);
        east.sql(MANY);
        east.sql(
            "UPDATE public.visit SET note = 'changed' WHERE no < 50; DELETE FROM public.visit WHERE no = 50",
        );
        go_on_after(&company, &cut_short(&company, 3));
        let newest = east.value(NEWEST);
        let since = match since {
            "before" => &finished,
            "newest" => &newest,
            since => since,
        };
        east.run(&["bundle", "--since", since]).ok();
        head.run(&["apply"]).ok();
        assert_agree(&company);
        east.sql("UPDATE public.visit SET note = 'later' WHERE no % 2 = 0; DELETE FROM public.visit WHERE no % 7 = 0");
        company.heal();
        company.assert_whole();
    }
}

#[test]
fn a_branch_is_rebuilt_through_a_cut_that_was_cut_short() {
    let company = company();
    let east = company.branch();
    east.sql(MANY);
    go_on_after(&company, &cut_short(&company, 3));
    company.heal();
    let here = east.rows("public.visit", "true");
    let new = new_machine(&company, "east", OPTIONS);
    new.sql(TABLES);
    new.run(&["replay", "--into-branch", text(&east.folder.join("bundles"))]).ok();
    assert_eq!(new.rows("public.visit", "true"), here);
}

/// A run publishes what it knows of, while a cut goes on and records more.
#[test]
fn what_the_marker_does_not_name_is_not_pending_yet() {
    let company = company();
    let east = company.branch();
    let name: NodeName = "east".parse().unwrap();
    let archive = Archive::new(east.folder.join("bundles"), &name);
    let mut client = east.client();
    let pending =
        |client: &mut Client, node: &KnownNode| pending_bundles(client, node, &archive).unwrap().len();
    let known = KnownNode::load(&mut client, &name, &archive).unwrap();
    east.sell("Pens");
    let halted = east.halted(&["bundle", "--offline"], "CutCommitted");
    assert_eq!(pending(&mut client, &known), 0);
    let known = KnownNode::load(&mut client, &name, &archive).unwrap();
    assert_eq!(pending(&mut client, &known), 1);
    halted.go_on().ok();
}

#[test]
fn a_first_cut_that_was_cut_short_is_followed_by_whole_tables() {
    let company = unsent();
    let east = company.branch();
    east.sql("INSERT INTO public.visit SELECT no, 'old' FROM generate_series(1, 10) no");
    east.sql(MANY);
    go_on_after(&company, &cut_short(&company, 3));
    east.run(&["bundle"]).ok().says(&["was not finished"]);
    company.head_office.run(&["apply"]).ok();
    assert_agree(&company);
    company.heal();
    company.assert_whole();
}

#[test]
fn what_has_come_of_a_cut_that_was_cut_short_proves_nothing() {
    let company = company();
    let (east, head) = (company.branch(), &company.head_office);
    let status = || east.run(&["status", "--json"]).ok().json();
    let proven = status()["proven_through"].clone();
    assert_ne!(proven, Value::Null);
    east.sql(MANY);
    for part in cut_short(&company, 3) {
        head.run(&["apply", text(&part)]).ok();
    }
    head.run(&["apply"]).ok();
    // Takes in the receipts, while the next cut cannot be made.
    let last = east.value(NEWEST);
    east.run(&["resend", &last]).ok();
    assert_eq!(count(east, "NOT is_last_part AND state = 'applied'"), 3);
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_2"), "300", "the log has forgotten");
    let now = status();
    assert_eq!((&now["proven_through"], &now["unsynced"]), (&proven, &300.into()));
    company.heal();
    company.assert_whole();
}

#[test]
fn what_is_committed_after_the_snapshot_is_not_proven_by_its_cut() {
    let company = company();
    let east = company.branch();
    east.sell("Pens");
    let halted = east.halted(&["bundle"], "SnapshotTaken");
    let later = east.value("SELECT clock_timestamp()");
    east.sell("Paper");
    halted.go_on().ok();
    assert_eq!(count(east, &format!("cut_at >= '{later}'")), 0);
    assert_eq!(count(east, &format!("sealed_at >= '{later}'")), 1);
}

#[test]
fn a_cut_that_was_cut_short_is_ended_even_if_nothing_is_left_to_say() {
    let company = company();
    let (east, head) = (company.branch(), &company.head_office);
    east.sql(MANY);
    for part in cut_short(&company, 2) {
        head.run(&["apply", text(&part)]).ok();
    }
    east.sql("DROP TABLE public.visit");
    east.configure("role = \"branch\"", &company.broker_url, crate::company::SALES);
    east.run(&["init"]).ok();
    east.run(&["bundle"]).ok();
    let newest = east.value(NEWEST);
    assert_eq!(count(east, &format!("is_last_part AND sequence = {newest} AND row_count = 0")), 1);
    head.run(&["apply"]).ok();
    assert_eq!(head.value("SELECT is_at_cut FROM salesync.branch"), "true");
}

/// A run whose first part is recorded, and which cannot record the second before the client's transaction ends.
fn while_cutting(company: &Company, work: impl FnOnce(Halted) -> Option<Halted>) {
    let east = company.branch();
    let halted = east.halted(&["bundle"], "PartCommitted");
    let mut client = east.client();
    let mut transaction = client.transaction().unwrap();
    transaction.execute("SELECT FROM salesync.node FOR UPDATE", &[]).unwrap();
    halted.release();
    let published = || Ok((count(east, "NOT is_last_part AND state = 'published'") == 1).then_some(()));
    wait_until(Duration::from_secs(25), "the first part to be published", published).unwrap();
    // What has left is known outside of the database.
    let marker: Value = serde_json::from_slice(&fs::read(east.folder.join(MARKER)).unwrap()).unwrap();
    assert_eq!(marker["sequence"].to_string(), east.value(NEWEST));
    company.head_office.run(&["apply"]).ok();
    assert!(company.head_office.value("SELECT count(*) FROM public.visit WHERE no >= 1000") != "0");
    let halted = work(halted);
    transaction.rollback().unwrap();
    if let Some(halted) = halted {
        let report = halted.go_on().ok();
        assert!(report.stdout().contains("published"), "{}", report.stdout());
    }
}

#[test]
fn a_part_is_at_head_office_while_the_rest_is_still_being_cut() {
    let company = company();
    let east = company.branch();
    east.sql(MANY);
    while_cutting(&company, Some);
    assert_eq!(count(east, "state = 'sealed'"), 0);
    assert!(count(east, "NOT is_last_part") >= 3);
    company.head_office.run(&["apply"]).ok();
    assert_agree(&company);
    company.heal();
    company.assert_whole();
}

#[test]
fn killed_while_a_part_is_at_head_office_and_the_rest_is_not_cut_it_goes_on_well() {
    let company = company();
    let east = company.branch();
    east.sql(MANY);
    while_cutting(&company, |halted| {
        halted.kill();
        None
    });
    east.sql("DELETE FROM public.visit WHERE no < 1020; UPDATE public.visit SET note = 'changed'");
    company.heal();
    assert_agree(&company);
    company.assert_whole();
}

#[test]
fn a_session_that_is_lost_ends_the_cut_and_nothing_more_is_recorded() {
    let company = company();
    let east = company.branch();
    for session in ["salesync bundle", "salesync bundle, reading"] {
        east.sql(MANY);
        let halted = east.halted(&["bundle", "--offline"], "PartCommitted");
        let newest = east.value(NEWEST);
        let terminated = format!(
            "SELECT count(*) FILTER (WHERE pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
             WHERE application_name = '{session}' AND datname = current_database()"
        );
        assert_eq!(east.value(&terminated), "1");
        halted.go_on().exits(69);
        let recorded: u64 = east.value(NEWEST).parse().unwrap();
        assert!(session.ends_with("reading") || recorded.to_string() == newest, "recorded without the lock");
        assert_eq!(count(east, &format!("is_last_part AND sequence >= {newest}")), 0);
        company.heal();
        company.assert_whole();
        east.sql("DELETE FROM public.visit WHERE no >= 1000");
        company.heal();
    }
}

#[test]
fn without_a_broker_the_cut_comes_to_its_end_and_the_failure_is_told_once() {
    let company = company();
    let east = company.branch();
    let line = Line::to(&company.broker_url);
    line.goes_down();
    east.configure("role = \"branch\"", line.url(), OPTIONS);
    east.sql(MANY);
    let run = east.run(&["bundle"]).exits(75).says(&["safe in the archive"]);
    assert_eq!(run.stderr().matches("salesync: connecting").count(), 1, "{}", run.stderr());
    assert_eq!(
        east.value("SELECT count(*) FROM salesync.bundle WHERE is_last_part AND state = 'sealed'"),
        "1"
    );
    assert!(count(east, "state = 'sealed'") >= 4);
    line.is_repaired();
    company.heal();
    company.assert_whole();
}

#[test]
fn a_database_that_was_set_back_sends_no_part_before_it_is_refused() {
    let company = company();
    let (east, head) = (company.branch(), &company.head_office);
    let marker = fs::read(east.folder.join(MARKER)).unwrap();
    east.sql("CREATE TABLE public.before AS SELECT * FROM salesync.node");
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).ok();
    // Back, with its archive, while the answer waits in the queue.
    fs::remove_file(east.bundles().pop().unwrap()).unwrap();
    fs::write(east.folder.join(MARKER), marker).unwrap();
    east.sql(
        "DELETE FROM salesync.bundle b USING public.before n WHERE b.epoch = n.epoch AND b.sequence > n.last_sequence;
         UPDATE salesync.node n SET last_sequence = b.last_sequence, last_manifest = b.last_manifest, watermark = b.watermark
         FROM public.before b",
    );
    east.sql(MANY);
    east.run(&["bundle"]).exits(3).says(&["head office has applied bundle"]);
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0));
    assert!(count(east, "state = 'sealed'") >= 4);
}

#[test]
fn after_the_window_has_closed_no_part_is_begun_and_the_cut_comes_to_its_end() {
    let company = company();
    let east = company.branch();
    east.sql(MANY);
    let halted = east.halted(&["bundle", "--for", "1s"], "PartCommitted");
    let closed = "SELECT clock_timestamp() > sealed_at + interval '2 s' FROM salesync.bundle ORDER BY sealed_at DESC LIMIT 1";
    wait_until(Duration::from_secs(25), "the window to close", || {
        Ok((east.value(closed) == "true").then_some(()))
    })
    .unwrap();
    halted.go_on().exits(75).says(&["the window has closed with"]);
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0));
    assert_eq!(count(east, "state = 'sealed' AND is_last_part"), 1);
    company.heal();
    company.assert_whole();
}
