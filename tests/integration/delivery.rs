//! What can happen to bundles on their way, and what head office makes of it.

use std::fs;
use std::path::{Path, PathBuf};

use salesync::broker::{Broker, OutgoingBundle};
use salesync::bundle::Bundle;
use salesync::domain::{BundleId, Digest, Manifest};

use crate::company::{Company, Node};
use crate::forge::forged;

/// A branch with as many sealed bundles, of which none has been sent.
pub fn sealed(bundles: usize) -> Company {
    let company = Company::of_sales(&["east"]);
    seal(company.branch(), bundles);
    company
}

pub fn seal(branch: &Node, bundles: usize) {
    for number in 1..=bundles {
        branch.sell(&format!("Ink {number}"));
        branch.run(&["bundle", "--offline"]).ok();
    }
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Puts these bytes into a file of the node.
pub fn file(node: &Node, name: &str, bytes: &[u8]) -> PathBuf {
    let path = node.folder.join(name);
    fs::write(&path, bytes).unwrap();
    path
}

/// Puts these bytes into the queue of a branch, whatever they are.
pub fn enqueue(company: &Company, branch: &str, payload: &[u8]) {
    enqueue_by(company.broker(), branch, payload);
}

/// The same over this connection.
pub fn enqueue_by(mut broker: Broker, branch: &str, payload: &[u8]) {
    let sent = broker.publish_bundle(&OutgoingBundle {
        branch,
        bundle_id: "whatever it says",
        epoch: "none",
        sequence: 1,
        manifest_sha256: "none",
        payload,
    });
    sent.unwrap();
}

pub fn manifest_of(path: &Path) -> (Manifest, Digest) {
    let bundle = Bundle::open(fs::File::open(path).unwrap()).unwrap();
    (bundle.manifest().clone(), bundle.manifest_sha256())
}

/// Head office's data, ledger and answers; without the deliveries, and when the answers were sent.
pub fn everything(head: &Node) -> [Vec<String>; 5] {
    let [bundles, branches, receipts, incidents] = everything_but_sales(head);
    [head.rows("public.sales", "true"), bundles, branches, receipts, incidents]
}

fn everything_but_sales(head: &Node) -> [Vec<String>; 4] {
    let receipts = "SELECT string_agg(format('%s %s %s', receipt_id, outcome, body), ' ' ORDER BY receipt_id)
                    FROM salesync.receipt";
    let receipts = head.value(&format!("SELECT coalesce(({receipts}), '')"));
    let [bundles, branches, incidents] =
        ["salesync.bundle", "salesync.branch", "salesync.incident"].map(|table| head.rows(table, "true"));
    [bundles, branches, vec![receipts], incidents]
}

fn outcomes(head: &Node) -> String {
    head.value(
        "SELECT string_agg(source || ' ' || outcome, ', ' ORDER BY delivery_id) FROM salesync.delivery",
    )
    .replace('"', "")
}

#[test]
fn a_bundle_delivered_again_in_any_way_is_a_duplicate_and_changes_nothing() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    company.sync();
    let before = everything(head);

    east.run(&["resend", "1..2"]).ok();
    east.run(&["resend", "2"]).ok();
    let again = head.run(&["apply", "--json"]).ok().json();
    assert_eq!((again["duplicates"].as_u64(), again["applied"].as_array().unwrap().len()), (Some(3), 0));
    for bundle in east.bundles() {
        head.run(&["apply", text(&bundle)]).ok();
    }

    assert_eq!(everything(head), before);
    let deliveries = "queue applied, queue applied, queue duplicate, queue duplicate, queue duplicate, \
                      file duplicate, file duplicate";
    assert_eq!(outcomes(head), deliveries);
}

#[test]
fn a_message_that_was_applied_but_never_acknowledged_is_a_duplicate() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    east.run(&["bundle"]).ok();
    head.run(&["apply", text(&east.bundles()[0])]).ok();
    let before = everything(head);
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["duplicates"], 1);
    assert_eq!(everything(head), before);
    assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0));
}

#[test]
fn what_comes_before_its_turn_is_held_and_applied_by_itself_in_any_order() {
    let company = sealed(5);
    let east = company.branch();
    let bundles = east.bundles();
    for order in [[4, 3, 2, 1, 0], [1, 0, 4, 2, 3], [2, 4, 0, 3, 1], [4, 0, 1, 2, 3]] {
        let head = fresh_head_office(&company);
        let mut arrived = [false; 5];
        for number in order {
            arrived[number] = true;
            let applied = arrived.iter().take_while(|there| **there).count();
            let own_turn = number < applied;
            let run =
                head.run(&["apply", "--json", text(&bundles[number])]).exits(if own_turn { 0 } else { 3 });
            assert_eq!(run.json()["held"], u64::from(!own_turn), "{order:?}, at {number}");
            let status = head.run(&["status", "--json"]).ok().json();
            let last = status["branches"][0]["last_sequence"].as_u64().unwrap_or(0);
            assert_eq!(last, applied as u64, "{order:?}, at {number}");
        }
        assert_eq!(head.rows("public.sales", "true"), east.rows("public.sales", "true"), "{order:?}");
        assert_eq!(head.bundles().len(), 5);
        head.run(&["status", "--check"]).ok();
    }
}

/// Another head office of the company, which needs no queues.
fn fresh_head_office(company: &Company) -> Node {
    let head = &company.head_office;
    let name = format!("head-{}", tempfile::Builder::new().tempdir().unwrap().path().display());
    let folder = head.folder.with_file_name(name.replace(['/', '.'], "_"));
    fs::create_dir(&folder).unwrap();
    let node = Node { name: "head".into(), folder, database_url: crate::servers::fresh_database() };
    node.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    node.run(&["init"]).ok();
    node
}

#[test]
fn a_lost_bundle_is_named_until_it_is_sent_again() {
    let company = sealed(3);
    let (east, head) = (company.branch(), &company.head_office);
    east.run(&["bundle"]).ok();
    let lost = {
        let mut broker = company.broker();
        broker.next_bundle("east").unwrap().map(|first| broker.acknowledge(first).unwrap())
    };
    assert!(lost.is_some());

    assert_eq!(head.run(&["apply", "--json"]).exits(3).json()["held"], 2);
    let status = head.run(&["status", "--check", "--json"]).exits(3).json();
    assert_eq!(status["branches"][0]["held"], serde_json::json!([2, 3]));
    assert_eq!(status["branches"][0]["missing"], serde_json::json!([1]));

    // The branch knows by now that two of its bundles wait.
    east.run(&["resend", "1"]).exits(3);
    assert_eq!(head.run(&["apply", "--json"]).ok().json()["applied"].as_array().unwrap().len(), 3);
    company.assert_equal("public.sales");
    head.run(&["status", "--check"]).ok();
}

#[test]
fn a_run_cut_short_before_the_held_bundles_is_made_up_for_by_the_next() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    let bundles = east.bundles();
    head.run(&["apply", text(&bundles[1])]).exits(3);
    // Killed after the first was committed: the second waits, and nothing else comes.
    let aside = head.bundles()[0].clone();
    let content = fs::read(&aside).unwrap();
    fs::remove_file(&aside).unwrap();
    head.run(&["apply", text(&bundles[0])]).ok();
    fs::write(&aside, content).unwrap();

    assert_eq!(head.run(&["apply", "--json"]).ok().json()["applied"][0]["sequence"], 2);
    company.assert_equal("public.sales");
}

/// A run was killed before it could put it aside, or somebody has copied a wrong file there.
#[test]
fn another_bundle_that_stands_in_the_place_of_one_in_head_offices_archive_makes_room_for_it() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    let [first, second] = <[PathBuf; 2]>::try_from(east.bundles()).unwrap();
    let place = head.folder.join(second.strip_prefix(&east.folder).unwrap());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::copy(&first, &place).unwrap();
    head.run(&["apply", text(&first), text(&second)]).ok().says(&["stood in the place of another bundle"]);
    assert_eq!(fs::read(&place).unwrap(), fs::read(&second).unwrap());
    head.run(&["verify", "bundles/east"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_fork_is_rejected_and_leaves_what_was_applied() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    company.sync();
    let before = head.rows("public.sales", "true");

    let other = forged(&east.bundles()[1], |manifest| manifest.bundle_id = BundleId::generate());
    let fork = file(east, "fork.bundle", &other);
    let reason = rejection(head, &["apply", "--json", text(&fork)]);
    assert!(reason.contains("fork"), "{reason}");

    // A third bundle that follows another second one than head office's.
    east.sell("Third");
    east.run(&["bundle", "--offline"]).ok();
    let third =
        forged(&east.bundles()[2], |manifest| manifest.previous = Some(Digest::of(b"another second")));
    enqueue(&company, "east", &third);
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("fork"), "{reason}");
    assert_eq!(head.rows("public.sales", "true"), before);

    company.sync();
    company.assert_equal("public.sales");
}

/// The reason of the one rejection, by a run that otherwise finishes.
pub fn rejection(head: &Node, arguments: &[&str]) -> String {
    let report = head.run(arguments).exits(3).json();
    assert_eq!(report["rejected"].as_array().unwrap().len(), 1, "{report}");
    report["rejected"][0]["reason"].as_str().unwrap().to_owned()
}

#[test]
fn a_held_fork_makes_room_for_the_true_bundle() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    let false_second = forged(&east.bundles()[1], |manifest| {
        manifest.previous = Some(Digest::of(b"another first"));
        manifest.bundle_id = BundleId::generate();
    });
    head.run(&["apply", text(&file(east, "false.bundle", &false_second))]).exits(3);
    // The first takes its turn, and the false second is found out.
    let reason = rejection(head, &["apply", "--json", text(&east.bundles()[0])]);
    assert!(reason.contains("fork"), "{reason}");
    head.run(&["apply", text(&east.bundles()[1])]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_held_file_that_rots_or_is_lost_on_head_offices_disk_is_missing_again() {
    let damages: [fn(&Path); 2] =
        [|file| fs::write(file, b"rotten").unwrap(), |file| fs::remove_file(file).unwrap()];
    for damage in damages {
        let company = sealed(3);
        let (east, head) = (company.branch(), &company.head_office);
        let bundles = east.bundles();
        head.run(&["apply", text(&bundles[2]), text(&bundles[1])]).exits(3);
        damage(&head.bundles()[0]);

        head.run(&["apply", text(&bundles[0])]).ok().says(&["has to come again"]);
        let status = head.run(&["status", "--json"]).ok().json();
        assert_eq!(status["branches"][0]["missing"], serde_json::json!([2]));
        head.run(&["apply", text(&bundles[1])]).ok();
        company.assert_equal("public.sales");
    }
}

#[test]
fn a_bundle_in_another_branchs_queue_is_rejected_and_charged_to_whoever_sent_it() {
    let company = Company::of_sales(&["east", "west"]);
    let (east, head) = (&company.branches[0], &company.head_office);
    seal(east, 1);
    enqueue(&company, "west", &fs::read(&east.bundles()[0]).unwrap());
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("bundle of east") && reason.contains("queue of west"), "{reason}");
    assert_eq!(head.value("SELECT string_agg(branch, ' ') FROM salesync.incident"), "west");
    assert_eq!(head.value("SELECT count(*) FROM salesync.receipt"), "0", "east is told nothing about it");
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn a_file_of_an_unknown_branch_is_left_alone_and_others_are_applied() {
    let company = sealed(1);
    let stranger = Company::of_sales(&["stranger"]);
    seal(stranger.branch(), 1);
    let (east, head) = (company.branch(), &company.head_office);
    let (theirs, ours) = (&stranger.branch().bundles()[0], &east.bundles()[0]);
    let run = head.run(&["apply", text(theirs), "/nonexistent.bundle", text(ours)]).exits(1);
    let run = run.says(&["the branch stranger", "[branches.stranger]", "/nonexistent.bundle: No such file"]);
    assert_eq!(run.stderr().matches("salesync: ").count(), 2, "each trouble is told once: {}", run.stderr());
    company.assert_equal("public.sales");
    head.run(&["apply", text(theirs)]).exits(78);
}

#[test]
fn a_damaged_message_is_put_aside_with_its_reason_while_other_branches_go_on() {
    let company = Company::of_sales(&["east", "west"]);
    let [east, west] = &company.branches[..] else { panic!("two branches") };
    let head = &company.head_office;
    seal(east, 1);
    let mut damaged = fs::read(&east.bundles()[0]).unwrap();
    let middle = damaged.len() - 1600;
    damaged[middle] ^= 1;
    enqueue(&company, "east", &damaged);
    enqueue(&company, "east", b"no bundle at all");
    enqueue(&company, "east", b"");
    seal(west, 2);
    west.run(&["bundle"]).ok();

    let report = head.run(&["apply", "--json"]).exits(3).json();
    assert_eq!(report["rejected"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(report["rejected"][0]["branch"], "east");
    assert_eq!(report["applied"].as_array().unwrap().len(), 2, "{report}");

    let mut broker = company.broker();
    let dead = broker.next_dead().unwrap().unwrap();
    assert_eq!(dead.payload, damaged);
    let reason = dead.headers.reason.clone().unwrap();
    assert_eq!(report["rejected"][0]["reason"], reason);
    assert_eq!(
        head.value("SELECT count(*) FROM salesync.incident WHERE kind = 'rejected' AND branch = 'east'"),
        "3"
    );
    let kept = head.value("SELECT file FROM salesync.incident ORDER BY incident_id LIMIT 1");
    assert!(kept.contains("_rejected/east"), "{kept}");
    assert_eq!(fs::read(head.folder.join(&kept)).unwrap(), damaged);
    drop(broker);

    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn totals_that_lie_are_rolled_back_and_both_figures_told() {
    let company = sealed(1);
    let (east, head) = (company.branch(), &company.head_office);
    company.sync();
    let before = everything(head)[0].clone();
    east.sell("Second");
    east.run(&["bundle", "--offline"]).ok();
    let path = &east.bundles()[1];

    let control = forged(path, |manifest| {
        let member = &mut manifest.tables[0].members[0];
        member.totals.get_mut("total").unwrap().sum = "1000000.00".into();
    });
    let reason = rejection(head, &["apply", "--json", text(&file(east, "control.bundle", &control))]);
    assert!(reason.contains("1000000.00") && reason.contains("20.68"), "{reason}");

    let day = forged(path, |manifest| {
        manifest.tables[0].day_totals.as_mut().unwrap().days[0].rows = 77;
    });
    enqueue(&company, "east", &day);
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("77 rows") && reason.contains("head office has 2 rows"), "{reason}");

    assert_eq!(head.rows("public.sales", "true"), before);
    company.sync();
    company.assert_equal("public.sales");
}

type Change = Box<dyn FnOnce(&mut Manifest)>;

/// Manifests that are in form, but of which head office's database can make no sense.
#[test]
fn nonsense_that_only_the_database_finds_is_rejected_and_not_tried_for_ever() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    let (first, second) = (&east.bundles()[0], &east.bundles()[1]);
    let first_id = manifest_of(first).0.bundle_id;
    let early: Vec<Change> = vec![
        Box::new(|manifest| manifest.tables[0].columns[2].type_name = "anyelement".into()),
        Box::new(|manifest| manifest.tables[0].columns[2].type_name = "nosuchtype".into()),
        Box::new(|manifest| manifest.tables[0].name.schema = "salesync".into()),
        Box::new(|manifest| manifest.tables[0].name.schema = "pg_catalog".into()),
        Box::new(|manifest| manifest.tables[0].day_totals.as_mut().unwrap().days[0].day = "someday".into()),
        Box::new(|manifest| manifest.tables[0].range.as_mut().unwrap().after = Some(vec!["x".into()])),
        Box::new(|manifest| manifest.tables[0].members[0].rows = 10),
    ];
    for (number, change) in early.into_iter().enumerate() {
        let bytes = forged(first, |manifest| {
            manifest.bundle_id = BundleId::generate();
            change(manifest);
        });
        enqueue(&company, "east", &bytes);
        let reason = rejection(head, &["apply", "--json"]);
        assert!(!reason.contains("db error"), "{number}: {reason}");
    }
    assert_eq!(head.value("SELECT to_regclass('public.sales') IS NULL"), "true");

    head.run(&["apply", text(first)]).ok();
    enqueue(&company, "east", &forged(second, |manifest| manifest.bundle_id = first_id));
    rejection(head, &["apply", "--json"]);
    // Held bundles are recorded too.
    let too_early = forged(second, |manifest| {
        manifest.bundle_id = first_id;
        manifest.sequence = salesync::domain::Sequence::new(9).unwrap();
    });
    enqueue(&company, "east", &too_early);
    rejection(head, &["apply", "--json"]);
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn a_number_far_in_the_future_is_held_and_does_not_exhaust_anybody() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    let far = forged(&east.bundles()[1], |manifest| {
        manifest.sequence = salesync::domain::Sequence::new(i64::MAX.unsigned_abs()).unwrap();
    });
    head.run(&["apply", text(&file(east, "far.bundle", &far))]).exits(3);
    let status = head.run(&["status", "--json"]).ok().json();
    assert_eq!(status["branches"][0]["missing"].as_array().unwrap().len(), 1000);
}

#[test]
fn a_row_that_head_offices_constraint_refuses_stops_its_branch_only() {
    let company = Company::of_sales(&["east", "west"]);
    let head = &company.head_office;
    company.branches.iter().for_each(|branch| branch.sell("Ink"));
    company.sync();
    head.sql("ALTER TABLE public.sales ADD CONSTRAINT no_lead CHECK (product <> 'Lead')");
    company.branches[0].sell("Lead");
    company.branches[1].sell("Paper");
    company.branches.iter().for_each(|branch| drop(branch.run(&["bundle"]).ok()));

    let report = head.run(&["apply", "--json"]).exits(3).json();
    let reason = report["rejected"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("table sales") && reason.contains("constraint no_lead"), "{reason}");
    assert_eq!(report["applied"][0]["branch"], "west");

    // What follows waits for it; with the constraint gone, the same bytes are applied, and then the rest.
    company.branches[0].sell("Chalk");
    let told = company.branches[0].run(&["bundle"]).exits(3).stdout();
    assert!(told.contains("rejected bundle 2") && told.contains("no_lead"), "{told}");
    assert_eq!(head.run(&["apply", "--json"]).exits(3).json()["held"], 1);
    head.sql("ALTER TABLE public.sales DROP CONSTRAINT no_lead");
    company.branches[0].run(&["resend", "2"]).exits(3);
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_key_too_wide_for_head_offices_index_is_rejected() {
    let company = Company::new(&["east"], "tables = [\"public.notes\"]\n");
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.sql("CREATE TABLE public.notes (id text PRIMARY KEY)");
    east.run(&["init"]).ok();
    // It fits the branch's index; with the branch's name beside it, it does not fit head office's.
    east.sql("INSERT INTO public.notes SELECT left(string_agg(md5(n::text), ''), 2688) FROM generate_series(1, 90) n");
    east.run(&["bundle"]).ok();
    let reason = rejection(head, &["apply", "--json"]);
    assert!(reason.contains("index row size"), "{reason}");
}

#[test]
fn what_somebody_changed_at_head_office_is_put_right_and_noted() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    (0..4).for_each(|_| east.sell("Ink"));
    company.sync();
    head.sql(
        "DELETE FROM public.sales WHERE id IN (1, 2);
         INSERT INTO public.sales SELECT branch, 5, date, region, 'Planted', qty, cost, amt, tax, total
         FROM public.sales WHERE id = 3",
    );
    // The first finds no row to change, the second none to delete, the fifth one where there should be none.
    east.sql("UPDATE public.sales SET product = 'Paper' WHERE id = 1; DELETE FROM public.sales WHERE id = 2");
    east.sell("Fifth");
    company.sync();
    company.assert_equal("public.sales");
    let incident = head.value("SELECT kind || ': ' || detail FROM salesync.incident");
    assert!(incident.contains("divergence") && incident.contains("3 rows"), "{incident}");
}

#[test]
fn a_row_missing_at_head_office_on_a_day_that_changed_shows_in_the_days_totals() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    (0..3).for_each(|_| east.sell("Ink"));
    company.sync();
    head.sql("DELETE FROM public.sales WHERE id = 1");
    east.sell("Fourth");
    east.run(&["bundle"]).ok();
    let reason = rejection(head, &["apply", "--json"]);
    assert!(
        reason.contains("the branch has 4 rows") && reason.contains("head office has 3 rows"),
        "{reason}"
    );
    east.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
}

#[test]
fn a_rehearsal_changes_nothing() {
    let company = sealed(2);
    let (east, head) = (company.branch(), &company.head_office);
    let before = everything_but_sales(head);
    let files = east.bundles();
    let check = head.run(&["apply", "--check", "--json", text(&files[0])]).ok().json();
    assert_eq!(check["applied"][0]["sequence"], 1);
    let told = head.run(&["apply", "--check", text(&files[0])]).ok().stdout();
    let effect = "public.sales: 1 inserted, 0 updated, 0 deleted; 0 rows not as the branch took them to be";
    assert!(told.contains(effect), "{told}");
    let control = forged(&files[0], |manifest| {
        manifest.tables[0].day_totals.as_mut().unwrap().days[0].rows += 1;
    });
    head.run(&["apply", "--check", text(&file(east, "lie.bundle", &control))]).exits(3);
    head.run(&["apply", "--check", text(&files[1])]).exits(3);
    assert_eq!(everything_but_sales(head), before);
    assert_eq!(head.bundles().len(), 0);
}
