//! Whatever is done to keys, in whatever way: head office has the same rows, and was never surprised.

mod every_type;
mod names;
mod references;
mod refused;

use crate::company::{Company, Node};

/// A deferrable key allows swaps; the order of the columns is not that of the key.
const TABLES: &str = "
    CREATE TABLE public.item (note text, no int, shop text, at timestamptz DEFAULT now(),
                              twice int GENERATED ALWAYS AS (no * 2) STORED, seen bigint GENERATED ALWAYS AS IDENTITY,
                              PRIMARY KEY (shop, no) DEFERRABLE);
    CREATE TABLE public.price (code numeric PRIMARY KEY, amount money, day date);
    CREATE COLLATION public.no_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE public.word (word text COLLATE public.no_case PRIMARY KEY, n int);
    CREATE DOMAIN public.sku AS char(8);
    CREATE TABLE public.part (sku public.sku, colour text COLLATE \"en-x-icu\", n int, PRIMARY KEY (sku, colour));";

const TRACKED: [&str; 4] = ["public.item", "public.price", "public.word", "public.part"];

/// What is done, one after the other.
const STEPS: &[&str] = &[
    // Rows to begin with.
    "INSERT INTO public.item SELECT 'n' || n, n, 'shop ' || n % 3 FROM generate_series(1, 30) n;
     INSERT INTO public.price VALUES (1, 1, now()), (2.50, 2, 'infinity'), ('NaN', 3, NULL), ('-Infinity', 4, NULL);
     INSERT INTO public.word VALUES ('Apple', 1), ('pear', 2), ('', 3);
     INSERT INTO public.part VALUES ('a', 'red', 1), ('b ', 'Red', 2), ('b', 'ré', 3)",
    // Swaps, cycles and shifts in one statement.
    "UPDATE public.item SET no = 7 - no WHERE shop = 'shop 1' AND no IN (1, 4) AND no <> 0;
     UPDATE public.item SET no = CASE no WHEN 2 THEN 5 WHEN 5 THEN 8 WHEN 8 THEN 2 END
     WHERE shop = 'shop 2' AND no IN (2, 5, 8)",
    "UPDATE public.item SET no = no + 1; UPDATE public.item SET no = no + 3 WHERE shop = 'shop 0'",
    // A chain of keys within one cut, with a visit to where another was.
    "UPDATE public.item SET no = 1000 WHERE no = 10; UPDATE public.item SET no = 10 WHERE no = 11;
     UPDATE public.item SET no = 1001 WHERE no = 1000; UPDATE public.item SET no = 11 WHERE no = 1001",
    // A chain over several cuts.
    "UPDATE public.item SET shop = 'moved' WHERE no = 12",
    "UPDATE public.item SET shop = 'moved on' WHERE shop = 'moved'",
    "UPDATE public.item SET shop = 'shop 9', no = 12 WHERE shop = 'moved on'",
    // The same key once more, in other letters or digits.
    "UPDATE public.price SET code = 1.000 WHERE code = 1; UPDATE public.price SET code = 2.5 WHERE code = 2.5;
     UPDATE public.word SET word = 'aPPLE' WHERE word = 'apple'; UPDATE public.word SET word = 'PEAR', n = 9 WHERE n = 2;
     UPDATE public.part SET sku = 'a       ' WHERE sku = 'a'",
    "UPDATE public.price SET code = 1.0 WHERE code = 1; DELETE FROM public.word WHERE word = 'pear';
     INSERT INTO public.word VALUES ('Pear', 3); DELETE FROM public.price WHERE code = 'nan'",
    "DELETE FROM public.word WHERE word = 'APPLE'; DELETE FROM public.price WHERE code = 1.00",
    // Deleted and put back, born and gone, gone and born and gone.
    "DELETE FROM public.item WHERE no = 20; INSERT INTO public.item (note, no, shop) VALUES ('back', 20, 'shop 0');
     INSERT INTO public.item VALUES ('brief', -1, 'x'); DELETE FROM public.item WHERE no = -1;
     INSERT INTO public.item VALUES ('brief', -2, 'x'); UPDATE public.item SET no = -3 WHERE no = -2;
     DELETE FROM public.item WHERE no = -3",
    "DELETE FROM public.item WHERE no = 20; INSERT INTO public.item VALUES ('b', 20, 'shop 0');
     DELETE FROM public.item WHERE no = 20",
    // Every way to insert.
    "INSERT INTO public.price VALUES (2.50, 20, NULL), (7, 7, NULL) ON CONFLICT (code) DO UPDATE SET amount = EXCLUDED.amount;
     INSERT INTO public.price VALUES (7, 8, NULL), (8, 8, NULL) ON CONFLICT DO NOTHING;
     INSERT INTO public.price SELECT code + 100, amount, day FROM public.price WHERE code BETWEEN 0 AND 50;
     MERGE INTO public.price t USING (VALUES (7, 0), (8, 1), (9, 2)) AS s (code, how) ON t.code = s.code
     WHEN MATCHED AND how = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET code = 80.0, amount = 81
     WHEN NOT MATCHED THEN INSERT VALUES (s.code, 9, '2000-01-01')",
    "WITH gone AS (DELETE FROM public.price WHERE code > 100 RETURNING *),
          back AS (INSERT INTO public.price SELECT code - 50, amount, day FROM gone RETURNING code)
     UPDATE public.word SET n = (SELECT count(*) FROM back);
     WITH moved AS (DELETE FROM public.part RETURNING *) INSERT INTO public.part SELECT sku, colour || '!', n FROM moved",
    // Taken back in part.
    "BEGIN; INSERT INTO public.word VALUES ('kept', 1); SAVEPOINT a; DELETE FROM public.word; SAVEPOINT b;
     INSERT INTO public.word VALUES ('kept', 2); ROLLBACK TO a; UPDATE public.word SET n = 5 WHERE word = 'KEPT'; COMMIT;
     BEGIN; TRUNCATE public.item; ROLLBACK; BEGIN; SAVEPOINT a; TRUNCATE public.item, public.part; ROLLBACK TO a; COMMIT",
    // A role that replicates fires no ordinary trigger.
    "SET session_replication_role = replica; UPDATE public.item SET note = 'replica' WHERE no < 5;
     DELETE FROM public.part WHERE n = 1; SET session_replication_role = origin",
    "BEGIN; TRUNCATE public.item; INSERT INTO public.item VALUES ('a', 3, 'shop 1'), ('b', 4000, 'shop 1'); COMMIT;
     BEGIN; INSERT INTO public.word VALUES ('before', 1); TRUNCATE public.word; INSERT INTO public.word VALUES ('After', 1);
     TRUNCATE public.word; COMMIT",
    "TRUNCATE public.item, public.price, public.word; INSERT INTO public.item VALUES ('z', 1, 'shop 1')",
];

fn agree(company: &Company, tables: &[&str]) {
    tables.iter().for_each(|table| company.assert_equal(table));
    let incidents = "SELECT string_agg(detail, '; ') FROM salesync.incident";
    assert_eq!(company.head_office.value(incidents), "");
}

fn toml(tables: &[&str]) -> String {
    let quoted: Vec<String> = tables.iter().map(|table| format!("'''{table}'''")).collect();
    format!("tables = [{}]", quoted.join(", "))
}

/// Branches with these tables, which are captured.
fn company_of(branches: &[&str], tables: &[&str], definitions: &str) -> Company {
    let company = Company::new(branches, &toml(tables));
    company.head_office.run(&["init"]).ok();
    for branch in &company.branches {
        branch.sql(definitions);
        branch.run(&["init"]).ok();
    }
    company
}

fn sync(company: &Company, branch: &Node) {
    branch.run(&["bundle"]).ok();
    company.head_office.run(&["apply"]).ok();
}

/// One branch is cut after every step, one after every third, one has a single cut for all of them.
#[test]
fn keys_may_change_in_every_way_between_cuts_and_within_one() {
    let company = company_of(&["east", "north", "west"], &TRACKED, TABLES);
    for (number, step) in STEPS.iter().enumerate() {
        for (branch, every) in company.branches.iter().zip([1, 3, usize::MAX]) {
            // Each statement is a transaction of its own.
            let mut client = branch.client();
            let statements = step.split(';').filter(|statement| !statement.trim().is_empty());
            statements.for_each(|statement| {
                client.batch_execute(statement).unwrap_or_else(|error| panic!("{error:?} in {statement}"));
            });
            if number == 0 || number % every == 0 {
                sync(&company, branch);
            }
        }
        let east = &company.branches[0];
        for table in TRACKED {
            assert_eq!(
                east.rows(table, "true"),
                company.head_office.rows(table, "branch = 'east'"),
                "{step}"
            );
        }
    }
    company.sync();
    agree(&company, &TRACKED);
}

#[test]
fn rows_that_come_by_copy_or_by_triggers_of_the_application_are_captured() {
    let company = company_of(
        &["east"],
        &["public.item"],
        "CREATE TABLE public.item (no int PRIMARY KEY, note text);
         CREATE FUNCTION public.renumber() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN NEW.no := NEW.no * 10; RETURN NEW; END';
         CREATE TRIGGER a BEFORE INSERT OR UPDATE ON public.item FOR EACH ROW EXECUTE FUNCTION public.renumber();
         CREATE FUNCTION public.follow() RETURNS trigger LANGUAGE plpgsql AS
         'BEGIN IF pg_trigger_depth() < 3 THEN INSERT INTO public.item VALUES (NEW.no + 1, ''follows''); END IF; RETURN NULL; END';
         CREATE TRIGGER z AFTER INSERT ON public.item FOR EACH ROW EXECUTE FUNCTION public.follow();
         CREATE RULE keep AS ON DELETE TO public.item WHERE OLD.note = 'kept' DO INSTEAD
         UPDATE public.item SET note = 'was kept' WHERE no = OLD.no",
    );
    let mut client = company.branch().client();
    let mut writer = client.copy_in("COPY public.item FROM STDIN").unwrap();
    std::io::Write::write_all(&mut writer, b"1\tone\n2\tkept\n5\t\\N\n").unwrap();
    writer.finish().unwrap();
    company.sync();
    agree(&company, &["public.item"]);
    company.branch().sql(
        "UPDATE public.item SET note = note || '!' WHERE no < 60; DELETE FROM public.item WHERE no > 60",
    );
    company.sync();
    agree(&company, &["public.item"]);
}
