//! One thing after another is broken: each is found, and told with its cure.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use salesync::sandbox::wait_until;

use super::{Examined, close_configuration};
use crate::company::{Company, Node, SALES};
use crate::disks::archive_on_disk;
use crate::enrolled::{KEY, enrolled};

/// A branch that has sent something and had its answer.
fn settled() -> Company {
    let company = Company::of_sales(&["east"]);
    company.branch().sell("Paper");
    company.sync();
    company.branch().run(&["bundle"]).ok();
    company
}

/// Lets so many rows be written to the sales, and waits until PostgreSQL has counted them.
fn written_to_sales(east: &Node, rows: i64, write: impl Fn(&Node)) {
    let counted = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'sales'";
    let count = || east.value(counted).parse::<i64>().unwrap();
    let before = count();
    write(east);
    let is_counted = || Ok((count() >= before + rows).then_some(()));
    wait_until(Duration::from_mins(1), "PostgreSQL's statistics", is_counted).unwrap();
}

/// Writes so many sales without any trigger, and waits until PostgreSQL has counted them.
fn write_behind_its_back(east: &Node, rows: i64) {
    written_to_sales(east, rows, |east| {
        east.sql(&format!(
            "ALTER TABLE public.sales DISABLE TRIGGER salesync_insert;
             INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             SELECT '2021-05-03', 'East', 'Rugs', n, 1, n, 0, n FROM generate_series(1, {rows}) n;
             ALTER TABLE public.sales ENABLE ALWAYS TRIGGER salesync_insert"
        ));
    });
}

#[test]
fn what_is_wrong_with_the_capture_is_found() {
    let company = settled();
    let east = company.branch();
    close_configuration(east);

    east.sql("ALTER TABLE public.sales DISABLE TRIGGER salesync_update");
    Examined::at(east, 1).says(
        "capture.triggers",
        "failed",
        "trigger salesync_update is missing or disabled",
        "salesync init",
    );
    east.sql("ALTER TABLE public.sales ENABLE ALWAYS TRIGGER salesync_update");
    Examined::at(east, 0).says("capture.triggers", "ok", "", "");

    // As an earlier version, or somebody who meant well, may have left it. `init` puts it right.
    east.sql(
        "CREATE OR REPLACE FUNCTION salesync.deleted_1() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS
         'BEGIN RETURN NULL; END'",
    );
    Examined::at(east, 1).says(
        "capture.triggers",
        "failed",
        "trigger salesync_delete is missing or disabled, or was changed",
        "salesync init",
    );
    east.run(&["bundle"]).exits(1).says(&["was changed"]);
    assert_eq!(east.run(&["init", "--json"]).ok().json()["tracked"][0], "public.sales");
    Examined::at(east, 0).says(
        "capture.completeness",
        "note",
        "not checked before it has travelled whole: public.sales",
        "",
    );
    east.run(&["bundle"]).ok();
    Examined::at(east, 0).says("capture.completeness", "ok", "", "");

    // PostgreSQL counts the 19 rows before the one that makes the statement fail; the triggers have not fired.
    written_to_sales(east, 19, |east| {
        east.sql(
            "DO $$ BEGIN
                 INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
                 SELECT '2021-05-03', 'East', 'Rugs', n + 0 / (20 - n), 1, n, 0, n FROM generate_series(1, 20) n;
             EXCEPTION WHEN division_by_zero THEN NULL;
             END $$",
        );
    });
    Examined::at(east, 0).says("capture.completeness", "note", "counted 19 writes more", "");

    write_behind_its_back(east, 20);
    Examined::at(east, 3).says("capture.triggers", "ok", "", "").says(
        "capture.completeness",
        "warning",
        "PostgreSQL has counted 39 writes more in public.sales than were logged",
        "salesync compare",
    );
    east.run(&["bundle", "--since", "all"]).ok();
    Examined::at(east, 0).says("capture.completeness", "ok", "", "");

    east.sql("CREATE TABLE public.customer (name text)");
    let known = Examined::at(east, 3);
    known.says("capture.untracked", "warning", "public.customer does not travel", "local_tables");
    let said = east.run(&["doctor", "--quiet"]).exits(3).stdout();
    assert!(said.starts_with("warning  capture.untracked: public.customer does not travel"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let configure = |options: &str| {
        east.configure("role = \"branch\"", &company.broker_url, options);
        close_configuration(east);
    };
    configure(&format!("local_tables = [\"public.customer\"]\n{SALES}"));
    Examined::at(east, 0).says("capture.untracked", "ok", "", "");
    configure(&format!("tables = [\"public.customer\"]\n{SALES}"));
    Examined::at(east, 78).says("capture.tables", "failed", "no primary key", "ADD PRIMARY KEY");
    east.sql("ALTER TABLE public.customer ADD PRIMARY KEY (name)");
    Examined::at(east, 78).says(
        "capture.tables",
        "failed",
        "public.customer is configured, and not captured yet",
        "salesync init",
    );
    east.run(&["bundle"])
        .exits(78)
        .says(&["public.customer is configured, and not captured yet", "salesync init"]);
    configure(&format!("{SALES}amount = \"totl\"\n"));
    let misspelt = "it has no column \"totl\", which `amount` names";
    Examined::at(east, 78).says("capture.tables", "failed", misspelt, "correct `amount`");
    east.run(&["init"]).exits(78).says(&[misspelt]);
    east.run(&["status"]).exits(78).says(&[misspelt]);
    configure("tables = [\"public.customer\"]\n");
    east.sql("CREATE SCHEMA salesync_old; ALTER TABLE salesync.migration SET SCHEMA salesync_old");
    let lost = Examined::at(east, 78);
    lost.says("database.schema", "failed", "no salesync schema", "salesync init");
    lost.says("capture.tables", "note", "not checked: see database.schema", "");
}

#[test]
fn what_waits_too_long_is_found() {
    let company = settled();
    let (east, head) = (company.branch(), &company.head_office);
    [east, head].into_iter().for_each(close_configuration);

    let mut client = east.client();
    let mut open = client.transaction().unwrap();
    open.batch_execute("UPDATE public.sales SET qty = qty").unwrap();
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    east.sql("UPDATE salesync.bundle SET cut_at = cut_at - interval '3 hours'");
    Examined::at(east, 3).says(
        "database.transactions",
        "warning",
        "a transaction has been open since before the cut 3 h ago",
        "pg_terminate_backend(",
    );
    drop(open);

    east.sell("Ink");
    east.run(&["bundle", "--offline"]).ok();
    east.sell("Rugs");
    east.sql(
        "UPDATE salesync.bundle SET cut_at = cut_at - interval '3 days', sealed_at = sealed_at - interval '3 days',
                published_at = published_at - interval '3 days';
         UPDATE salesync.receipt SET received_at = received_at - interval '1 hour'",
    );
    let late = Examined::at(east, 3);
    late.says(
        "changes.unsynced",
        "warning",
        "1 changed key in no bundle, and the last was cut 3 days ago",
        "cron",
    );
    late.says("changes.pending", "warning", "1 bundle sealed and not published for 3 days", "by stick");
    late.says(
        "changes.answers",
        "warning",
        "not answered a bundle that was published 3 days ago",
        "salesync apply",
    );
    late.says("clock.head-office", "warning", "this clock is behind head office's by", "NTP");
    east.sql(
        "ALTER DATABASE current SET timezone = 'Asia/Tokyo'"
            .replace("current", &east.value("SELECT current_database()"))
            .as_str(),
    );
    Examined::at(east, 3).says(
        "clock.time-zone",
        "note",
        "the database's sessions are in Asia/Tokyo",
        "timedatectl",
    );

    // Head office: nothing is late of its own accord, but this is.
    head.configure(
        "role = \"head-office\"",
        &company.broker_url,
        "[branches.east]\nexpect_every = \"1h\"\n[branches.west]\n",
    );
    close_configuration(head);
    head.sql("UPDATE salesync.branch SET last_applied_at = last_applied_at - interval '3 days', known_since = '2026-01-01'");
    head.sql("UPDATE salesync.receipt SET published_at = NULL, created_at = created_at - interval '2 hours'");
    let office = Examined::at(head, 78);
    office.says(
        "branches.known",
        "failed",
        "west is configured, and neither its queues nor",
        "salesync init",
    );
    office.says(
        "branches.standing",
        "warning",
        "east: Silent for 3 days",
        "salesync request east --sync-now",
    );
    office.says("broker.queues", "failed", "there is no queue salesync.bundles.west", "salesync init");
    office.says("work.receipts", "warning", "not sent: 1, the oldest for 2 h", "salesync apply");
    // As somebody who may look at everything, and owns nothing.
    head.sql("CREATE ROLE doctor_office LOGIN IN ROLE pg_read_all_data");
    let (_, place) = head.database_url.split_once('@').unwrap();
    let database_url = format!("postgres://doctor_office@{place}");
    let office = Node { name: head.name.clone(), folder: head.folder.clone(), database_url };
    office.configure("role = \"head-office\"", &company.broker_url, "[branches.east]\n");
    // It is not this one that applies.
    Examined::at(head, 3).says("work.tables", "ok", "may change every table", "");
    head.sql("ALTER TABLE public.sales OWNER TO salesync");
    let office = Examined::at(head, 3);
    office.says(
        "work.tables",
        "warning",
        "1 table owned by others, public.sales by salesync:",
        "OWNER TO salesync_apply",
    );
}

#[test]
fn what_is_wrong_with_files_is_found() {
    let company = enrolled(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let configuration = fs::read_to_string(east.folder.join("salesync.toml")).unwrap();

    let mode = |node: &Node, file: &str, mode| {
        fs::set_permissions(node.folder.join(file), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(east, "salesync.toml", 0o644);
    Examined::at(east, 3).says("configuration.secrets", "warning", "salesync.toml (mode 0644)", "chmod o=");
    mode(east, "salesync.toml", 0o620);
    Examined::at(east, 3).says("configuration.secrets", "warning", "others may change", "chmod go-w");
    mode(east, "salesync.toml", 0o600);
    mode(east, KEY, 0o640);
    Examined::at(east, 77).says("keys.own", "failed", "others than its owner may use it", "chmod 600");
    mode(east, KEY, 0o600);

    // Whoever can change what head office knows of a branch can have it believe another key.
    mode(head, "salesync.toml", 0o600);
    let own_file = head.folder.join("branches.d/north.toml");
    fs::create_dir(own_file.parent().unwrap()).unwrap();
    fs::write(&own_file, "").unwrap();
    head.run(&["init"]).ok();
    for (path, right, wrong) in [("branches.d/north.toml", 0o644, 0o664), ("branches.d", 0o755, 0o777)] {
        mode(head, path, wrong);
        let what = format!("{path} (mode {wrong:04o}), and have head office believe");
        Examined::at(head, 3).says("configuration.secrets", "warning", &what, &format!("chmod go-w {path}"));
        mode(head, path, right);
    }
    Examined::at(head, 3).says("configuration.secrets", "ok", "can be read by nobody else", "");
    fs::remove_dir_all(own_file.parent().unwrap()).unwrap();

    // One that has ended, one that is about to, one that is none.
    let known = fs::read_to_string(head.folder.join("salesync.toml")).unwrap();
    let page = "[serve]\ntls_certificate = \"page.crt\"\ntls_key = \"page.key\"\n";
    fs::write(head.folder.join("salesync.toml"), format!("{known}{page}")).unwrap();
    let certificate = |year: i32| {
        let mut parameters = rcgen::CertificateParams::new(["sales.example".to_owned()]).unwrap();
        parameters.not_after = rcgen::date_time_ymd(year, 1, 1);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().pem()
    };
    for (text, status, grade, what) in [
        (certificate(2021), 3, "warning", "has expired on 2021-01-01"),
        (certificate(2525), 0, "ok", "is valid until 2525-01-01"),
        ("nonsense".to_owned(), 78, "failed", "there is no certificate in it"),
    ] {
        fs::write(head.folder.join("page.crt"), text).unwrap();
        Examined::at(head, status).says("certificates.expiry", grade, what, "");
    }

    fs::write(
        east.folder.join("salesync.toml"),
        configuration.replace("[database]", "colour = \"red\"\n[database]"),
    )
    .unwrap();
    Examined::at(east, 78).says("configuration.file", "failed", "unknown field `colour`", "README");
}

#[test]
fn an_archive_that_cannot_be_written_to_or_is_nearly_full_is_found() {
    let company = settled();
    let east = company.branch();
    close_configuration(east);
    let Some(mut disk) = archive_on_disk(east, "16m") else {
        fs::set_permissions(east.folder.join("bundles"), fs::Permissions::from_mode(0o500)).unwrap();
        Examined::at(east, 77).says("archive.folder", "failed", "Permission denied", "access");
        return;
    };
    Examined::at(east, 3).says("archive.folder", "ok", "can be written to", "").says(
        "archive.space",
        "warning",
        "MiB free",
        "salesync prune",
    );
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT '2021-05-03', 'East', 'Rugs', n, 1, n, 0, n FROM generate_series(1, 2000) n",
    );
    // By the size of the last bundle, which had one row.
    Examined::at(east, 3).says(
        "changes.next-bundle",
        "warning",
        "2000 changed keys will need about",
        "make room",
    );
    disk.fill();
    Examined::at(east, 1).says("archive.space", "failed", "0 B free", "make room").says(
        "changes.next-bundle",
        "failed",
        "will need",
        "make room",
    );
    disk.make_room();
    disk.remount("ro");
    Examined::at(east, 1).says("archive.folder", "failed", "Read-only file system", "archive.dir");
}
