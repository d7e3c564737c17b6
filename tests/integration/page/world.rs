//! A company as it is on some days: most is well, and each kind of trouble is there once.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use crate::company::{Company, Node};

/// What a branch sells on a day, so many days ago.
const DAY: &str = "
    INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
    SELECT (now() AT TIME ZONE 'UTC')::date - {ago}, initcap('{region}'), product, qty, cost, qty * cost,
           round(qty * cost * 0.07, 2), qty * cost + round(qty * cost * 0.07, 2)
    FROM generate_series(1, 30 + {ago} % 7 * 4) AS n,
         LATERAL (SELECT 1 + (n * 7 + {ago} * 3) % 12 AS qty, 1 + (n * 5 + {ago}) % 6 AS number) AS dice,
         LATERAL (SELECT (ARRAY['Paper A4', 'Pens, blue', 'Ink, black', 'Folders', 'Staples', 'Desk lamp'])[number] AS product,
                         (ARRAY[4.90, 1.20, 24.50, 3.75, 2.10, 39.00])[number]::numeric(12,2) AS cost) AS p";

/// Makes all of it so many days older.
const AGE: &str = "
    DO $$ DECLARE c record;
    BEGIN
        FOR c IN SELECT table_name, column_name FROM information_schema.columns
                 WHERE table_schema = 'salesync' AND data_type = 'timestamp with time zone' LOOP
            EXECUTE format('UPDATE salesync.%I SET %I = %2$I - make_interval(days => {days})', c.table_name, c.column_name);
        END LOOP;
    END $$";

/// Ten days of sales, bundled on three evenings: ten days ago, yesterday, today. East is well. Harbour is silent since
/// yesterday's yesterday, island has never been heard of, north lost a bundle, south sent what head office's table
/// refuses, and west has deleted nearly all it had.
pub fn eventful_company() -> Company {
    let company = Company::of_sales(&["east", "harbour", "island", "north", "south", "west"]);
    expect_all_daily(&company);
    let [east, harbour, _island, north, south, west] = &company.branches[..] else { unreachable!() };
    (30..=70).for_each(|ago| sell(west, ago));
    evening(&company, &[east, harbour, north, south, west], 3..=10);
    company.head_office.sql(&AGE.replace("{days}", "2"));
    evening(&company, &[east, north, south, west], 1..=2);
    company.head_office.sql(&AGE.replace("{days}", "1"));
    lose_a_bundle(&company, north);
    refuse_a_bundle(&company.head_office, south);
    west.sql("DELETE FROM public.sales WHERE date < now()::date - 1");
    evening(&company, &[east, north, south, west], 0..=0);
    company
}

/// A branch with ten days of sales, of which the last are not yet at head office.
pub fn busy_branch() -> Company {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    (1..=10).rev().for_each(|ago| sell(east, ago));
    company.sync();
    drop(east.run(&["bundle"]).ok());
    sell(east, 0);
    drop(east.run(&["bundle", "--offline"]).ok());
    east.sell("Chairs, <b>oak</b> & \"birch\"");
    company
}

fn expect_all_daily(company: &Company) {
    let mut sections = String::new();
    for branch in &company.branches {
        write!(sections, "[branches.{}]\nexpect_every = \"26h\"\n", branch.name).unwrap();
    }
    company.head_office.configure("role = \"head-office\"", &company.broker_url, &sections);
}

/// The branches sell on these days, bundle that, and take in what head office answers.
fn evening(company: &Company, branches: &[&Node], days: RangeInclusive<u32>) {
    for branch in branches {
        days.clone().rev().for_each(|ago| sell(branch, ago));
        branch.run(&["bundle"]).ok();
    }
    company.head_office.run(&["apply"]).exits_with_any(&[0, 3]);
    for branch in branches {
        branch.run(&["bundle"]).exits_with_any(&[0, 3]);
    }
}

fn sell(branch: &Node, ago: u32) {
    branch.sql(&DAY.replace("{ago}", &ago.to_string()).replace("{region}", &branch.name));
}

fn lose_a_bundle(company: &Company, branch: &Node) {
    branch.sell("Labels");
    branch.run(&["bundle"]).ok();
    let mut broker = company.broker();
    let lost = broker.next_bundle(&branch.name).unwrap().expect("a message");
    broker.acknowledge(lost).unwrap();
}

/// Goods come back at a branch, and head office's table takes no negative sales.
fn refuse_a_bundle(head_office: &Node, branch: &Node) {
    head_office.sql("ALTER TABLE public.sales ADD CONSTRAINT no_returns CHECK (qty > 0) NOT VALID");
    branch.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         VALUES ((now() AT TIME ZONE 'UTC')::date, 'South', 'Desk lamp', -1, 39.00, -39.00, -2.73, -41.73)",
    );
}
