//! A branch's sales, worked on by hand over plain HTTP, and what of it arrives at head office.

use std::thread;

use salesync::branch::{Place, SalesFilter, list_sales};

use super::site::{Page, Site};
use crate::company::{Company, DELETES_ANYTHING, Node, SALES};

/// What is typed for a sale of ordinary people.
pub const PAPER: [(&str, &str); 5] =
    [("date", "2021-04-29"), ("region", "East"), ("product", "Paper"), ("qty", "73"), ("cost", "12.95")];

/// The value of the form's hidden field of this name.
pub fn hidden(page: &Page, name: &str) -> String {
    let marker = format!("name=\"{name}\" value=\"");
    let (_, rest) = page.text.split_once(&marker).unwrap_or_else(|| panic!("no {name} in\n{}", page.text));
    rest.split('"').next().unwrap().to_owned()
}

/// Adds a sale by a form of its own.
fn add(site: &Site, typed: &[(&str, &str)]) -> Page {
    let form = hidden(&site.get("/sales/new"), "form");
    site.post("/sales/new", &[typed, &[("form", &form)]].concat())
}

/// The same with another value in one field.
fn with<'v>(field: &'static str, value: &'v str) -> Vec<(&'static str, &'v str)> {
    PAPER.iter().map(|(name, usual)| (*name, if *name == field { value } else { *usual })).collect()
}

fn sales(node: &Node) -> String {
    node.value("SELECT count(*) FROM public.sales")
}

#[test]
fn a_sale_is_added_corrected_and_voided_and_head_office_follows() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    let site = Site::of(east);
    let saved = add(&site, &PAPER).is(303);
    assert_eq!(saved.header("location"), "/sales/new?date=2021-04-29&region=East");
    site.get(saved.header("location")).is(200).shows(&[
        "Saved: sale 1, 73 Paper at 12.95, East, 2021-04-29, total 1\u{202f}011.52.",
        "name=\"date\" type=\"date\" value=\"2021-04-29\"",
        "name=\"region\" type=\"text\" value=\"East\"",
    ]);
    assert_eq!(
        east.rows("public.sales", "true"),
        ["945.35\t12.95\t2021-04-29\t1\tPaper\t73\tEast\t66.17\t1011.52"]
    );
    company.sync();
    company.assert_equal("public.sales");

    let form =
        site.get("/sales/1").is(200).shows(&["Correct sale 1", "value=\"Paper\"", "value=\"1011.52\""]);
    let version = hidden(&form, "version");
    let corrected = [with("qty", "-3"), vec![("version", &version)]].concat();
    assert_eq!(site.post("/sales/1", &corrected).is(303).header("location"), "/");
    site.get("/").shows(&["Corrected: sale 1 is now -3 Paper at 12.95", "-38.85", "-2.72", "-41.57"]);
    company.sync();
    assert_eq!(head.value("SELECT total FROM public.sales"), "-41.57");

    let ask = site.get("/sales/1/void").is(200);
    let ask = ask.shows(&["Void sale 1?", "-3 Paper at 12.95, East, 2021-04-29, total -41.57"]);
    let seen = [("version", hidden(&ask, "version")), ("words", hidden(&ask, "words"))];
    let seen: Vec<(&str, &str)> = seen.iter().map(|(name, value)| (*name, value.as_str())).collect();
    site.post("/sales/1/void", &seen).is(303);
    site.get("/").shows(&["Voided: sale 1, -3 Paper at 12.95", "There are no sales yet."]);
    company.sync();
    assert_eq!((sales(east), sales(head)), ("0".to_owned(), "0".to_owned()));
    site.post("/sales/1/void", &seen).is(409).shows(&["not there any more"]);
    site.get("/sales/1").is(409);
}

#[test]
fn every_mistake_is_told_beside_its_field_and_what_was_typed_is_kept() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let site = Site::of(east);
    for (field, value, why) in [
        ("date", "", "must not be empty"),
        ("date", "29.04.2021", "not a date like 2021-04-29"),
        ("date", "2021-02-29", "no such day in the calendar"),
        ("date", "0021-04-29", "year 21 is not one of four digits"),
        ("region", "  ", "must not be empty"),
        ("product", "", "must not be empty"),
        ("qty", "", "must not be empty"),
        ("qty", "many", "not a whole number"),
        ("qty", "1.5", "not a whole number"),
        ("qty", "2147483648", "outside the range"),
        ("cost", "", "must not be empty"),
        ("cost", "$12.95", "currency sign"),
        ("cost", "12,95", "misplaced thousands separator"),
        ("cost", "12.955", "more than two decimals"),
        ("cost", "99999999999", "more than 10 digits"),
        ("cost", "1e3", "not a number"),
    ] {
        let page = add(&site, &with(field, value)).is(422).shows(&["The sale is not saved: 1 field cannot"]);
        let (_, rest) = page.text.split_once(&format!("id=\"{field}-error\">")).unwrap();
        assert!(rest.split('<').next().unwrap().contains(why), "{field} {value:?}: {rest}");
        let input =
            page.text.split("<input ").find(|input| input.starts_with(&format!("id=\"{field}\""))).unwrap();
        for word in ["aria-invalid=\"true\"", "autofocus", &format!("aria-describedby=\"{field}-error\"")] {
            assert!(input.contains(word), "{field} {value:?}: no {word} in {input}");
        }
        for (name, usual) in with(field, value) {
            let kept = format!(
                "name=\"{name}\" type=\"{}\" value=\"{usual}\"",
                if name == "date" { "date" } else { "text" }
            );
            assert!(page.text.contains(&kept), "{field} {value:?}: no {kept}\n{}", page.text);
        }
    }
    for (field, value, why) in [
        ("amt", "945.36", "expected 945.35 (Qty 73 * Cost 12.95)"),
        ("tax", "66.18", "expected 66.17 (0.07 of Amt 945.35, rounded half up)"),
        ("total", "1", "expected 1011.52 (Amt 945.35 + Tax 66.17)"),
    ] {
        let typed = [&PAPER[..], &[(field, value)]].concat();
        add(&site, &typed).is(422).shows(&[why, &format!("id=\"{field}-error\"")]);
    }
    assert_eq!(sales(east), "0");
}

#[test]
fn a_form_that_is_sent_twice_adds_one_sale_and_tells_where_it_is() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let site = Site::of(east);
    let form = hidden(&site.get("/sales/new"), "form");
    let typed = [&PAPER[..], &[("form", &form)]].concat();
    thread::scope(|scope| {
        let senders: Vec<_> = (0..4).map(|_| scope.spawn(|| site.post("/sales/new", &typed))).collect();
        for sender in senders {
            sender.join().unwrap().is(303);
        }
    });
    assert_eq!(sales(east), "1");

    // Also by a server that was started anew; and other values are not taken for the same sale.
    let site = Site::of(east);
    site.post("/sales/new", &typed).is(303);
    let other = [with("qty", "5"), vec![("form", &*form)]].concat();
    let told = site.post("/sales/new", &other).is(409);
    let told = told.shows(&[
        "This form has added sale 1 before, with other values.",
        "name=\"qty\" type=\"text\" value=\"5\"",
    ]);
    assert_eq!(sales(east), "1");
    let form = hidden(&told, "form");
    site.post("/sales/new", &[with("qty", "5"), vec![("form", &*form)]].concat()).is(303);
    assert_eq!(sales(east), "2");
    site.post("/sales/new", &[&PAPER[..], &[("form", "7")]].concat()).is(400);
}

#[test]
fn a_sale_that_somebody_else_has_changed_is_not_overwritten_unseen() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    let site = Site::of(east);
    let version = hidden(&site.get("/sales/1"), "version");
    let ask = site.get("/sales/1/void");
    east.sql("UPDATE public.sales SET region = 'North'");

    let mine = [with("qty", "9"), vec![("version", &*version)]].concat();
    let told = site.post("/sales/1", &mine).is(409).shows(&[
        "Somebody has changed this sale since you opened it. Nothing was saved. It is now: 1 Ink at 9.99, North",
        "name=\"qty\" type=\"text\" value=\"9\"",
    ]);
    let version = hidden(&ask, "version");
    let seen = [("version", &*version), ("words", "Ink")];
    site.post("/sales/1/void", &seen)
        .is(409)
        .shows(&["Somebody has changed this sale", "1 Ink at 9.99, North"]);
    assert_eq!(east.value("SELECT product || qty || region FROM public.sales"), "Ink1North");

    let version = hidden(&told, "version");
    let knowingly = [with("qty", "9"), vec![("version", &*version)]].concat();
    site.post("/sales/1", &knowingly).is(303);
    assert_eq!(east.value("SELECT product || qty || region FROM public.sales"), "Paper9East");
    east.sql("DELETE FROM public.sales");
    site.post("/sales/1", &knowingly).is(409).shows(&["not there any more"]);
}

#[test]
fn what_the_table_refuses_is_told_and_what_was_typed_is_kept() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sql("ALTER TABLE public.sales ADD CONSTRAINT no_ink CHECK (product <> 'Ink')");
    let site = Site::of(east);
    add(&site, &with("product", "Ink")).is(500).shows(&[
        "The sale is not saved.",
        "no_ink",
        "name=\"product\" type=\"text\" value=\"Ink\"",
    ]);
    east.sql(
        "CREATE FUNCTION drop_all() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER drop_all BEFORE INSERT ON public.sales FOR EACH ROW EXECUTE FUNCTION drop_all()",
    );
    add(&site, &PAPER).is(500).shows(&["the table did not take it", "a trigger on public.sales"]);
    assert_eq!(sales(east), "0");
    east.sql("DROP TRIGGER drop_all ON public.sales");
    let form = hidden(&site.get("/sales/new"), "form");
    let typed = [&PAPER[..], &[("form", &form)]].concat();
    east.sql("ALTER TABLE public.sales RENAME TO away");
    site.post("/sales/new", &typed).is(500).shows(&["there is no table public.sales", "value=\"Paper\""]);
    east.sql("ALTER TABLE public.away RENAME TO sales");
    site.post("/sales/new", &typed).is(303);
    assert_eq!(sales(east), "1");
}

#[test]
fn what_a_page_is_sent_is_text_and_nothing_more() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let site = Site::of(east);
    let script = "<script>alert(1)</script>\"'&";
    add(&site, &with("product", script)).is(303);
    let shown = "&#60;script&#62;alert(1)&#60;/script&#62;&#34;&#39;&#38;";
    site.get("/").is(200).shows(&[shown]).hides(&["<script>alert"]);
    site.get("/sales/1").is(200).shows(&[shown]).hides(&["<script>alert"]);
    site.get("/sales/1/void").is(200).shows(&[shown]).hides(&["<script>alert"]);
    site.get("/?product=%3Cscript%3E").is(200).shows(&[shown, "value=\"&#60;script&#62;\""]);
    assert_eq!(east.value("SELECT product FROM public.sales"), script);

    for place in ["0000-01-01,1", "2021-%201-01,1", "%2B2021-1-01,1", "-001-01-01,1", "2021-01-01,x"] {
        site.get(&format!("/?after={place}")).is(422);
    }
    add(&site, &with("product", "Pa\0per")).is(400);
    let huge = "x".repeat(100_000);
    let answer = site.post("/sales/new", &with("product", &huge));
    assert_eq!(answer.status, 413);
    let csrf = site.get("/").csrf();
    site.post_as_is("/sales/new", &[&PAPER[..], &[("form", "x"), ("csrf", "wrong")]].concat()).is(403);
    site.post_as_is("/sales/clear", &[("from", ""), ("to", ""), ("count", "1"), ("total", "0")]).is(403);
    site.post_as_is("/sales/clear", &[("csrf", &csrf), ("count", "many")]).is(400);
    assert_eq!(sales(east), "1");
}

#[test]
fn the_list_is_filtered_and_turned_over_a_page_at_a_time() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT date '2021-05-01' + n % 3, CASE WHEN n % 2 = 0 THEN 'East' ELSE 'West' END, 'Thing ' || n, 1, n, n, 0, n
         FROM generate_series(1, 120) n",
    );
    let site = Site::of(east);
    let ids = |page: &Page| -> Vec<u32> {
        let cells = page.text.split("data-label=\"Number\">").skip(1);
        cells.map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect()
    };
    let next = |page: &Page| {
        let (before, _) = page.text.split_once("\" rel=\"next\"")?;
        Some(before.rsplit_once("href=\"")?.1.replace("&#38;", "&"))
    };
    let (mut page, mut all) = (site.get("/").is(200), Vec::new());
    loop {
        all.extend(ids(&page));
        let Some(path) = next(&page) else { break };
        page = site.get(&path).is(200).shows(&["Newest sales"]);
    }
    let wanted = east.value("SELECT string_agg(id::text, ' ' ORDER BY date DESC, id DESC) FROM public.sales");
    assert_eq!(all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), wanted);

    let found = |query: &str| ids(&site.get(query).is(200)).len();
    assert_eq!(found("/?from=2021-05-03"), 40);
    assert_eq!((found("/?to=2021-05-01"), found("/?from=2021-05-02&to=2021-05-02&region=east")), (40, 20));
    assert_eq!((found("/?product=tHING+12"), found("/?id=17"), found("/?id=170&region=")), (2, 1, 0));
    assert_eq!(found("/?product=%25"), 0, "a wildcard is a letter like others");
    let filtered = next(&site.get("/?region=West")).unwrap();
    assert!(filtered.contains("region=West"), "{filtered}");

    for (query, why) in [
        ("/?from=yesterday", "not a date like 2021-04-29"),
        ("/?to=99999-01-01", "not a date like 2021-04-29"),
        ("/?from=2021-05-02&to=2021-05-01", "is before the first day"),
        ("/?id=x", "not a number"),
        ("/?id=99999999999999999999", "not a number"),
        ("/?after=2021-05-01", "this is no place in the list"),
        ("/?after=x,1", "this is no place in the list"),
    ] {
        site.get(query).is(422).shows(&[why]).hides(&["data-label=\"Number\""]);
    }
    site.get("/?region=%00").is(400);
    site.get("/?region=%ff").is(400);
    site.get("/?from=2021-01-01&from=2021-01-02").is(400);
    site.get("/sales/x").is(404);
    site.get("/sales/-1").is(409);
}

/// Reading the newest sales, or those of a day, does not take longer where there are many: no table is read whole.
#[test]
fn a_page_of_sales_costs_what_it_shows() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT date '2021-05-01' + (n / 50)::int, 'East', 'Thing ' || n, 1, n, n, 0, n FROM generate_series(1, 20000) n;
         ANALYZE public.sales",
    );
    let mut client = east.client();
    let day = Some("2021-07-01".parse().unwrap());
    let place = |text: &str| Some(text.parse::<Place>().unwrap());
    for (filter, after) in [
        (SalesFilter::default(), None),
        (SalesFilter::default(), place("2021-08-01,4711")),
        (SalesFilter { region: Some("east".to_owned()), ..SalesFilter::default() }, None),
        (SalesFilter { from: day, to: day, ..SalesFilter::default() }, None),
        (SalesFilter { id: Some(17), ..SalesFilter::default() }, None),
    ] {
        let mut transaction = client.transaction().unwrap();
        let found = list_sales(&mut transaction, &filter, after.as_ref(), 50).unwrap();
        assert!(!found.is_empty(), "{filter:?}");
        let sql = "SELECT pg_stat_get_xact_tuples_returned('public.sales'::regclass)
                          + pg_stat_get_xact_tuples_fetched('public.sales'::regclass)";
        let read: i64 = transaction.query_one(sql, &[]).unwrap().get(0);
        assert!(read < 1000, "{filter:?} after {after:?} has read {read} rows");
    }
}

#[test]
fn clearing_names_the_numbers_and_does_nothing_if_they_have_changed() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.run_with(&["import", "-"], crate::company::SALES_2021.as_bytes()).ok();
    let site = Site::of(east);
    site.get("/sales/clear").is(200).hides(&["Delete"]);
    site.get("/sales/clear?from=2021-05-02&to=2021-05-01").is(422).shows(&["is before the first day"]);
    site.get("/sales/clear?from=1999-01-01&to=1999-12-31").is(200).shows(&["There are no such sales."]);
    let day = east.value("SELECT min(date) FROM public.sales");
    let (count, total) = (
        east.value("SELECT count(*) FROM public.sales WHERE date = (SELECT min(date) FROM public.sales)"),
        east.value("SELECT sum(total) FROM public.sales WHERE date = (SELECT min(date) FROM public.sales)"),
    );
    let ask = site.get(&format!("/sales/clear?from={day}&to={day}")).is(200);
    let ask = ask
        .shows(&[&format!("{count} sale"), &format!("of {day}, total ")])
        .hides(&["holds such a deletion"]);
    assert_eq!((hidden(&ask, "count"), hidden(&ask, "total")), (count.clone(), total.clone()));
    let confirmed = [("from", &*day), ("to", &*day), ("count", &*count), ("total", &*total)];
    east.sql(
        "INSERT INTO public.sales (date, region, product, qty, cost, amt, tax, total)
         SELECT min(date), 'East', 'Late', 1, 1, 1, 0, 1 FROM public.sales",
    );
    site.post("/sales/clear", &confirmed).is(409).shows(&["Nothing was cleared; look at the numbers again"]);
    assert_eq!(sales(east), "7");
    east.sql("DELETE FROM public.sales WHERE product = 'Late'");
    site.post("/sales/clear", &confirmed).is(303);
    site.get("/").shows(&["Cleared: ", &format!("of {day}, total ")]);
    assert_eq!(sales(east).parse::<i64>().unwrap(), 6 - count.parse::<i64>().unwrap());
    company.sync();
    company.assert_equal("public.sales");
    assert_ne!(sales(head), "6");
}

#[test]
fn a_large_deletion_is_announced_as_one_that_head_office_holds() {
    let company = Company::of_sales(&["east"]);
    let (east, head) = (company.branch(), &company.head_office);
    east.sell_much();
    company.sync();
    let site = Site::of(east);
    let ask = site.get("/sales/clear?from=&to=").is(200);
    let ask = ask.shows(&[
        "10\u{202f}000 sales, all there are, total 10\u{202f}000.00",
        "Head office holds such a deletion",
    ]);
    let (count, total) = (hidden(&ask, "count"), hidden(&ask, "total"));
    site.post("/sales/clear", &[("from", ""), ("to", ""), ("count", &count), ("total", &total)]).is(303);
    assert_eq!(sales(east), "0");
    east.run(&["bundle"]).ok();
    head.run(&["apply"]).exits(3);
    east.run(&["bundle"]).exits(3);
    site.get("/").shows(&["Head office has held bundle", "it would delete 10000 of east"]);
    site.get("/bundles").shows(&["<span class=\"badge trouble\">held</span>"]);
    assert_eq!(sales(head), "10000");
    head.configure("role = \"head-office\"", &company.broker_url, DELETES_ANYTHING);
    head.run(&["approve", "east", "2"]).ok();
    assert_eq!(sales(head), "0");
}

#[test]
fn each_sale_says_how_far_it_is() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    let site = Site::of(east);
    let states = || -> Vec<String> {
        let page = site.get("/").is(200);
        let cells = page.text.split("data-label=\"Where\">").skip(1);
        cells.map(|rest| rest.split('>').nth(1).unwrap().split('<').next().unwrap().to_owned()).collect()
    };
    east.sell("Ink");
    assert_eq!(states(), ["only here"]);
    site.get("/").shows(&["not proven to be at head office yet: 1 sale (10.69)"]);
    east.run(&["bundle"]).ok();
    assert_eq!(states(), ["on its way"]);
    company.head_office.run(&["apply"]).ok();
    east.sell("Pens");
    assert_eq!(states(), ["only here", "on its way"]);
    east.run(&["bundle"]).ok();
    assert_eq!(states(), ["on its way", "at head office"]);
    site.get("/").shows(&["Everything up to <time", "Not proven yet: 1 sale (20.68)"]);
    east.sql("UPDATE public.sales SET region = 'North' WHERE id = 1");
    assert_eq!(states(), ["on its way", "only here"]);
    company.sync();
    east.run(&["bundle"]).ok();
    assert_eq!(states(), ["at head office", "at head office"]);
    site.get("/").shows(&["Everything is proven to be at head office."]);
}

#[test]
fn a_branch_with_other_tables_is_told_so_calmly() {
    let company = Company::new(&["east"], SALES);
    let east = company.branch();
    east.sql("CREATE TABLE public.sales (id bigint PRIMARY KEY, date date)");
    east.run(&["init"]).ok();
    let site = Site::of(east);
    let calm = "other tables are synchronised all the same";
    site.get("/").is(200).shows(&["public.sales has no column region", calm]);
    east.sql("ALTER TABLE public.sales ADD region int, ADD product text, ADD qty int, ADD cost money");
    site.get("/").is(200).shows(&["the column region of public.sales is of type integer, not text"]);
    east.sql("ALTER TABLE public.sales RENAME TO takings");
    site.get("/").is(200).shows(&["there is no table public.sales", "init --with-sales"]);
    site.get("/bundles").is(200);
    site.get("/sync").is(200);
    for path in ["/sales/new", "/sales/clear"] {
        site.get(path).is(200);
    }
}

#[test]
fn whoever_may_only_look_sees_the_sales_and_nothing_to_press() {
    let company = Company::of_sales(&["east"]);
    let east = company.branch();
    east.sell("Ink");
    let password = "a password of their own";
    let hash = east.run_with(&["hash-password"], password.as_bytes()).ok().stdout();
    let user =
        format!("[[serve.users]]\nname = \"bert\"\nrole = \"view\"\npassword = \"{}\"\n", hash.trim_end());
    let settings = format!("{SALES}{user}");
    east.configure("role = \"branch\"", &company.broker_url, &settings);
    let site = Site::of(east);
    site.post_as_is("/login", &[("name", "bert"), ("password", password)]).is(303);
    site.get("/").is(200).shows(&["Ink"]).hides(&["New sale", "Correct", "Void", "Clear", "Sync now"]);
    site.get("/sync").is(200).hides(&["Sync now"]);
    for path in ["/sales/new", "/sales/1", "/sales/1/void", "/sales/clear"] {
        site.get(path).is(403).shows(&["you may look, and change nothing"]);
    }
    for path in ["/sales/new", "/sales/1", "/sales/1/void", "/sales/clear", "/sync"] {
        site.post(path, &PAPER).is(403);
    }
    assert_eq!((sales(east), east.bundles().len()), ("1".to_owned(), 0));
}

#[test]
fn sales_of_which_the_number_is_a_smaller_integer_are_corrected_voided_and_followed_all_the_same() {
    let company = Company::new(&["east"], SALES);
    company.head_office.run(&["init"]).ok();
    let east = company.branch();
    east.sql(
        "CREATE TABLE public.sales (id serial PRIMARY KEY, date date NOT NULL, region text NOT NULL, product text NOT NULL,
             qty integer NOT NULL, cost numeric(12, 2) NOT NULL, amt numeric(14, 2) NOT NULL, tax numeric(14, 2) NOT NULL,
             total numeric(14, 2) NOT NULL)",
    );
    east.run(&["init"]).ok();
    let site = Site::of(east);
    add(&site, &PAPER).is(303);
    site.get("/").is(200).shows(&["only here"]);
    company.sync();
    site.get("/?id=1").is(200).shows(&["at head office"]);
    let version = hidden(&site.get("/sales/1").is(200), "version");
    site.post("/sales/1", &[with("qty", "-3"), vec![("version", &version)]].concat()).is(303);
    let ask = site.get("/sales/1/void").is(200);
    let seen = [("version", hidden(&ask, "version")), ("words", hidden(&ask, "words"))];
    let seen: Vec<(&str, &str)> = seen.iter().map(|(name, value)| (*name, value.as_str())).collect();
    site.post("/sales/1/void", &seen).is(303);
    assert_eq!(sales(east), "0");
}
