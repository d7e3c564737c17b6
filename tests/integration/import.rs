//! Sales from CSV files into a real table.

#![expect(clippy::expect_used, reason = "these functions serve tests only, where a panic is the report")]

use std::io::Read;

use postgres::{Client, NoTls};
use rust_decimal::Decimal;
use salesync::branch::create_sales;
use salesync::branch::import::{ImportOptions, ImportOutcome, import};
use salesync::domain::{Failure, Kind};

use crate::company::SALES_2021;
use crate::servers::fresh_database;

/// The same sales as PostgreSQL prints them.
const ROWS_2021: [&str; 6] = [
    "(2021-04-29,East,Paper,73,12.95,945.35,66.17,1011.52)",
    "(2021-04-29,West,Paper,33,12.95,427.35,29.91,457.26)",
    "(2021-04-30,East,Pens,14,2.19,30.66,2.15,32.81)",
    "(2021-04-30,West,Pens,40,2.19,87.60,6.13,93.73)",
    "(2021-05-01,East,Paper,21,12.95,271.95,19.04,290.99)",
    "(2021-05-01,West,Paper,10,12.95,129.50,9.07,138.57)",
];

fn empty_database() -> Client {
    Client::connect(&fresh_database(), NoTls).expect("connecting to the test's database")
}

fn database_with_sales() -> Client {
    let mut client = empty_database();
    create_sales(&mut client).expect("creating public.sales");
    client
}

fn import_file(client: &mut Client, file: impl Read) -> Result<ImportOutcome, Failure> {
    let options = ImportOptions { date_format: None, tax_rate: Decimal::new(7, 2) };
    import(client, file, &options)
}

fn stored_rows(client: &mut Client) -> Vec<String> {
    let rows = client
        .query(
            "SELECT (date, region, product, qty, cost, amt, tax, total)::text FROM public.sales ORDER BY id",
            &[],
        )
        .expect("reading public.sales");
    rows.iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_good_file_lands_row_for_row() {
    let mut client = database_with_sales();
    let outcome = import_file(&mut client, SALES_2021.as_bytes());
    assert_eq!(outcome, Ok(ImportOutcome::Loaded { row_count: 6, total: Decimal::new(202_488, 2) }));
    assert_eq!(stored_rows(&mut client), ROWS_2021);
}

#[test]
fn missing_amounts_are_computed_as_the_complete_file_has_them() {
    let mut client = database_with_sales();
    let lines = SALES_2021.lines().map(|line| line.split(',').take(5).collect::<Vec<_>>().join(","));
    let file = lines.collect::<Vec<_>>().join("\r\n");
    import_file(&mut client, file.as_bytes()).expect("importing five columns");
    assert_eq!(stored_rows(&mut client), ROWS_2021);
}

#[test]
fn a_source_that_comes_in_pieces_lands_as_well() {
    let mut client = database_with_sales();
    let (first, rest) = SALES_2021.split_at(100);
    let pieces = first.as_bytes().chain(rest.as_bytes());
    import_file(&mut client, pieces).expect("importing a chained source");
    assert_eq!(stored_rows(&mut client), ROWS_2021);
}

#[test]
fn a_file_with_bad_lines_lands_nothing_and_tells_them_all() {
    let mut client = database_with_sales();
    let file =
        format!("{SALES_2021}2021-05-02,East,Pens,many,2.19,,,\n\n2021-05-32,East,Pens,1,2.19,,,2.35\n");
    let outcome = import_file(&mut client, file.as_bytes()).expect("reading the file");
    let ImportOutcome::Refused { problems, more } = outcome else {
        panic!("bad lines were imported: {outcome:?}");
    };
    let told: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "line 8, column Qty, \"many\": not a whole number",
            "line 10, column Date, \"2021-05-32\": no such day in the calendar",
            "line 10, column Total, \"2.35\": expected 2.34 (Amt 2.19 + Tax 0.15)",
        ]
    );
    assert_eq!(more, 0);
    assert_eq!(stored_rows(&mut client), [""; 0]);

    import_file(&mut client, SALES_2021.as_bytes()).expect("the same connection goes on working");
    assert_eq!(stored_rows(&mut client), ROWS_2021);
}

#[test]
fn a_thousand_problems_are_kept_and_the_rest_is_counted() {
    let mut client = database_with_sales();
    let file = format!("Date,Region,Product,Qty,Cost\n{}", "2021-05-02,East,Pens,x,2.19\n".repeat(1500));
    match import_file(&mut client, file.as_bytes()).expect("reading the file") {
        ImportOutcome::Refused { problems, more } => assert_eq!((problems.len(), more), (1000, 500)),
        loaded @ ImportOutcome::Loaded { .. } => panic!("bad lines were imported: {loaded:?}"),
    }
}

#[test]
fn a_missing_table_says_how_to_create_it() {
    let failure = import_file(&mut empty_database(), SALES_2021.as_bytes()).expect_err("there is no table");
    assert!(failure.to_string().contains("\"public.sales\" does not exist"), "{failure}");
    assert!(failure.advice().is_some_and(|advice| advice.contains("salesync init --with-sales")));
}

#[test]
fn a_row_that_the_table_refuses_is_told_in_the_words_of_the_server() {
    let mut client = database_with_sales();
    client
        .batch_execute("ALTER TABLE public.sales ADD CONSTRAINT no_pens CHECK (product <> 'Pens')")
        .expect("adding a constraint");
    let failure = import_file(&mut client, SALES_2021.as_bytes()).expect_err("pens are forbidden");
    assert_eq!(failure.kind(), Kind::Failed);
    assert!(failure.to_string().contains("no_pens"), "{failure}");
    assert!(failure.to_string().contains("2021-04-30, East, Pens, 14"), "{failure}");
    assert_eq!(stored_rows(&mut client), [""; 0]);
}

#[test]
fn a_trigger_that_drops_rows_makes_the_import_fail() {
    let mut client = database_with_sales();
    client
        .batch_execute(
            "CREATE FUNCTION drop_pens() RETURNS trigger LANGUAGE plpgsql AS
                 $$BEGIN IF new.product = 'Pens' THEN RETURN NULL; END IF; RETURN new; END$$;
             CREATE TRIGGER drop_pens BEFORE INSERT ON public.sales FOR EACH ROW EXECUTE FUNCTION drop_pens()",
        )
        .expect("creating a trigger");
    let failure = import_file(&mut client, SALES_2021.as_bytes()).expect_err("two rows are missing");
    assert!(failure.to_string().contains("took 4 of 6 rows"), "{failure}");
    assert_eq!(stored_rows(&mut client), [""; 0]);
}
