//! Old files go, and never one that anybody may need.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::company::{Company, Node, SALES};
use crate::servers::fresh_database;

const LONG_AGO: Duration = Duration::from_hours(24 * 100);

/// As if these files had been in the archive for a hundred days.
fn age(files: &[PathBuf]) {
    for file in files {
        File::options().write(true).open(file).unwrap().set_modified(SystemTime::now() - LONG_AGO).unwrap();
    }
}

/// The files that a run removes, or would.
fn pruned(node: &Node, arguments: &[&str]) -> Vec<PathBuf> {
    let report = node.run(&[&["prune", "--json"], arguments].concat()).ok().json();
    let files = report["files"].as_array().unwrap();
    assert_eq!(report["dry_run"], arguments.contains(&"--dry-run"));
    assert_eq!(files.iter().map(|line| line["bytes"].as_u64().unwrap()).sum::<u64>(), report["bytes"]);
    files.iter().map(|line| line["file"].as_str().unwrap().into()).collect()
}

/// Three bundles in a first epoch and three in a second, all applied; the branch knows.
fn two_epochs() -> Company {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    for round in 0..6 {
        east.sell("Ink");
        let since = if round == 3 { "all" } else { "last" };
        east.run(&["bundle", "--since", since]).ok();
        head.run(&["apply"]).ok();
    }
    assert_eq!(east.bundles().len(), 6);
    company
}

fn rebuilt_from(company: &Company, source: &Node, name: &str) -> Vec<String> {
    let folder = source.folder.with_file_name(name);
    fs::create_dir(&folder).unwrap();
    let node = Node { name: "head".into(), folder, database_url: fresh_database() };
    node.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    node.run(&["init"]).ok();
    node.run(&["replay", source.folder.join("bundles").to_str().unwrap()]).ok();
    node.rows("public.sales", "true")
}

#[test]
fn an_epoch_goes_when_the_next_one_is_proven_whole_and_the_archive_still_rebuilds_everything() {
    let company = two_epochs();
    let (east, head) = (company.branch(), &company.head_office);
    // The receipt of the second epoch's first bundle has come with the bundle after it.
    for node in [east, head] {
        let bundles = node.bundles();
        age(&bundles[1..]);
        // The first is young, and without it the others would be no epoch any more.
        assert_eq!(pruned(node, &[]), Vec::<PathBuf>::new(), "{}", node.name);
        age(&bundles);
        assert_eq!(pruned(node, &["--keep", "101d"]), Vec::<PathBuf>::new(), "{}", node.name);
        assert_eq!(pruned(node, &["--dry-run"]), bundles[..3], "{}", node.name);
        assert_eq!(node.bundles(), bundles);
        let shown = node.run(&["prune", "--dry-run"]).ok().stdout();
        assert!(shown.contains("3 files would be removed, "), "{shown}");
        assert_eq!(pruned(node, &[]), bundles[..3], "{}", node.name);
        assert_eq!(node.bundles(), bundles[3..]);
        assert!(!bundles[0].parent().unwrap().exists(), "the folder of the old epoch is left");
        // Again, there is nothing to do.
        assert_eq!(node.run(&["prune"]).ok().stdout(), "0 files removed, 0 bytes\n");
        node.run(&["verify", "bundles"]).ok();
        let expected = east.rows("public.sales", "true");
        assert_eq!(rebuilt_from(&company, node, &format!("from-{}", node.name)), expected);
    }
    // Life goes on.
    east.sell("Pens");
    company.sync();
    company.assert_equal("public.sales");
}

#[test]
fn what_is_not_proven_stays_however_old_it_is() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    east.sell("Ink");
    east.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    // Applied at head office, but the branch has not heard of it.
    for node in [east, head] {
        age(&node.bundles());
    }
    assert_eq!(pruned(east, &["--newest-epoch-too"]), Vec::<PathBuf>::new());
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    age(&east.bundles());
    assert_eq!(pruned(east, &[]).len(), 1);

    // Of the newest epoch the proven ones go if that is wished, never the last of all.
    let bundles = east.bundles();
    assert_eq!(pruned(east, &["--newest-epoch-too"]), bundles[..1]);
    head.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(pruned(east, &["--newest-epoch-too", "--keep", "0s"]), Vec::<PathBuf>::new());
    for _ in 0..2 {
        east.sell("Ink");
        east.run(&["bundle", "--offline"]).ok();
    }
    age(&east.bundles());
    assert_eq!(pruned(east, &["--newest-epoch-too"]), bundles[1..2], "pending ones stay");
    east.run(&["verify", "bundles"]).ok();
    east.run(&["resend", "2"]).exits(1).says(&["0000000002.bundle", "hint: "]);
    company.sync();
    company.assert_equal("public.sales");

    // A database that was set back proves nothing.
    east.sql("UPDATE salesync.node SET last_sequence = 1");
    east.run(&["prune"]).exits(3).says(&["--since all"]);
}

#[test]
fn an_epoch_stays_as_long_as_the_next_one_is_not_whole() {
    let options = format!("[bundle]\nmax_bytes = \"64 KiB\"\n{SALES}");
    let company = Company::new(&["east"], &options);
    let (east, head) = (company.branch(), &company.head_office);
    head.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    east.sql("INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
              SELECT '2021-05-01', md5(n::text), md5((-n)::text), 1, 1, 1, 0, 1 FROM generate_series(1, 4000) n");
    company.sync();
    let first = east.bundles();
    east.run(&["bundle", "--since", "all", "--offline"]).ok();
    let second: Vec<PathBuf> = east.bundles().into_iter().filter(|path| !first.contains(path)).collect();
    let apply = |paths: &[PathBuf]| {
        let files = paths.iter().map(|path| path.to_str().unwrap());
        head.run(&["apply"].into_iter().chain(files).collect::<Vec<_>>()).ok();
    };
    apply(&second[..second.len() - 1]);
    age(&head.bundles());
    assert_eq!(pruned(head, &[]), Vec::<PathBuf>::new());
    apply(&second[second.len() - 1..]);
    assert_eq!(pruned(head, &[]).len(), first.len());
    // At the branch the receipts of all parts decide.
    age(&east.bundles());
    assert_eq!(pruned(east, &[]), Vec::<PathBuf>::new());
    company.sync();
    east.run(&["bundle"]).ok();
    age(&east.bundles());
    assert_eq!(pruned(east, &[]).len(), first.len());
}

#[test]
fn rejected_bundles_go_when_their_number_has_been_applied() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    head.sql("ALTER TABLE public.sales ADD CONSTRAINT no_pens CHECK (product <> 'Pens')");
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    let damaged = head.folder.join("damaged.bundle");
    fs::write(&damaged, b"no bundle").unwrap();
    head.run(&["apply", damaged.to_str().unwrap()]).exits(65);
    let rejected = |whose: &str| -> Vec<PathBuf> {
        let folder = head.folder.join("bundles/_rejected").join(whose);
        fs::read_dir(folder).map_or(Vec::new(), |files| files.map(|file| file.unwrap().path()).collect())
    };
    let (of_east, of_nobody) = (rejected("east"), rejected("unknown"));
    assert_eq!((of_east.len(), of_nobody.len()), (1, 1));
    assert_eq!(pruned(head, &[]), Vec::<PathBuf>::new());
    age(&[&of_east[..], &of_nobody].concat());
    assert_eq!(pruned(head, &[]), of_nobody, "somebody has yet to decide on the other");
    head.sql("ALTER TABLE public.sales DROP CONSTRAINT no_pens");
    east.run(&["resend", "2"]).exits(3);
    head.run(&["apply"]).ok();
    assert_eq!(pruned(head, &[]), of_east);
    assert!(!Path::new(&of_east[0]).exists());
    company.assert_equal("public.sales");
    head.run(&["prune", "--keep", "soon"]).exits(2);
}
