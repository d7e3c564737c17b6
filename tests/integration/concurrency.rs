//! Writers never stop while bundles are cut and applied, and head office has every row as it is.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use postgres::{Client, Transaction};

use crate::company::{Company, Node};

const WRITERS: u64 = 7;
const TRANSACTIONS: usize = 300;
const MONEY: i64 = 20_000;

const TABLES: &str = "
    CREATE TABLE public.stock (shop text, item int, qty numeric(12,2), note text, PRIMARY KEY (item, shop));
    CREATE TABLE public.account (id int PRIMARY KEY, balance bigint NOT NULL);
    INSERT INTO public.account SELECT id, 1000 FROM generate_series(1, 20) id;";

/// A sequence of numbers that looks random and is the same for the same seed.
struct Dice(u64);

impl Dice {
    /// One of 0 … sides - 1.
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn key(&mut self) -> String {
        format!("('shop {}', {})", self.throw(3), self.throw(40))
    }
}

/// One change of `public.stock`, in whatever way.
fn change(dice: &mut Dice) -> String {
    let (key, other, qty) = (dice.key(), dice.key(), dice.throw(1000));
    let at = format!("(shop, item) = {key}");
    let upsert = format!(
        "INSERT INTO public.stock VALUES ({}, {qty}, 'n{qty}') ON CONFLICT (item, shop) DO UPDATE SET qty = EXCLUDED.qty",
        key.trim_matches(['(', ')']),
    );
    match dice.throw(10) {
        0..=2 => upsert,
        3 => format!("UPDATE public.stock SET qty = qty + 1 WHERE item % 7 = {}", qty % 7),
        4 => format!("DELETE FROM public.stock WHERE {at}"),
        5 => format!("UPDATE public.stock SET (shop, item) = ROW {other} WHERE {at}"),
        6 => format!("DELETE FROM public.stock WHERE {at}; {upsert}"),
        7 => format!("{upsert}; DELETE FROM public.stock WHERE {at}"),
        8 => format!(
            "WITH gone AS (DELETE FROM public.stock WHERE {at} RETURNING *)
             INSERT INTO public.stock SELECT 'moved ' || shop, item, qty, note FROM gone ON CONFLICT DO NOTHING"
        ),
        _ => format!(
            "MERGE INTO public.stock t USING (VALUES {key}, {other}) AS s (shop, item)
             ON t.shop = s.shop AND t.item = s.item
             WHEN MATCHED AND t.qty > 500 THEN DELETE WHEN MATCHED THEN UPDATE SET note = 'merged'
             WHEN NOT MATCHED THEN INSERT VALUES (s.shop, s.item, {qty}, NULL)"
        ),
    }
}

/// Money goes from one account to another: head office must never see it on neither or on both.
fn transfer(dice: &mut Dice) -> String {
    let (from, to, amount) = (dice.throw(20) + 1, dice.throw(20) + 1, dice.throw(100));
    format!(
        "UPDATE public.account SET balance = balance - {amount} WHERE id = {from};
         UPDATE public.account SET balance = balance + {amount} WHERE id = {to}"
    )
}

/// Several changes, some of them taken back.
fn changes(transaction: &mut Transaction<'_>, dice: &mut Dice) -> Result<(), postgres::Error> {
    for _ in 0..=dice.throw(3) {
        let mut attempt = transaction.transaction()?;
        let done = attempt.batch_execute(&change(dice)).is_ok();
        if done && dice.throw(4) > 0 {
            attempt.commit()?;
        } else {
            attempt.rollback()?;
        }
    }
    transaction.batch_execute(&transfer(dice))
}

/// Empties the table and puts a row back, unless somebody is at work in it.
fn truncate(client: &mut Client) {
    let mut transaction = client.transaction().unwrap();
    let emptied = transaction.batch_execute(
        "SET LOCAL lock_timeout = '30ms'; TRUNCATE public.stock; INSERT INTO public.stock VALUES ('new', 1, 1, '')",
    );
    if emptied.is_ok() { transaction.commit().unwrap() } else { transaction.rollback().unwrap() }
}

/// Deadlocks and serialization failures are part of the game.
fn write(node: &Node, seed: u64) {
    let mut client = node.client();
    let mut dice = Dice(seed);
    for _ in 0..TRANSACTIONS {
        if dice.throw(100) == 0 {
            truncate(&mut client);
            continue;
        }
        let isolation = ["READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"];
        let isolation = isolation[usize::try_from(dice.throw(5)).unwrap().saturating_sub(2)];
        let mut transaction = client.transaction().unwrap();
        transaction.batch_execute(&format!("SET TRANSACTION ISOLATION LEVEL {isolation}")).unwrap();
        match changes(&mut transaction, &mut dice) {
            Ok(()) if dice.throw(5) > 0 => drop(transaction.commit()),
            _ => drop(transaction.rollback()),
        }
    }
}

/// Keeps a transaction open over three cuts, again and again. It has rows that nobody else touches.
fn write_slowly(node: &Node, cuts: &AtomicUsize, is_over: impl Fn() -> bool) -> usize {
    let mut client = node.client();
    let mut spans = 0;
    while !is_over() {
        let mut transaction = client.transaction().unwrap();
        let insert = format!("INSERT INTO public.stock VALUES ('slow', 1000000 + {spans}, 1, 'slow')");
        transaction.batch_execute(&insert).unwrap();
        let begun = cuts.load(Ordering::SeqCst);
        while cuts.load(Ordering::SeqCst) < begun + 3 && !is_over() {
            thread::sleep(Duration::from_millis(5));
        }
        spans += usize::from(cuts.load(Ordering::SeqCst) >= begun + 3);
        transaction.commit().unwrap();
        // Somebody who wants to empty the table gets a chance.
        thread::sleep(Duration::from_millis(100));
    }
    spans
}

/// Says that all is over, also where the test has failed.
struct SayOver<'a>(&'a AtomicBool);

impl Drop for SayOver<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn writers_go_on_while_bundles_are_cut_and_nothing_is_lost_or_doubled() {
    let seed = std::env::var("SALESYNC_TEST_SEED").map_or_else(
        |_| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(),
        |seed| seed.parse().unwrap(),
    );
    println!("SALESYNC_TEST_SEED={seed}");
    let company = Company::new(&["east"], "tables = [\"public.stock\", \"public.account\"]");
    let (branch, head_office) = (company.branch(), &company.head_office);
    branch.sql(TABLES);
    head_office.run(&["init"]).ok();
    branch.run(&["init"]).ok();

    let (cuts, done) = (AtomicUsize::new(0), AtomicBool::new(false));
    let deadline = Instant::now() + Duration::from_mins(2);
    let is_over = || done.load(Ordering::SeqCst) || Instant::now() > deadline;
    thread::scope(|scope| {
        let seeds = (1..=WRITERS).map(|writer| seed.wrapping_add(writer).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let writers: Vec<_> = seeds.map(|seed| scope.spawn(move || write(branch, seed))).collect();
        let slow = scope.spawn(|| write_slowly(branch, &cuts, is_over));
        let over = SayOver(&done);
        while !writers.iter().all(thread::ScopedJoinHandle::is_finished) {
            assert!(Instant::now() < deadline, "the writers do not come to an end");
            branch.run(&["bundle"]).ok();
            cuts.fetch_add(1, Ordering::SeqCst);
            head_office.run(&["apply"]).ok();
            assert_eq!(head_office.value("SELECT sum(balance) FROM public.account"), MONEY.to_string());
        }
        drop(over);
        let spans = slow.join().unwrap();
        println!("{} cuts, {spans} transactions open over three cuts", cuts.load(Ordering::SeqCst));
        assert!(spans > 0, "no transaction was open over several cuts");
    });
    company.sync();
    company.assert_equal("public.stock");
    company.assert_equal("public.account");
    assert_eq!(head_office.value("SELECT string_agg(detail, '; ') FROM salesync.incident"), "");
}
