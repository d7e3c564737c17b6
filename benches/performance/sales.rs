//! Sales such as the demo invents: the same ones in every run and on both sides of a comparison.

use postgres::Client;

/// The table's columns but for its key, which the table counts itself.
pub const COLUMNS: &str = "date, region, product, qty, cost, amt, tax, total";

/// A branch sells so much in a day, whatever it has sold before.
const PER_DAY: u64 = 20_000;

/// So many products, each with its price, and quantities up to 90: a row is about 66 bytes of CSV, and less than 9 at
/// zstd's level 9.
const PRODUCTS: u64 = 200;

/// From one changed row to the next.
const STRIDE: u64 = 7919;

/// A query for `count` sales, from the `first` on, with their number `n`.
pub fn invented(first: u64, count: u64) -> String {
    format!(
        "SELECT n, date '2021-04-29' + (n / {PER_DAY})::int AS date, 'East' AS region, product, qty,
                cost, qty * cost AS amt, round(qty * cost * 0.07, 2) AS tax, qty * cost + round(qty * cost * 0.07, 2) AS total
         FROM generate_series({first}::bigint, {first} + {count} - 1) AS n,
              LATERAL (SELECT hashint8extended(n, 1) AS dice) AS d,
              LATERAL (SELECT 1 + (dice & 1073741823) % {PRODUCTS} AS number, (1 + (dice >> 32 & 1073741823) % 90)::int AS qty) AS r,
              LATERAL (SELECT (ARRAY['Paper', 'Pens', 'Ink, black', 'Folders \"A4\"', 'Staples', 'Desk lamp'])[1 + number % 6]
                              || ' ' || number AS product,
                              round((99 + (hashint8extended(number, 7) & 1073741823) % 9900) / 100.0, 2) AS cost) AS p"
    )
}

/// In what portions they are written.
#[derive(Debug, Clone, Copy)]
pub enum Commits {
    /// All in one transaction, as an import does.
    One,
    /// Each row in its own, as tills do.
    Each,
}

/// Writes `count` new sales.
pub fn write(client: &mut Client, first: u64, count: u64, commits: Commits) {
    let sales = invented(first, count);
    match commits {
        Commits::One => {
            let insert = format!("INSERT INTO public.sales ({COLUMNS}) SELECT {COLUMNS} FROM ({sales}) AS s");
            client.batch_execute(&insert).unwrap();
        }
        Commits::Each => commit_each(client, &sales, &insert_one()),
    }
}

/// The sales that are changed or deleted: the last `among` of the first `base`.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    pub base: u64,
    pub among: u64,
}

/// Writes `count` changes, each in a transaction of its own: of 20 there are 14 new sales, 5 changed ones and one that
/// is deleted. `done` is how many have been written before. Known sales are taken far from each other, and each once.
pub fn change(client: &mut Client, known: Known, done: u64, count: u64) {
    let Known { base, among } = known;
    assert!(among % STRIDE != 0 && (done + count) * 6 / 20 <= among, "too few rows for so many changes");
    let one = format!(
        "known := {base} - ((s.n - {base}) / 20 * 6 + (s.n - {base}) % 20 - 14) * {STRIDE} % {among};
         IF (s.n - {base}) % 20 < 14 THEN {}
         ELSIF (s.n - {base}) % 20 < 19 THEN
             UPDATE public.sales SET qty = qty + 1, amt = amt + cost, total = total + cost WHERE id = known;
         ELSE DELETE FROM public.sales WHERE id = known;
         END IF;",
        insert_one(),
    );
    commit_each(client, &invented(base + done, count), &one);
}

fn insert_one() -> String {
    let values = COLUMNS.split(", ").map(|column| format!("s.{column}")).collect::<Vec<_>>().join(", ");
    format!("INSERT INTO public.sales ({COLUMNS}) VALUES ({values});")
}

/// Not waiting for the disk changes nothing of what is written, and spares an hour.
fn commit_each(client: &mut Client, sales: &str, statement: &str) {
    client.batch_execute("SET synchronous_commit = off").unwrap();
    let each = format!(
        "DO $$ DECLARE s record; known bigint;
         BEGIN FOR s IN {sales} LOOP {statement} COMMIT; END LOOP; END $$"
    );
    client.batch_execute(&each).unwrap();
    client.batch_execute("RESET synchronous_commit").unwrap();
}

/// What stands for all rows of the table: equal on both sides if they are. Head office's `branch` is left out.
pub fn fingerprint(client: &mut Client) -> String {
    let query = format!(
        "SELECT count(*) || ' ' || coalesce(sum(hashtextextended(s::text, 0)::numeric), 0)
         FROM (SELECT id, {COLUMNS} FROM public.sales) AS s"
    );
    client.query_one(&query, &[]).unwrap().get(0)
}
