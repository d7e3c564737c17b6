//! Head office's page of sales: its figures are the table's, its pages miss nothing, its file is the table.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use salesync::head_office::sales::{ExportForm, SalesFilter, export_sales};
use salesync::sandbox::wait_until;

use super::site::{Page, Site};
use crate::company::{Company, Node};

const LIMIT: Duration = Duration::from_mins(2);
const SCRIPT: &str = "<script>alert(1)</script>";

/// Sales of these branches at head office: `count` each, on every second of 80 days, of four regions and nine products.
fn company_with_sales(branches: &[&str], count: u32) -> Company {
    let company = Company::of_sales(branches);
    company.branches.iter().for_each(|branch| sell_many(branch, count));
    company.sync();
    company
}

fn sell_many(branch: &Node, count: u32) {
    branch.sql(&format!(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT date '2026-01-15' + 2 * (n % 40), 'Region ' || n % 4, 'Product ' || n % 9, q, c, q * c, 0.07, q * c + 0.07
         FROM generate_series(1, {count}) n, LATERAL (SELECT n % 7 + 1 AS q, (n % 100 + 0.25)::numeric(12, 2) AS c) p"
    ));
}

/// A number as the page writes it.
fn thin(number: &str) -> String {
    let (whole, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let groups: Vec<&str> =
        whole.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join("\u{202f}") + fraction
}

/// The lines of the list: branch and number.
fn sales(page: &Page) -> Vec<String> {
    let (_, list) = page.text.split_once("Sales one by one</caption>").expect("a list");
    let lines = list.split("<tr><th scope=\"row\" class=\"first\">").skip(1);
    lines
        .map(|line| {
            let branch = line.split('<').next().unwrap();
            let id = line.split_once("data-label=\"No.\">").unwrap().1.split('<').next().unwrap();
            format!("{branch} {id}")
        })
        .collect()
}

/// The address of the next page, or the previous one.
fn link(page: &Page, rel: &str) -> Option<String> {
    let (_, rest) = page.text.split_once(&format!("rel=\"{rel}\" href=\""))?;
    Some(rest.split('"').next().unwrap().replace("&#38;", "&"))
}

fn keys(node: &Node) -> BTreeSet<String> {
    node.column("SELECT branch || ' ' || id FROM public.sales").into_iter().collect()
}

/// From a page to the last one, and what is done between two of them. Returns each line as often as it was seen.
fn walk(site: &Site, first: &str, rel: &str, between: impl Fn(usize)) -> (Vec<String>, String) {
    let (mut seen, mut address, mut turned) = (Vec::new(), first.to_owned(), 0);
    loop {
        let page = site.get(&address).is(200);
        seen.extend(sales(&page));
        match link(&page, rel) {
            Some(next) if turned < 100 => address = next,
            _ => return (seen, address),
        }
        between(turned);
        turned += 1;
    }
}

fn assert_each_once(seen: &[String], expected: &BTreeSet<String>) {
    let all: BTreeSet<String> = seen.iter().cloned().collect();
    assert_eq!(all.len(), seen.len(), "a sale was seen twice");
    let missed: Vec<_> = expected.difference(&all).collect();
    assert!(missed.is_empty(), "never seen: {missed:?}");
}

fn sums_of(node: &Node, condition: &str) -> [String; 5] {
    ["count(*)", "sum(qty)", "sum(amt)", "sum(tax)", "sum(total)"]
        .map(|sum| thin(&node.value(&format!("SELECT {sum} FROM public.sales WHERE {condition}"))))
}

/// The page shows the totals of what `condition` means.
fn assert_totals(site: &Site, head: &Node, address: &str, condition: &str) {
    let figures = sums_of(head, condition).map(|figure| format!("<dd>{figure}</dd>"));
    let page = site.get(address).is(200).shows(&figures.each_ref().map(String::as_str));
    for column in ["region", "product", "branch"] {
        let lines = format!(
            "SELECT {column} || '/' || count(*) || '/' || sum(total) FROM public.sales WHERE {condition} GROUP BY {column}"
        );
        for line in head.column(&lines) {
            let parts: Vec<&str> = line.split('/').collect();
            let [name, rows, total] = parts[..] else { panic!("{line}") };
            let figures = format!(
                "</svg></th>\n<td class=\"num\">{}</td><td class=\"num\">{}</td>",
                thin(rows),
                thin(total)
            );
            let found = page.text.split(&format!(">{name}</a>")).skip(1).any(|rest| rest.contains(&figures));
            assert!(found, "{address}: {line} is not among the totals by {column}");
        }
    }
    let days = format!("SELECT date || '/' || sum(total) FROM public.sales WHERE {condition} GROUP BY date");
    for line in head.column(&days) {
        let (day, total) = line.split_once('/').unwrap();
        assert!(page.text.contains(&format!("<title>{day}: {}</title>", thin(total))), "{address}: {line}");
    }
}

#[test]
fn totals_are_what_the_table_adds_up_to() {
    let company = company_with_sales(&["east", "west"], 300);
    let (head, site) = (&company.head_office, Site::of(&company.head_office));
    for (query, condition) in [
        ("", "true"),
        ("?branch=west", "branch = 'west'"),
        ("?from=2026-01-20&to=2026-01-31", "date BETWEEN '2026-01-20' AND '2026-01-31'"),
        ("?region=Region+1", "region = 'Region 1'"),
        ("?product=Product+3", "product = 'Product 3'"),
        ("?product=Prod*&to=2026-02-01", "date <= '2026-02-01'"),
        (
            "?branch=east&product=Product+3&from=2026-02-01",
            "branch = 'east' AND product = 'Product 3' AND date >= '2026-02-01'",
        ),
    ] {
        assert_totals(&site, head, &format!("/sales{query}"), condition);
    }
    site.get("/sales?product=Prod").is(200).shows(&["No sales fit this filter"]);
}

#[test]
fn totals_of_many_sales_follow_the_bundles_through_corrections_voids_and_a_new_epoch() {
    let company = company_with_sales(&["east", "west"], 17_000);
    let (head, site) = (&company.head_office, Site::of(&company.head_office));
    let up_to_date = |what: &str| {
        wait_until(LIMIT, what, || {
            let page = site.get("/sales").is(200);
            Ok((!page.text.contains("being brought up to date")).then_some(()))
        })
        .unwrap();
    };
    let totals = || {
        assert_totals(&site, head, "/sales", "true");
        assert_totals(
            &site,
            head,
            "/sales?from=2026-01-16&to=2026-02-22",
            "date BETWEEN '2026-01-16' AND '2026-02-22'",
        );
    };
    up_to_date("the first summary");
    assert_eq!(head.value("SELECT count(*) > 0 FROM salesync.sales_by_branch"), "true");
    totals();
    let (east, west) = (&company.branches[0], &company.branches[1]);
    east.sql("UPDATE public.sales SET tax = tax + 1, total = total + 1 WHERE date = '2026-01-17'");
    east.sql("UPDATE public.sales SET date = '2026-04-12' WHERE date = '2026-01-19' AND id % 2 = 0");
    west.sql("DELETE FROM public.sales WHERE date = '2026-01-21'");
    company.sync();
    up_to_date("the corrections");
    totals();
    west.sql("DELETE FROM public.sales WHERE date < '2026-01-19'");
    west.run(&["bundle", "--since", "all"]).ok();
    head.run(&["apply"]).ok();
    company.assert_equal("public.sales");
    up_to_date("the new epoch");
    totals();
    // Of one branch there are few enough to be added up at once, of regions of all branches the summary tells.
    assert_totals(&site, head, "/sales?branch=west", "branch = 'west'");
    let of_region = sums_of(head, "region = 'Region 2'");
    site.get("/sales?region=Region+2").is(200).shows(&[
        &format!("<dd>{}</dd>", of_region[4]),
        "Totals by branch with this filter are added up for at most",
    ]);
    // By hand, of which no bundle tells: on days that nobody has stated, another name, a few less.
    let by_hand = "INSERT INTO public.sales (branch, id, date, region, product, qty, cost, amt, tax, total)
                   SELECT 'west', 100000 + n, date '2026-01-14' + 45 * n, 'West', 'By hand', 1, 1, 1, 0, 1 FROM generate_series(0, 2) n";
    head.sql(by_hand);
    head.sql("UPDATE public.sales SET product = 'By hand' WHERE branch = 'east' AND id = 5");
    head.sql("DELETE FROM public.sales WHERE branch = 'east' AND id BETWEEN 100 AND 120");
    // It is looked for once a day, and when a page starts.
    let site = Site::of(head);
    let all = sums_of(head, "true").map(|figure| format!("<dd>{figure}</dd>"));
    wait_until(LIMIT, "what was done by hand", || {
        let page = site.get("/sales").is(200).text;
        let is_there = all.iter().all(|figure| page.contains(figure));
        Ok((is_there && !page.contains("being brought up to date")).then_some(()))
    })
    .unwrap();
    assert_totals(&site, head, "/sales", "true");
    let shown = sales(&site.get("/sales?product=By+hand").is(200));
    let by_hand = "SELECT branch || ' ' || id FROM public.sales WHERE product = 'By hand' ORDER BY date DESC";
    assert_eq!(shown, head.column(by_hand));
}

#[test]
fn totals_of_many_sales_have_those_of_branches_that_state_no_days() {
    let company = Company::new(&["east", "west"], "tables = [\"public.sales\"]\n");
    let (head, west) = (&company.head_office, &company.branches[1]);
    head.run(&["init"]).ok();
    company.branches.iter().for_each(|branch| drop(branch.run(&["init", "--with-sales"]).ok()));
    let site = Site::of(head);
    for count in [16_000, 100] {
        company.branches.iter().for_each(|branch| sell_many(branch, count));
        west.sql("DELETE FROM public.sales WHERE date = '2026-01-17'");
        company.sync();
        wait_until(LIMIT, "the summary", || {
            let page = site.get("/sales").is(200);
            Ok((!page.text.contains("being brought up to date")).then_some(()))
        })
        .unwrap();
        assert_eq!(head.value("SELECT count(*) FROM salesync.day_total"), "0");
        let condition = "region = 'Region 1'";
        let figures = sums_of(head, condition).map(|figure| format!("<dd>{figure}</dd>"));
        site.get("/sales?region=Region+1").is(200).shows(&figures.each_ref().map(String::as_str));
    }
}

#[test]
fn a_product_called_like_a_script_is_a_product() {
    let company = Company::of_sales(&["east"]);
    company.branch().sell(SCRIPT);
    company.sync();
    let site = Site::of(&company.head_office);
    for address in ["/sales", "/sales?product=%3Cscript%3Ealert%281%29%3C%2Fscript%3E", "/sales?sort=product"]
    {
        let page = site.get(address).is(200).hides(&[SCRIPT]);
        page.shows(&["&#60;script&#62;alert(1)&#60;/script&#62;"]);
    }
    let file = site.get("/sales.csv").is(200);
    assert!(file.text.contains(SCRIPT), "{}", file.text);
    assert_eq!(file.header("x-content-type-options"), "nosniff");
}

#[test]
fn hostile_questions_get_a_clear_answer() {
    let company = company_with_sales(&["east"], 10);
    let site = Site::of(&company.head_office);
    let long = "x".repeat(1100);
    for query in [
        "from=99999-12-31",
        "from=-0001-01-01",
        "to=2026-02-30",
        "from=2026-03-01&to=2026-01-01",
        "branch=%27%3B+DROP+TABLE+sales",
        "branch=..%2f..",
        "product=%00",
        "product=%FF%FE",
        "id=-",
        "id=1e9",
        "id=9223372036854775808",
        "sort=password",
        "after=1",
        "after=2026-01-01.east.%27",
        "after=1.east.9&sort=total%27",
        "sort=total&after=1.east.1;1",
        "sort=qty&after=1.east.1e99999999",
        "sort=total&after=1.east.1e-99999",
        "sort=total&after=1.east.1_000",
        "after=%2B2021-01-01.east.1",
        "after=2021-%201-01.east.1",
        "period=1",
        "region=a&region=b",
        &format!("product={long}"),
    ] {
        for path in ["/sales", "/sales.csv"] {
            let page = site.get(&format!("{path}?{query}")).is(400);
            page.shows(&["<strong>head</strong>"]).hides(&["';"]);
        }
    }
    site.get(&format!("/sales?product={}", "x".repeat(9000))).is(414);
    for query in [
        "id=-5",
        "after=infinity.east.1",
        "after=0001-01-01..",
        "unknown=1",
        "product=%27%22%5C*",
        "region=%25",
    ] {
        site.get(&format!("/sales?{query}")).is(200);
    }
    // What PostgreSQL takes for a pattern is a text here.
    site.get("/sales?product=%25").is(200).shows(&["No sales fit this filter"]);
}

#[test]
fn pages_reach_every_sale_exactly_once_while_others_arrive() {
    let company = company_with_sales(&["east", "west", "north"], 130);
    let head = &company.head_office;
    // Days that no branch has stated, before, between and after the others. What is written by hand the summary does not
    // notice at once; it is behind and up to date in turns while others arrive.
    head.sql(
        "TRUNCATE salesync.sales_seen; INSERT INTO public.sales (branch, id, date, region, product, qty, cost, amt, tax, total)
         SELECT 'west', 100000 + n, date '2025-12-27' + 20 * n, 'West', 'By hand', 1, 1, 1, 0, 1 FROM generate_series(0, 8) n",
    );
    let expected = keys(head);
    assert_eq!(expected.len(), 399);
    let site = Site::of(head);
    let arrive = |turned: usize| {
        if turned < 3 {
            company.branches.iter().for_each(|branch| sell_many(branch, 41));
            company.sync();
        }
    };
    let (seen, last) = walk(&site, "/sales", "next", arrive);
    assert_each_once(&seen, &expected);
    // And back, from the last page.
    let (seen, _) = walk(&site, &last, "prev", |_| {});
    assert_each_once(&seen, &keys(head));
    // Nothing arrives any more: from here on the summary says where they are.
    let is_known = "SELECT NOT EXISTS (SELECT FROM salesync.sales_backlog) AND NOT EXISTS (
                        SELECT epoch, last_sequence FROM salesync.branch EXCEPT SELECT epoch, sequence FROM salesync.sales_seen)";
    wait_until(LIMIT, "the summary", || Ok((head.value(is_known) == "true").then_some(()))).unwrap();
    for query in ["direction=up", "sort=total", "sort=product&direction=up", "sort=branch", "sort=qty"] {
        let (seen, last) = walk(&site, &format!("/sales?{query}"), "next", |_| {});
        assert_each_once(&seen, &keys(head));
        let (seen, _) = walk(&site, &last, "prev", |_| {});
        assert_each_once(&seen, &keys(head));
    }
    let (seen, _) = walk(&site, "/sales?product=Product+4", "next", |_| {});
    let of_product = head.column("SELECT branch || ' ' || id FROM public.sales WHERE product = 'Product 4'");
    assert_each_once(&seen, &of_product.iter().cloned().collect());
    assert_eq!(seen.len(), of_product.len());
}

#[test]
fn the_list_is_in_the_order_that_was_asked_for() {
    let company = company_with_sales(&["east", "west"], 100);
    let (head, site) = (&company.head_office, Site::of(&company.head_office));
    for (query, order) in [
        ("", "date DESC, branch DESC, id DESC"),
        ("?direction=up", "date, branch, id"),
        ("?sort=total", "total DESC, branch DESC, id DESC"),
        ("?sort=product&direction=up", "product, branch, id"),
    ] {
        let expected = head.column(&format!("SELECT branch || ' ' || id FROM public.sales ORDER BY {order}"));
        let (seen, _) = walk(&site, &format!("/sales{query}"), "next", |_| {});
        assert_eq!(seen, expected, "{query}");
    }
    // A phone shows no heads: it has the same in the form.
    site.get("/sales?sort=total&direction=up").is(200).shows(&[
        "<option value=\"total\" selected>Total</option>",
        "<option value=\"up\" selected>least first</option>",
    ]);
    let of_number = sales(&site.get("/sales?id=7").is(200));
    assert_eq!(of_number, ["east 7", "west 7"]);
    assert_eq!(sales(&site.get("/sales?id=7&branch=west").is(200)), ["west 7"]);
}

#[test]
fn the_file_is_the_table() {
    let company = company_with_sales(&["east", "west"], 200);
    let (head, east) = (&company.head_office, &company.branches[0]);
    for product in ["=1+1", "+1", "-1", "@SUM(1)", "a, \"b\"\nc", "\u{e9}\u{1f600}", "'", ""] {
        east.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             VALUES ('2026-05-05', '=East', '{}', -1, 5, -5, 0, -5)",
            product.replace('\'', "''")
        ));
    }
    company.sync();
    let site = Site::of(head);
    let copy = |condition: &str| {
        let sql = format!(
            "COPY (SELECT branch, id, date, region, product, qty, cost, amt, tax, total FROM public.sales
                   WHERE {condition} ORDER BY branch, id) TO STDOUT (FORMAT csv, HEADER)"
        );
        let mut text = String::new();
        head.client().copy_out(&sql).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let unix = |text: &str| text.replace("\r\n", "\n");
    let file = site.get("/sales.csv?texts=exact").is(200);
    assert_eq!(unix(&file.text), copy("true"));
    // Every line ends as RFC 4180 says, and a line end inside quotes is what it was.
    assert!(file.text.contains("\"a, \"\"b\"\"\nc\""), "{}", file.text);
    assert_eq!(file.text.matches("\r\n").count(), copy("true").matches('\n').count() - 1);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8; header=present");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"sales.csv\"");
    let file = site.get("/sales.csv?branch=east&from=2026-05-01&texts=exact&sort=total").is(200);
    assert_eq!(unix(&file.text), copy("branch = 'east' AND date >= '2026-05-01'"));
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"sales_east_2026-05-01.csv\"");
    // For a spreadsheet a text is not a formula, and a number is a number.
    let file = site.get("/sales.csv?from=2026-05-01").is(200);
    for product in ["=1+1", "+1", "-1", "@SUM(1)"] {
        assert!(
            file.text.contains(&format!(",'=East,'{product},-1,5.00,-5.00,0.00,-5.00\r\n")),
            "{}",
            file.text
        );
    }
    assert!(file.text.contains(",'=East,\u{e9}\u{1f600},"), "{}", file.text);
    site.get("/sales.csv?id=1").is(400);
}

#[test]
fn a_client_that_goes_away_ends_the_query_of_its_file() {
    let company = company_with_sales(&["east"], 1);
    let head = &company.head_office;
    head.sql(
        "INSERT INTO public.sales (branch, id, date, region, product, qty, cost, amt, tax, total)
         SELECT 'east', 10 + n, '2026-01-01', 'East', repeat('Tea ', 20), 1, 1, 1, 0, 1 FROM generate_series(1, 200000) n",
    );
    let site = Site::of(head);
    let at_work = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND query LIKE 'COPY%' AND state = 'active'";
    let mut client = TcpStream::connect(site.url.trim_start_matches("http://")).unwrap();
    client.write_all(b"GET /sales.csv HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    client.read_exact(&mut [0; 1000]).unwrap();
    // It takes no more, so the server waits for it.
    assert_eq!(head.value(at_work), "1");
    drop(client);
    wait_until(LIMIT, "the end of the query", || Ok((head.value(at_work) == "0").then_some(()))).unwrap();
    site.get("/sales").is(200);
}

#[test]
fn a_table_that_is_missing_or_another_is_told_calmly() {
    let company = Company::of_sales(&["east"]);
    let (head, site) = (&company.head_office, Site::of(&company.head_office));
    let none = site.get("/sales").is(200).shows(&["Head office has no table <code>public.sales</code> yet"]);
    // It comes by itself.
    none.shows(&[
        "<section id=\"totals\" aria-label=\"Totals\" data-live>",
        "<section id=\"list\" aria-label=\"Sales one by one\" data-live>",
    ]);
    site.get("/sales.csv").is(400);
    company.branch().sell("Ink");
    company.sync();
    site.get("/sales").is(200).shows(&[">Ink<"]);
    head.sql("ALTER TABLE public.sales RENAME COLUMN product TO article");
    site.get("/sales").is(200).shows(&["it has no column &#34;product&#34;"]);
    site.get("/sales.csv").is(400);
    head.sql("ALTER TABLE public.sales RENAME COLUMN article TO product");
    head.sql("ALTER TABLE public.sales ALTER COLUMN total TYPE double precision");
    site.get("/sales").is(200).shows(&["its column &#34;total&#34; is of the type double precision"]);
}

#[test]
fn a_file_that_takes_too_long_is_broken_off_and_its_transaction_is_over() {
    let company = company_with_sales(&["east"], 20_000);
    let head = &company.head_office;
    let mut client = head.client();
    let mut pieces = 0;
    let mut export = |longest: Duration| {
        pieces = 0;
        let counted = |_| {
            pieces += 1;
            Ok(())
        };
        let connect = || Ok(head.client());
        export_sales(&mut client, connect, &SalesFilter::default(), ExportForm::Exact, longest, counted)
    };
    let failure = export(Duration::ZERO).unwrap_err();
    assert!(failure.to_string().contains("no more is sent of it"), "{failure}");
    assert!(failure.advice().unwrap().contains("shorter period"));
    assert!(export(LIMIT).unwrap());
    assert!(pieces > 2, "the file is too small to be broken off");
    let open = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    assert_eq!(head.value(open), "0");
}

#[test]
fn every_name_in_the_totals_leads_to_exactly_its_sales() {
    let company = Company::of_sales(&["east"]);
    let (head, east) = (&company.head_office, company.branch());
    east.sql(
        "ALTER TABLE public.sales ALTER COLUMN product DROP NOT NULL, ALTER COLUMN region DROP NOT NULL",
    );
    let long = "long ".repeat(60) + "name";
    let endless = "x".repeat(1200);
    let names = [
        "'Tea'",
        "'Te*'",
        "'Team'",
        "''",
        "' Tea '",
        "'\"Tea\"'",
        "'(none)'",
        "NULL",
        &format!("'{long}'"),
        &format!("'{endless}'"),
    ];
    for (number, name) in names.iter().enumerate() {
        east.sql(&format!(
            "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
             VALUES ('2026-05-05', {name}, {name}, 1, {number}, {number}, 0, {number})"
        ));
    }
    company.sync();
    let site = Site::of(head);
    let page = site.get("/sales").is(200);
    for field in ["region", "product"] {
        let mut found = BTreeSet::new();
        for link in page.text.split(&format!("<tr><th scope=\"row\"><a href=\"/sales?{field}=")).skip(1) {
            let query = link.split('"').next().unwrap().replace("&#38;", "&");
            let narrowed = site.get(&format!("/sales?{field}={query}")).is(200);
            let lines = sales(&narrowed);
            assert_eq!(lines.len(), 1, "{field}={query}: {lines:?}");
            found.extend(lines);
        }
        // The longest name has no address, and is told.
        assert_eq!(found.len(), names.len() - 1, "{field}: {found:?}");
    }
    page.shows(&["(none)", "&#34;&#34;", &endless]);
    assert_eq!(sales(&site.get("/sales?product=Te*").is(200)).len(), 3);
    assert_eq!(sales(&site.get("/sales?region=(none)").is(200)), ["east 8"]);
}

#[test]
fn a_product_that_nobody_sells_is_known_at_once_and_a_rare_one_is_found() {
    let company = company_with_sales(&["east"], 100);
    let (head, east) = (&company.head_office, company.branch());
    east.sell("Rare");
    sell_many(east, 80_000);
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT date '1990-01-01' + n * interval '1 month', 'East', 'Old', 1, 1, 1, 0, 1 FROM generate_series(1, 300) n",
    );
    company.sync();
    let site = Site::of(head);
    let rare = head.column("SELECT branch || ' ' || id FROM public.sales WHERE product = 'Rare'");
    wait_until(LIMIT, "the summary", || {
        let page = site.get("/sales?product=Nothing").is(200);
        Ok((!page.text.contains("being brought up to date")).then_some(()))
    })
    .unwrap();
    site.get("/sales?product=Nothing").is(200).shows(&["No sales fit this filter"]).hides(&["Look further"]);
    for query in ["product=Rare", "product=Rare&direction=up", "product=Rare&branch=east"] {
        let page = site.get(&format!("/sales?{query}")).is(200).hides(&["Look further"]);
        assert_eq!(sales(&page), rare, "{query}");
    }
    // Of so many months the latest are told.
    let months = site.get("/sales").is(200).shows(&["By month", " earlier ones: choose a period"]);
    assert_eq!(months.text.matches("<rect x=").count(), 240);
    // While the summary is behind, it is not asked. It stays behind, for somebody else is said to be bringing it up to date.
    let mut elsewhere = head.client();
    elsewhere.batch_execute("SELECT pg_advisory_lock(hashtext('salesync.sales_summary'))").unwrap();
    head.sql("TRUNCATE salesync.sales_by_product; INSERT INTO salesync.sales_backlog VALUES ('2026-01-15')");
    let (seen, _) = walk(&site, "/sales?product=Rare", "next", |_| {});
    assert_eq!(seen, rare);
}
