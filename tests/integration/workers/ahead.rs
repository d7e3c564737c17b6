//! The next part of a cut is loaded while the one before it is being applied: in their order, once, and as if nothing had been tried
//! wherever that is not plain.

use std::time::Duration;

use salesync::domain::{BundleId, Digest, MemberKind};

use super::{STUCK, comes_to, ends_well, locked};
use crate::company::{Company, Node, SALES};
use crate::delivery::{enqueue, manifest_of, seal};
use crate::forge::{manifest_bytes, written, written_as};
use crate::halted::Reached;
use crate::running::{Running, Systemd};

const AHEAD: &str = "RowsLoadedAhead";
const BOTH: [&[&str]; 2] = [&["apply"], &["apply", "--follow"]];

/// How many workers have written rows of the branch and not committed.
const LOADED: &str = "SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid)
                      WHERE l.locktype = 'relation' AND l.relation = 'public.sales_east'::regclass
                        AND l.mode = 'RowExclusiveLock' AND l.granted AND a.datname = current_database()
                        AND a.application_name = 'salesync apply worker' AND a.wait_event_type IS DISTINCT FROM 'Lock'";

/// How bundles were applied, by time.
const ORDER: &str =
    "SELECT string_agg(sequence::text, ' ' ORDER BY applied_at) FROM salesync.bundle WHERE branch = 'east'";

/// As if nobody had gathered statistics of the branch's rows.
const NEVER_ANALYZED: &str = "
    ALTER TABLE public.sales_east SET (autovacuum_enabled = off);
    UPDATE pg_class SET reltuples = -1 WHERE oid = 'public.sales_east'::regclass";

/// A company whose branch has three parts of a cut on their way, of 10,000 sales of a product each, with `n` from 10,001 on. Head office
/// has the first 10,000.
fn with_parts(product: &str) -> Company {
    with_parts_of_the_first(&["east"], product)
}

fn with_parts_of_the_first(branches: &[&str], product: &str) -> Company {
    let company = Company::of_sales(branches);
    let east = &company.branches[0];
    let options = format!("{SALES}[bundle]\nmax_bytes = \"64 KiB\"\n");
    east.configure("role = \"branch\"", &company.broker_url, &options);
    sell(east, 1, 10_000, "'Ink'");
    company.sync();
    sell(east, 10_001, 20_000, product);
    bundle_parts(east);
    company
}

fn bundle_parts(east: &Node) {
    east.run(&["bundle"]).ok();
    assert!(parts_waiting(east) >= 3, "{} parts", parts_waiting(east));
}

fn sell(east: &Node, first: u64, last: u64, product: &str) {
    east.sql(&format!(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-06-02', md5(n::text), {product}, 1, 2, 2, 0.14, 2.14 FROM generate_series({first}, {last}) n"
    ));
}

fn parts_waiting(east: &Node) -> u64 {
    let sql = "SELECT count(*) FROM salesync.bundle WHERE watermark::text = (SELECT watermark::text FROM salesync.bundle
               ORDER BY sequence DESC LIMIT 1)";
    east.value(sql).parse().unwrap()
}

/// Everything is at head office, in order and once, and nobody has to know of anything.
fn is_whole(company: &Company) {
    let head = &company.head_office;
    company.assert_equal("public.sales");
    let in_order = "SELECT string_agg(sequence::text, ' ' ORDER BY epoch, sequence) FROM salesync.bundle WHERE branch = 'east'";
    assert_eq!(head.value(ORDER), head.value(in_order));
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
    assert_eq!(head.value("SELECT count(*) FROM salesync.delivery WHERE outcome <> 'applied'"), "0");
}

/// `apply` as it runs: the part whose turn it is cannot go on, and the next is loaded.
fn loaded_ahead(company: &Company, command: &[&str]) -> (postgres::Client, Running) {
    some_loaded_ahead(company, command, 1)
}

/// The same with so many.
fn some_loaded_ahead(company: &Company, command: &[&str], parts: usize) -> (postgres::Client, Running) {
    let head = &company.head_office;
    let lock = locked(head, "east");
    let workers = (parts + 1).to_string();
    let applying = Running::start(head, &[command, &["--workers", &workers]].concat());
    comes_to(head, STUCK, "1");
    comes_to(head, LOADED, &parts.to_string());
    (lock, applying)
}

#[test]
fn the_next_part_is_loaded_while_one_cannot_go_on_and_all_are_applied_in_their_order() {
    for command in BOTH {
        let company = with_parts("'Pens'");
        let (lock, applying) = loaded_ahead(&company, command);
        assert_eq!(company.head_office.value("SELECT count(*) FROM public.sales"), "10000");
        drop(lock);
        comes_to(&company.head_office, "SELECT count(*) FROM public.sales", "20000");
        ends_well(applying, command);
        is_whole(&company);
    }
}

/// Also while one of them has gathered statistics of the table, which takes a lock that no two can have.
#[test]
fn some_parts_are_loaded_at_the_same_time_and_all_are_applied_in_their_order() {
    for command in BOTH {
        let company = with_parts("'Pens'");
        let head = &company.head_office;
        let (lock, applying) = some_loaded_ahead(&company, command, 2);
        drop(lock);
        comes_to(head, "SELECT count(*) FROM public.sales", "20000");
        ends_well(applying, command);
        is_whole(&company);
        company.branch().sql("UPDATE public.sales SET product = 'Desk ' || id");
        bundle_parts(company.branch());
        head.sql(NEVER_ANALYZED);
        let (lock, applying) = some_loaded_ahead(&company, command, 2);
        drop(lock);
        comes_to(head, "SELECT count(*) FROM public.sales WHERE product LIKE 'Desk %'", "20000");
        ends_well(applying, command);
        is_whole(&company);
    }
}

/// What a follower is handed and what it fetches must not overtake each other.
#[test]
fn a_follower_that_is_behind_takes_what_comes_in_its_order() {
    let company = with_parts("'Pens'");
    let (east, head) = (company.branch(), &company.head_office);
    let mut command = head.command(&["apply", "--follow", "--workers", "2"]);
    let systemd = Systemd::watch(head, &mut command, Duration::from_hours(1));
    let applying = Running::of(&mut command);
    systemd.hears("READY=1");
    comes_to(head, "SELECT count(*) FROM public.sales", "20000");
    let lock = locked(head, "east");
    sell(east, 20_001, 40_000, "'Desk'");
    bundle_parts(east);
    comes_to(head, LOADED, "1");
    drop(lock);
    comes_to(head, "SELECT count(*) FROM public.sales", "40000");
    applying.stops().ok();
    is_whole(&company);
}

/// Of two workers one stays free for the other branch.
#[test]
fn a_branch_that_is_loaded_ahead_keeps_no_other_waiting() {
    let company = with_parts_of_the_first(&["east", "west"], "'Pens'");
    let (head, west) = (&company.head_office, &company.branches[1]);
    let lock = locked(head, "east");
    let applying = Running::start(head, &["apply", "--follow", "--workers", "2"]);
    comes_to(head, STUCK, "1");
    west.sell("Desk");
    west.run(&["bundle"]).ok();
    comes_to(head, "SELECT count(*) FROM public.sales WHERE product = 'Desk'", "1");
    drop(lock);
    comes_to(head, "SELECT count(*) FROM public.sales", "20001");
    // A worker that waited for too long would have let west in as well.
    let talk = applying.stops().ok().stderr();
    assert!(!talk.contains("east goes on"), "{talk}");
    is_whole(&company);
}

#[test]
fn killed_with_a_part_loaded_ahead_nothing_is_lost_or_doubled() {
    let company = with_parts("'Pens'");
    let (lock, applying) = loaded_ahead(&company, &["apply"]);
    applying.signal("KILL");
    drop(applying);
    drop(lock);
    company.head_office.run(&["apply"]).ok();
    is_whole(&company);
}

#[test]
fn a_part_whose_predecessor_fails_is_not_tried_before_it() {
    for command in BOTH {
        let company = with_parts("'Pens'");
        let head = &company.head_office;
        let (lock, applying) = loaded_ahead(&company, command);
        head.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
             AND application_name = 'salesync apply worker' AND wait_event_type = 'Lock'",
        );
        // Nothing is loaded any more, and the first of them waits again.
        comes_to(head, LOADED, "0");
        comes_to(head, STUCK, "1");
        drop(lock);
        comes_to(head, "SELECT count(*) FROM public.sales", "20000");
        ends_well(applying, command);
        is_whole(&company);
    }
}

#[test]
fn a_part_that_is_in_the_way_of_the_one_before_it_gives_way() {
    // The first part and the second have a sale of this product each, and head office takes one.
    let company = with_parts("CASE WHEN n IN (10500, 13500) THEN 'Desk' ELSE 'Pens ' || n END");
    let head = &company.head_office;
    head.sql("CREATE UNIQUE INDEX one_desk ON public.sales (branch, product) WHERE product <> 'Ink'");
    let (lock, applying) = loaded_ahead(&company, &["apply"]);
    drop(lock);
    // The database sees no deadlock: the later part waits for its turn only.
    applying.ends().exits(3);
    assert_eq!(
        head.value("SELECT string_agg(id::text, ' ') FROM public.sales WHERE product = 'Desk'"),
        "10500"
    );
    let refused = "SELECT string_agg(sequence::text, ' ') FROM salesync.incident WHERE kind = 'rejected'";
    let next = "SELECT max(sequence) + 1 FROM salesync.bundle WHERE state = 'applied'";
    assert_eq!(head.value(refused), head.value(next));
}

/// Only when its turn has come can it be known that it deletes too much.
#[test]
fn a_part_that_was_loaded_and_needs_a_person_is_held_once_and_applied_when_it_is_approved() {
    let company = with_parts("'Pens'");
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["apply"]).ok();
    sell(east, 20_001, 23_000, "'Desk'");
    east.sql("DELETE FROM public.sales WHERE id BETWEEN 1001 AND 10000");
    east.run(&["bundle"]).ok();
    let (lock, applying) = loaded_ahead(&company, &["apply"]);
    drop(lock);
    applying.ends().exits(3);
    assert_eq!(head.value("SELECT count(*) FROM public.sales WHERE id BETWEEN 1001 AND 10000"), "9000");
    let incidents = "SELECT string_agg(kind || ' ' || sequence, ', ') FROM salesync.incident";
    let last = east.value("SELECT max(sequence) FROM salesync.bundle");
    assert_eq!(head.value(incidents), format!("held {last}"));
    assert_eq!(head.value("SELECT count(*) FROM salesync.delivery WHERE outcome = 'held'"), "1");
    head.run(&["approve", "east", &last]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn rows_that_are_not_as_the_branch_takes_them_to_be_are_put_right_and_told_once() {
    let company = with_parts("'Pens'");
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["apply"]).ok();
    east.sql("UPDATE public.sales SET product = 'Desk ' || id");
    east.run(&["bundle"]).ok();
    head.sql("DELETE FROM public.sales WHERE id IN (1, 19999)");
    let (lock, applying) = loaded_ahead(&company, &["apply"]);
    drop(lock);
    applying.ends().ok();
    company.assert_equal("public.sales");
    let told =
        "SELECT count(*) || ' ' || count(DISTINCT sequence) FROM salesync.incident WHERE kind = 'divergence'";
    assert_eq!(head.value(told), "2 2");
}

/// No branch says such a thing; but then, too, what counts is what the last of them says.
#[test]
fn parts_that_speak_of_the_same_row_are_applied_in_their_order() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    seal(east, 1);
    let (mut manifest, _) = manifest_of(east.bundles().last().unwrap());
    manifest.cut.last = false;
    let first = written(manifest.clone(), &[b"77,2021-05-02,East,Ink,1,1,1,0,1\n"]);
    manifest.previous = Some(Digest::of(manifest_bytes(&first)));
    (manifest.sequence, manifest.bundle_id) = (manifest.sequence.next(), BundleId::generate());
    (manifest.cut.part, manifest.cut.last) = (2, true);
    enqueue(&company, "east", &first);
    enqueue(&company, "east", &written_as(MemberKind::Tombstones, manifest, &[b"77\n"]));
    let lock = locked(head, "east");
    let applying = Running::start(head, &["apply", "--workers", "2"]);
    comes_to(head, STUCK, "1");
    // It has found no such row, and leaves it for its turn.
    let has_left =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle'
                    AND application_name = 'salesync apply worker' AND query LIKE 'ROLLBACK%'";
    comes_to(head, has_left, "1");
    drop(lock);
    applying.ends().ok();
    assert_eq!(head.value("SELECT string_agg(id::text, ' ') FROM public.sales"), "1");
    assert_eq!(head.value("SELECT count(*) FROM salesync.incident"), "0");
}

#[test]
fn nothing_is_loaded_ahead_that_head_offices_own_triggers_look_at() {
    let company = with_parts("'Pens'");
    let head = &company.head_office;
    head.sql(
        "CREATE TABLE public.told (n bigint);
         CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.told SELECT count(*) FROM public.sales; RETURN NULL;
         END $$;
         CREATE TRIGGER tell AFTER INSERT ON public.sales FOR EACH STATEMENT EXECUTE FUNCTION public.tell()",
    );
    never_ahead(&company, &["apply"]);
    assert_eq!(head.value("SELECT max(n) FROM public.told"), "20000");
}

#[test]
fn neither_other_cuts_nor_whole_tables_nor_what_one_worker_does_are_loaded_ahead() {
    let company = with_parts("'Pens'");
    never_ahead(&company, &["apply", "--workers", "1"]);
    let east = company.branch();
    for number in 0..3 {
        east.sql(&format!("UPDATE public.sales SET product = 'Pens {number}' WHERE id = 7"));
        east.run(&["bundle"]).ok();
    }
    never_ahead(&company, &["apply"]);
    east.run(&["bundle", "--since", "all"]).ok();
    never_ahead(&company, &["apply"]);
}

#[test]
fn nothing_is_loaded_ahead_into_a_table_that_is_not_as_the_bundle_says() {
    let company = with_parts("'Pens'");
    let head = &company.head_office;
    head.sql("ALTER TABLE public.sales ALTER qty TYPE text");
    match head.run_until(&["apply"], AHEAD) {
        Reached::End(run) => drop(run.exits(3)),
        Reached::Halt(halted) => panic!("came to {}", halted.step),
    }
    assert_eq!(head.value("SELECT count(*) FROM public.sales"), "10000");
}

fn never_ahead(company: &Company, command: &[&str]) {
    match company.head_office.run_until(command, AHEAD) {
        Reached::End(run) => drop(run.ok()),
        Reached::Halt(halted) => panic!("came to {}", halted.step),
    }
    is_whole(company);
}
