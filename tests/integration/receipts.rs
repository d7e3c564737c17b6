//! Head office's answers, and what the branch does with them.

use serde_json::{Value, json};

use crate::company::{Company, SALES};
use crate::forge::forged;
use crate::running::Running;

#[test]
fn a_receipt_proves_the_bundle_and_lets_the_log_forget() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    east.sell("Pens");
    company.sync();
    // The second run brought the receipt of the first bundle.
    assert_eq!(
        east.value("SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle"),
        "applied,published"
    );
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "1");

    let settled = east.run(&["bundle", "--json"]).ok().json();
    assert_eq!(settled["receipts"], 1);
    assert_eq!(
        east.value("SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle"),
        "applied,applied"
    );
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    assert_eq!(east.run(&["status", "--json"]).ok().json()["last_applied"], 2);

    // What was pruned is missed by nobody.
    east.sell("Paper");
    east.sql("DELETE FROM public.sales WHERE product = 'Ink'; UPDATE public.sales SET region = 'West' WHERE product = 'Pens'");
    company.sync();
    company.assert_equal("public.sales");
    assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.incident"), "0");
}

#[test]
fn the_log_keeps_what_head_office_has_not_applied() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    company.sync();
    east.sell("Ink");
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "2");
    east.run(&["bundle", "--since", "1"]).ok();
    company.head_office.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    east.run(&["bundle", "--since", "1"]).exits(2).says(&["has forgotten", "--since all"]);
}

#[test]
fn a_duplicate_is_answered_again_and_a_held_bundle_is_told() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    for product in ["Ink", "Pens", "Paper"] {
        east.sell(product);
        east.run(&["bundle", "--offline"]).ok();
    }
    let files = east.bundles();
    company.head_office.run(&["apply", files[0].to_str().unwrap()]).ok();
    company.head_office.run(&["apply", files[2].to_str().unwrap()]).exits(3);
    // The receipts of files wait for a broker.
    company.head_office.run(&["apply"]).ok();
    east.run(&["bundle"]).exits(3);
    let states = "SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle";
    assert_eq!(east.value(states), "applied,published,held");
    // The bundles come again by the queue; the missing one lets the held one in.
    company.head_office.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.value(states), "applied,applied,applied");
    company.assert_equal("public.sales");
}

#[test]
fn a_receipt_carries_what_head_office_computed() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    east.sell("Pens");
    company.sync();
    east.sql("DELETE FROM public.sales WHERE product = 'Ink'; UPDATE public.sales SET region = 'West'");
    east.sell("Paper");
    // Somebody at head office has taken a row away, which comes back.
    head.sql("DELETE FROM public.sales WHERE product = 'Pens'");
    company.sync();
    east.run(&["bundle"]).ok();
    let body = east.value("SELECT body FROM salesync.receipt ORDER BY receipt_id DESC LIMIT 1");
    assert_eq!(body, head.value("SELECT body FROM salesync.receipt ORDER BY receipt_id DESC LIMIT 1"));
    let receipt: Value = serde_json::from_str(&body).unwrap();
    let table = &receipt["tables"][0];
    assert_eq!(
        ["inserted", "updated", "deleted", "divergences"].map(|effect| table[effect].as_u64().unwrap()),
        [2, 0, 1, 1],
        "{receipt}"
    );
    let kinds: Vec<(&Value, &Value)> = table["members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|member| (&member["kind"], &member["rows"]))
        .collect();
    assert_eq!(
        kinds,
        [(&json!("inserts"), &json!(1)), (&json!("updates"), &json!(1)), (&json!("tombstones"), &json!(1))]
    );
    assert_eq!(table["members"][1]["totals"]["amt"], json!({"sum": "19.98", "values": 1}));
    // The day as it is in head office's own table.
    let day = head.rows("public.sales", "true");
    assert_eq!(table["days"]["days"][0][0], "2021-05-02");
    assert_eq!(table["days"]["days"][0][1], day.len());
    for time in ["received_at", "decided_at"] {
        assert!(receipt[time].as_str().unwrap().ends_with('Z'), "{receipt}");
    }
    let skew = receipt["clock_skew_ms"].as_i64().unwrap();
    assert!((0..600_000).contains(&skew), "{receipt}");
}

#[test]
fn status_tells_what_is_proven_and_how_much_is_not() {
    let company = Company::new(&["east"], &format!("{SALES}amount = \"total\"\n"));
    let east = company.branch();
    company.head_office.run(&["init"]).ok();
    east.run(&["init", "--with-sales"]).ok();
    let status = || east.run(&["status", "--json"]).ok().json();
    east.sell("Ink");
    let first = status();
    assert_eq!((&first["proven_through"], &first["unsynced"]), (&Value::Null, &json!(1)));
    assert_eq!(first["unproven"], json!([{"table": "public.sales", "rows": 1, "amount": "10.69"}]));
    company.sync();
    // Published is not proven.
    assert_eq!(status()["unproven"], first["unproven"]);
    east.run(&["bundle"]).ok();
    let proven = status();
    assert_eq!(proven["unproven"], json!([]));
    let cut_at =
        east.value("SELECT to_char(cut_at, 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') FROM salesync.bundle");
    assert_eq!(proven["proven_through"], cut_at);
    assert!(proven["proven_at"].is_string() && proven["clock"]["at_most_ms"].is_i64(), "{proven}");

    east.sell("Pens");
    east.run(&["bundle", "--offline"]).ok();
    east.sell("Paper");
    east.sql("UPDATE public.sales SET region = 'West' WHERE product = 'Pens'; DELETE FROM public.sales WHERE product = 'Ink'");
    let now = status();
    assert_eq!((&now["unsynced"], &now["pending"]), (&json!(3), &json!(1)));
    // The sale that is gone is a row to prove, and no money.
    assert_eq!(now["unproven"], json!([{"table": "public.sales", "rows": 3, "amount": "51.35"}]));
    assert_eq!(now["proven_through"], proven["proven_through"]);
    let told = east.run(&["status"]).ok().stdout();
    assert!(told.contains("not proven yet: 3 rows of public.sales, 51.35 in all"), "{told}");
    company.sync();
    east.run(&["bundle"]).ok();
    assert_eq!(status()["unproven"], json!([]));
    let wrong = format!("{SALES}amount = \"money\"\n");
    east.configure("role = \"branch\"", &company.broker_url, &wrong);
    east.run(&["status"]).exits(78).says(&["it has no column \"money\""]);
}

/// One of each kind is enqueued by hand, as a confused or an attacked head office would.
#[test]
fn receipts_that_contradict_what_is_known_are_kept_and_change_nothing() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    let answer = head.value("SELECT body FROM salesync.receipt");
    let with = |field: &str, value: Value| {
        let mut receipt: Value = serde_json::from_str(&answer).unwrap();
        receipt[field] = value;
        receipt.to_string()
    };
    let mut broker = company.broker();
    let mut says = |body: String, words: &str| {
        broker.publish_receipt("east", "x", body.as_bytes()).unwrap();
        let run = east.run(&["bundle"]).ok();
        assert!(run.stderr().contains(words), "{}", run.stderr());
    };
    says(with("outcome", json!("rejected")), "head office has applied that bundle before");
    let rejected = |sequence: u64| {
        let mut receipt: Value = serde_json::from_str(&with("sequence", json!(sequence))).unwrap();
        receipt["outcome"] = json!("rejected");
        receipt.to_string()
    };
    says(rejected(9), "this branch has recorded no such bundle");
    says(rejected(2), "other content than this branch has sealed");
    says(with("branch", json!("west")), "came to this branch and is not used");
    says(with("format", json!("salesync-receipt/2")), "cannot be read");
    says("\0".to_owned(), "cannot be read");
    // The same again is no contradiction.
    says(answer.clone(), "");
    let states = "SELECT string_agg(state, ',' ORDER BY sequence) FROM salesync.bundle";
    assert_eq!(east.value(states), "applied,published");
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "1", "the log keeps what is not proven");
    head.run(&["apply"]).ok();
    east.run(&["bundle"]).ok();
    assert_eq!(east.value(states), "applied,applied");
    company.assert_equal("public.sales");
}

#[test]
fn a_clock_that_is_wrong_at_the_branch_is_shown_and_changes_nothing() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    for product in ["Ink", "Pens"] {
        east.sell(product);
        east.run(&["bundle", "--offline"]).ok();
    }
    let [first, second] = &east.bundles()[..] else { panic!("there are two") };
    head.run(&["apply", first.to_str().unwrap()]).ok();
    assert!(!head.run(&["status"]).ok().stdout().contains("clock"));
    let late = forged(second, |manifest| manifest.created_at += chrono::TimeDelta::hours(2));
    std::fs::write(head.folder.join("late.bundle"), late).unwrap();
    head.run(&["apply", "late.bundle"]).ok();
    let told = head.run(&["status"]).ok().stdout();
    assert!(told.contains("its clock is ahead by 71"), "{told}");
    let skew = head.run(&["status", "--json"]).ok().json()["branches"][0]["clock_skew_ms"].as_i64().unwrap();
    assert!((-7_200_000..-7_000_000).contains(&skew), "{skew}");
    company.assert_equal("public.sales");
}

#[test]
fn head_office_having_applied_what_the_branch_does_not_know_stops_the_branch() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    east.run(&["bundle", "--offline"]).ok();
    for (sequence, words) in
        [(2, "applied bundle 2, which it knows as another"), (9, "applied bundle 9, which it does not know")]
    {
        let answer = head.value("SELECT body FROM salesync.receipt ORDER BY receipt_id DESC LIMIT 1");
        let mut receipt: Value = serde_json::from_str(&answer).unwrap();
        receipt["sequence"] = json!(sequence);
        company.broker().publish_receipt("east", "x", receipt.to_string().as_bytes()).unwrap();
        for _ in 0..2 {
            east.run(&["bundle"]).exits(3).says(&[words, "hint: ", "--since all"]);
        }
        assert_eq!(company.broker().queue_depth("east").unwrap(), Some(0), "nothing was sent");
        // A new epoch is how it goes on, and the old answer means nothing there.
        east.run(&["bundle", "--since", "all"]).ok();
        head.run(&["apply"]).ok();
        company.assert_equal("public.sales");
        east.run(&["bundle"]).ok();
        east.sell("Paper");
        east.run(&["bundle", "--offline"]).ok();
    }
}

#[test]
fn answers_that_come_while_a_new_epoch_is_waited_for_are_taken_for_that_epoch() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    for product in ["Ink", "Pens", "Paper"] {
        east.sell(product);
        company.sync();
    }
    east.run(&["bundle"]).ok();
    head.run(&["request", "east", "--full"]).ok();
    let applier = Running::start(head, &["apply", "--follow"]);
    east.run(&["sync", "--wait", "1m"]).ok();
    applier.stops().ok();
    assert_eq!(east.value("SELECT pruned_through FROM salesync.node"), "1", "not the old epoch's bundle 3");
    // So the log forgets what the new epoch proves.
    east.sell("Tape");
    company.sync();
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
    east.sell("Glue");
    east.run(&["bundle", "--since", "2"]).ok();
}

#[test]
fn a_receipt_of_a_time_that_no_clock_shows_stops_nothing() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell("Ink");
    company.sync();
    let answer = head.value("SELECT body FROM salesync.receipt");
    let mut receipt: Value = serde_json::from_str(&answer).unwrap();
    for (field, time) in [
        ("decided_at", "+262142-01-01T00:00:00Z"),
        ("decided_at", "-20000-01-01T00:00:00Z"),
        ("received_at", "+10000-01-01T00:00:00Z"),
    ] {
        let usual = std::mem::replace(&mut receipt[field], json!(time));
        company.broker().publish_receipt("east", "x", receipt.to_string().as_bytes()).unwrap();
        receipt[field] = usual;
        east.run(&["bundle"]).ok().says(&["a receipt cannot be read and is not used: its times"]);
        east.run(&["status"]).ok();
    }
    receipt["clock_skew_ms"] = json!(i64::MIN);
    company.broker().publish_receipt("east", "x", receipt.to_string().as_bytes()).unwrap();
    east.run(&["bundle"]).ok();
    east.run(&["status"]).ok();
}

#[test]
fn nothing_is_proven_through_a_moment_of_a_table_that_has_yet_to_arrive() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sql("CREATE TABLE public.item (id integer PRIMARY KEY); INSERT INTO public.item VALUES (1)");
    east.sell("Ink");
    company.sync();
    east.run(&["bundle"]).ok();
    let through = || east.run(&["status", "--json"]).ok().json()["proven_through"].take();
    assert!(through().is_string());
    let both = format!("{SALES}[[table]]\nname = \"public.item\"\n");
    east.configure("role = \"branch\"", &company.broker_url, &both);
    east.run(&["init"]).ok();
    // Its row was committed before that moment.
    assert_eq!(through(), Value::Null);
    assert!(east.run(&["status"]).ok().stdout().contains("proven: not every table yet\n"));
    company.sync();
    assert_eq!(through(), Value::Null, "it is on its way");
    east.run(&["bundle"]).ok();
    assert!(through().is_string());
}

#[test]
fn status_counts_a_table_whole_whose_key_is_no_more_the_captured_one() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    for product in ["Ink", "Pens"] {
        east.sell(product);
    }
    company.sync();
    for key in ["region, id", "product"] {
        east.sql(&format!("ALTER TABLE public.sales DROP CONSTRAINT sales_pkey, ADD PRIMARY KEY ({key})"));
        assert_eq!(east.run(&["status", "--json"]).ok().json()["unsynced"], 2);
        east.run(&["bundle"]).exits(1).says(&["primary key is not the one that is captured"]);
    }
}

#[test]
fn the_log_forgets_also_if_the_run_that_took_the_receipt_was_killed_before_it_could() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    company.sync();
    east.run(&["bundle"]).ok();
    east.sell("Pens");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "1");
    east.sql("UPDATE salesync.bundle SET state = 'applied' WHERE sequence = 2");
    east.run(&["bundle"]).ok();
    assert_eq!(east.value("SELECT count(*) FROM salesync.log_1"), "0");
}
