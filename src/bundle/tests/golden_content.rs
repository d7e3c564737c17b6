//! What the golden bundles of version 1 say: branch `golden` sends two tables whole, and then what
//! changed in them.

use uuid::Uuid;

use super::sample::{Table, column, write, write_signed};
use crate::bundle::tally::Tally;
use crate::domain::{
    BUNDLE_FORMAT, BundleId, Column, Cut, DayTotal, DayTotals, Digest, Epoch, KeyRange, Manifest, MemberKind,
    Mode, Sequence, SigningKey,
};

/// The bundles in order, each with the digest of its manifest; signed if there is a key.
pub(super) fn bundles(key: Option<&SigningKey>) -> Vec<(Manifest, Digest, Vec<u8>)> {
    let write = |head, tables: &[Table]| match key {
        Some(key) => write_signed(key, head, tables),
        None => write(head, tables),
    };
    let times = ["2024-03-01T17:29:57Z", "2024-03-01T17:30:00.123456Z"];
    let first = write(head(1, None, "742:742:", times), &whole());
    let times = ["2024-03-02T17:29:59.75Z", "2024-03-02T17:30:00Z"];
    let second = write(head(2, Some(first.1), "748:751:748,750", times), &changes());
    vec![first, second]
}

fn head(number: u8, previous: Option<Digest>, watermark: &str, times: [&str; 2]) -> Manifest {
    let [taken_at, created_at] = times.map(|time| time.parse().unwrap());
    Manifest {
        format: BUNDLE_FORMAT.to_owned(),
        bundle_id: BundleId(Uuid::from_u128(0x018d_fb5e_0000_7000_8000_0000_0000_0000 + u128::from(number))),
        branch: "golden".parse().unwrap(),
        epoch: Epoch(Uuid::from_u128(0x018d_fb5d_0000_7000_8000_0000_0000_0000)),
        sequence: Sequence::new(number.into()).unwrap(),
        previous,
        cut: Cut { watermark: watermark.to_owned(), taken_at, part: 1, last: true },
        created_at,
        confirmations: Vec::new(),
        tool: "salesync 0.1.0".to_owned(),
        tables: Vec::new(),
    }
}

fn sales_columns() -> Vec<Column> {
    vec![
        column("id", "bigint", Some(1)),
        column("date", "date", None),
        column("region", "text", None),
        column("product", "text", None),
        column("qty", "integer", None),
        column("cost", "numeric(12,2)", None),
        column("amt", "numeric(14,2)", None),
        column("tax", "numeric(14,2)", None),
        column("total", "numeric(14,2)", None),
    ]
}

/// Its key is (region, year): not in the order of the columns, and text in "C" order.
fn targets_columns() -> Vec<Column> {
    vec![
        column("year", "integer", Some(2)),
        column("region", "text", Some(1)),
        column("target", "numeric", None),
        column("note", "character varying(40)", None),
    ]
}

const SALE_1: &str = "1,2024-02-29,North,\"Widget, large\",3,10.50,31.50,6.30,37.80\n";
const SALE_2: &str = "2,2024-02-29,,\"\"\"Größe\"\" 日本 🧾\",1,0.10,0.10,0.02,0.12\n";
const SALE_3: &str =
    "3,2024-03-01,\"\",\"line one\nline two\",2,1234567890.12,2469135780.24,493827156.05,2962962936.29\n";
const SALE_4: &str = "4,2024-03-01,South,Refund,-1,99.99,-99.99,-20.00,-119.99\n";
const SALE_BIG: &str = "9007199254740993,2024-03-01,South,gift,0,,0.00,0.00,0.00\n";
const SALE_3_LATER: &str = "3,2024-03-01,West,\"line \"\"one\"\"\r\nline two\",4,0.01,0.04,0.01,0.05\n";
const SALE_6: &str = "6,2024-03-02,North,\\N,1,NaN,5.00,1.00,6.00\n";

fn whole() -> [Table; 2] {
    let everything = KeyRange { after: None, through: None };
    let mut sales = Table::new("public.sales", sales_columns())
        .with(MemberKind::Inserts, [SALE_1, SALE_2, SALE_3, SALE_4, SALE_BIG].concat());
    sales.mode = Mode::Range;
    sales.range = Some(everything.clone());
    sales.day_totals =
        Some(days(&[("2024-02-29", &[SALE_1, SALE_2]), ("2024-03-01", &[SALE_3, SALE_4, SALE_BIG])]));
    let mut targets = Table::new("public.targets", targets_columns()).with(
        MemberKind::Inserts,
        "2024,North,100000.00,\n\
         2025,North,12345678901234567890.1234567890,\"first, draft\"\n\
         2024,Zürich,0.00000001,\"\"\n\
         2023,aachen,-7,\\N\n",
    );
    targets.mode = Mode::Range;
    targets.range = Some(everything);
    [sales, targets]
}

fn changes() -> [Table; 2] {
    let mut sales = Table::new("public.sales", sales_columns())
        .with(MemberKind::Inserts, SALE_6)
        .with(MemberKind::Updates, SALE_3_LATER)
        .with(MemberKind::Tombstones, "4\n");
    sales.day_totals = Some(days(&[("2024-03-01", &[SALE_3_LATER, SALE_BIG]), ("2024-03-02", &[SALE_6])]));
    let targets = Table::new("public.targets", targets_columns())
        .with(MemberKind::Inserts, "2025,Zürich,NaN,café\n")
        .with(MemberKind::Updates, "2024,North,125000.50,raised\n")
        .with(MemberKind::Tombstones, "aachen,2023\n");
    [sales, targets]
}

/// Day totals of the sales that are live on these days.
fn days(days: &[(&str, &[&str])]) -> DayTotals {
    let columns = sales_columns();
    let summed: Vec<String> = ["qty", "cost", "amt", "tax", "total"].map(str::to_owned).into();
    let of_day = |(day, rows): &(&str, &[&str])| {
        let mut tally = Tally::new(&columns);
        tally.feed(rows.concat().as_bytes()).unwrap();
        let totals = summed.iter().map(|column| tally.totals()[column].clone()).collect();
        DayTotal { day: (*day).to_owned(), rows: tally.rows(), totals }
    };
    let days = days.iter().map(of_day).collect();
    DayTotals { column: "date".to_owned(), summed, days }
}
