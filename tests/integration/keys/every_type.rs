//! Keys of every type that can be one.

use super::{agree, company_of, toml};
use crate::company::Company;
use crate::types::samples::{OWN, OWN_TYPES, SAMPLES};

/// `jsonb` and what begins with `reg` are refused. Arrays of boxes have no order, which PostgreSQL
/// notices with the second row only.
const NO_KEYS: [&str; 3] = ["\"jsonb\"", "\"reg", "place[]"];

/// A table whose key is of this type, with as many rows as there are different values.
struct Keyed {
    table: String,
    type_name: String,
    values: Vec<String>,
}

impl Keyed {
    fn new(number: usize, type_name: &str, values: &[&str]) -> Self {
        let literal = |value: &&str| format!("E'{}'", value.replace('\'', "''").replace('\\', "\\\\"));
        Self {
            table: format!("public.keyed_{number}"),
            type_name: type_name.to_owned(),
            values: values.iter().map(literal).collect(),
        }
    }

    fn create(&self) -> String {
        format!("CREATE TABLE {} (n int, k {}, PRIMARY KEY (k))", self.table, self.type_name)
    }

    fn insert(&self, values: &[String]) -> String {
        let cast = self.type_name.split(" COLLATE").next().unwrap();
        let row = |value: &String| {
            format!("INSERT INTO {} VALUES (1, {value}::{cast}) ON CONFLICT DO NOTHING;", self.table)
        };
        values.iter().map(row).collect()
    }
}

#[test]
fn every_type_that_can_be_a_key_can_be_one_here() {
    let company = company_of(
        &["east"],
        &["public.first"],
        &format!("{OWN_TYPES}; CREATE TABLE public.first (id int PRIMARY KEY)"),
    );
    let branch = company.branch();
    let types = SAMPLES.iter().map(|(name, values)| (format!("pg_catalog.\"{name}\""), *values));
    let types = types.chain(OWN.iter().map(|(name, values)| ((*name).to_owned(), *values)));
    let types = types
        .chain([("pg_catalog.text[]".to_owned(), &["{}", "{a,NULL}", "{B}", "{\"b,\"}", "{{a},{b}}"][..])]);
    let types = types.chain([("pg_catalog.float8[]".to_owned(), &["{}", "{-1e300,NULL}", "{NaN}"][..])]);
    let types = types.chain([("pg_catalog.varchar(7)".to_owned(), &["", "Abc", "abc", "\\N"][..])]);
    let types =
        types.chain([("text COLLATE \"en-x-icu\"".to_owned(), &["", "Abc", "abc", "Äb", "ac", "a-b"][..])]);
    let keyed = types.enumerate().map(|(number, (name, values))| Keyed::new(number, &name, values));
    // What has no order cannot be a key in the first place.
    let mut client = branch.client();
    let can_be_key = |keyed: &Keyed| client.batch_execute(&keyed.create()).is_ok();
    let keyed: Vec<Keyed> = keyed
        .filter(|keyed| !NO_KEYS.iter().any(|name| keyed.type_name.contains(name)))
        .filter(can_be_key)
        .collect();
    assert!(keyed.len() > 50, "only {} types were tried", keyed.len());
    let tables: Vec<&str> = keyed.iter().map(|keyed| keyed.table.as_str()).collect();
    branch.configure("role = \"branch\"", &company.broker_url, &toml(&tables));
    branch.run(&["init"]).ok();

    let each = |sql: &dyn Fn(&Keyed) -> String| branch.sql(&keyed.iter().map(sql).collect::<String>());
    let check = |company: &Company| {
        company.sync();
        agree(company, &tables);
    };
    each(&|keyed| keyed.insert(&keyed.values[..keyed.values.len() / 2]));
    check(&company);
    each(&|keyed| keyed.insert(&keyed.values));
    check(&company);
    each(&|keyed| {
        format!(
            "UPDATE {} SET n = n + 1; DELETE FROM {0} WHERE k = (SELECT k FROM {0} LIMIT 1);",
            keyed.table
        )
    });
    check(&company);
    each(&|keyed| format!("DELETE FROM {};", keyed.table) + keyed.insert(&keyed.values).as_str());
    check(&company);
    // What somebody spoiled at head office is mended, whatever the key.
    let spoil = |keyed: &Keyed| {
        format!("UPDATE {} SET n = -1; DELETE FROM {0} WHERE k = (SELECT k FROM {0} LIMIT 1);", keyed.table)
    };
    company.head_office.sql(&keyed.iter().map(spoil).collect::<String>());
    each(&|keyed| format!("DELETE FROM {} WHERE k IN (SELECT k FROM {0} LIMIT 2);", keyed.table));
    branch.run(&["bundle", "--since", "all"]).ok();
    check(&company);
}
