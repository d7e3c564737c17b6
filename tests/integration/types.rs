//! Every type of PostgreSQL arrives as it left, whatever the databases' own settings are.
//!
//! The list of types is the server's own catalog: a type that nobody gave values to fails the test.

pub mod samples;

use std::collections::{BTreeMap, BTreeSet};

use crate::company::{Company, Node};
use samples::{LEFT_OUT, MODIFIED, OWN, OWN_TYPES, SAMPLES, widest_numbers};

/// Base types, ranges and multiranges of the catalog, arrays apart.
const TYPES: &str = "SELECT t.typname::text FROM pg_type t
    WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm')
      AND NOT EXISTS (SELECT FROM pg_type e WHERE e.typarray = t.oid)";

/// The type of an element with the type of its array.
const ARRAYS: &str = "SELECT t.typname::text, format_type(t.typarray, NULL) FROM pg_type t
    WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm') AND t.typarray <> 0";

/// A column with the values it takes in turn, as SQL.
struct Column {
    name: String,
    type_name: String,
    values: Vec<String>,
}

/// A table with these columns and a numeric key, as many rows as the longest list of values, and one of
/// nothing but NULL.
struct Table {
    name: &'static str,
    columns: Vec<Column>,
}

impl Table {
    fn create(&self) -> String {
        let columns = self.columns.iter().map(|column| format!(", \"{}\" {}", column.name, column.type_name));
        format!("CREATE TABLE {} (\"the id\" int PRIMARY KEY{});", self.name, columns.collect::<String>())
    }

    fn rows(&self) -> usize {
        self.columns.iter().map(|column| column.values.len()).max().unwrap()
    }

    /// The values of one row; each shift gives every row other values.
    fn values(&self, row: usize, shift: usize) -> Vec<&str> {
        let value = |column: &Column| (row + shift) % column.values.len();
        self.columns.iter().map(|column| column.values[value(column)].as_str()).collect()
    }

    fn insert(&self, rows: impl Iterator<Item = usize>) -> String {
        let row =
            |row| format!("INSERT INTO {} VALUES ({row}, {});", self.name, self.values(row, 0).join(", "));
        rows.map(row).collect()
    }

    fn insert_nulls(&self) -> String {
        format!("INSERT INTO {} (\"the id\") VALUES (-1);", self.name)
    }

    fn update(&self, rows: impl Iterator<Item = usize>) -> String {
        let names: Vec<String> = self.columns.iter().map(|column| format!("\"{}\"", column.name)).collect();
        let row = |row| {
            let values = self.values(row, 1).join(", ");
            format!(
                "UPDATE {} SET ({}) = ROW ({values}) WHERE \"the id\" = {row};",
                self.name,
                names.join(", ")
            )
        };
        rows.map(row).collect()
    }
}

/// The table's rows are inserted, updated and deleted, and after each are the same at head office.
fn travel(company: &Company, tables: &[Table]) {
    let branch = company.branch();
    let sync = |sql: String| {
        branch.sql(&sql);
        company.sync();
        for table in tables {
            company.assert_equal(table.name);
        }
        assert_eq!(company.head_office.value("SELECT count(*) FROM salesync.incident"), "0");
    };
    let each = |sql: &dyn Fn(&Table) -> String| tables.iter().map(sql).collect::<String>();
    sync(each(&|table| table.insert(0..table.rows() / 2)));
    sync(each(&|table| table.insert(table.rows() / 2..table.rows()) + table.insert_nulls().as_str()));
    sync(each(&|table| table.update(0..table.rows())));
    sync(each(&|table| format!("UPDATE {} SET \"the id\" = \"the id\" - 100;", table.name)));
    branch.run(&["bundle", "--since", "all"]).ok();
    sync(String::new());
    sync(each(&|table| format!("DELETE FROM {};", table.name)));
    for table in tables {
        assert_eq!(company.head_office.value(&format!("SELECT count(*) FROM {}", table.name)), "0");
    }
}

fn strings(node: &Node, query: &str) -> BTreeSet<String> {
    node.client().query(query, &[]).unwrap().iter().map(|row| row.get(0)).collect()
}

fn literal(value: &str, type_name: &str) -> String {
    let text = value.replace('\'', "''").replace('\\', "\\\\");
    format!("E'{text}'::{type_name}")
}

/// Columns called like their types.
fn columns(types: &[(&str, &[&str])]) -> Vec<Column> {
    let column = |(type_name, values): &(&str, &[&str])| Column {
        name: type_name.replace('"', "'"),
        type_name: (*type_name).to_owned(),
        values: values.iter().map(|value| literal(value, type_name)).collect(),
    };
    types.iter().map(column).collect()
}

/// No values at all, NULLs, two dimensions, and bounds that do not begin at 1.
fn array_values(element: &str, array: &str, values: &[&str]) -> Vec<String> {
    if element.contains("int2vector") || element.contains("oidvector") {
        // ARRAY[…] takes these for arrays themselves.
        return ["{}", "{NULL,\"\",\"1 2\"}", "{{1},{NULL}}"].map(|text| literal(text, array)).to_vec();
    }
    let value = |at: usize| literal(values[at % values.len()], element);
    let all: Vec<String> = values.iter().map(|value| literal(value, element)).collect();
    let low_bound = format!("array_fill({}, ARRAY[2], ARRAY[0])", value(0));
    vec![
        format!("'{{}}'::{array}"),
        format!("ARRAY[NULL, {}]::{array}", all.join(", ")),
        format!("ARRAY[ARRAY[{}, NULL], ARRAY[NULL, {}]]::{array}", value(0), value(1)),
        format!("ARRAY[ARRAY[ARRAY[{}]]]::{array}", value(2)),
        format!("ARRAY[NULL]::{array}"),
        low_bound,
    ]
}

#[test]
fn every_built_in_type_arrives_identical() {
    let tables = "tables = ['public.\"Every Type\"', 'public.every_array', 'public.modified']";
    let company = Company::new(&["east"], tables);
    let branch = company.branch();
    let known: BTreeMap<&str, &[&str]> = SAMPLES.iter().copied().collect();
    let left_out: BTreeSet<&str> = LEFT_OUT.iter().map(|(name, _)| *name).collect();

    let found = strings(branch, TYPES);
    let unknown: Vec<_> = found.iter().filter(|name| !known.contains_key(name.as_str())).collect();
    let unknown: Vec<_> = unknown.into_iter().filter(|name| !left_out.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "give these types values, or a reason to leave them out: {unknown:?}");

    let every_type = found.iter().filter(|name| known.contains_key(name.as_str())).map(|name| {
        let type_name = format!("pg_catalog.\"{name}\"");
        let mut values: Vec<String> =
            known[name.as_str()].iter().map(|value| literal(value, &type_name)).collect();
        if name == "numeric" {
            values.extend(widest_numbers());
        }
        Column { name: name.clone(), type_name, values }
    });
    let every_type = Table { name: "public.\"Every Type\"", columns: every_type.collect() };

    let arrays = branch.client().query(ARRAYS, &[]).unwrap();
    let arrays = arrays.iter().map(|row| (row.get::<_, String>(0), row.get::<_, String>(1)));
    let arrays = arrays.filter(|(element, _)| known.contains_key(element.as_str()));
    let arrays = arrays.map(|(element, array)| {
        let type_name = format!("pg_catalog.\"{element}\"");
        let values = array_values(&type_name, &array, known[element.as_str()]);
        Column { name: format!("{element}[]"), type_name: array, values }
    });
    let every_array = Table { name: "public.every_array", columns: arrays.collect() };
    assert_eq!(every_type.columns.len(), SAMPLES.len());
    assert_eq!(every_array.columns.len(), SAMPLES.len());

    let modified = Table { name: "public.modified", columns: columns(MODIFIED) };

    let tables = [every_type, every_array, modified];
    branch.sql(&tables.iter().map(Table::create).collect::<String>());
    company.head_office.run(&["init"]).ok();
    branch.run(&["init"]).ok();
    travel(&company, &tables);
}

/// What a database can be set to that changes how values are written and read, or what a transaction may.
const HOSTILE_SETTINGS: &[&str] = &[
    "datestyle = 'German, DMY'",
    "timezone = 'Asia/Kathmandu'",
    "intervalstyle = 'sql_standard'",
    "extra_float_digits = -3",
    "bytea_output = 'escape'",
    "xmloption = 'document'",
    "array_nulls = off",
    "standard_conforming_strings = off",
    "backslash_quote = off",
    "quote_all_identifiers = on",
    "client_encoding = 'LATIN1'",
    "search_path = 'nowhere'",
    "default_transaction_isolation = 'serializable'",
    "default_transaction_read_only = on",
    "default_transaction_deferrable = on",
    "row_security = off",
    "transform_null_equals = on",
    "plpgsql.variable_conflict = 'use_variable'",
    "plpgsql.extra_errors = 'all'",
    "check_function_bodies = off",
    "default_toast_compression = 'lz4'",
    "statement_timeout = '200ms'",
    "session_replication_role = 'replica'",
];

fn apply_settings(node: &Node, settings: &[&str]) {
    let database = node.value("SELECT quote_ident(current_database())");
    for setting in settings {
        node.sql(&format!("ALTER DATABASE {database} SET {setting}"));
    }
}

#[test]
fn a_databases_own_settings_change_nothing() {
    let mut company = Company::new(&["east"], "tables = ['public.own', 'public.plain']");
    // Branch and head office sort differently, and neither as the C collation does.
    for (node, locale) in [(&mut company.branches[0], "en-u-kf-upper"), (&mut company.head_office, "da-DK")] {
        let name = format!("{}_own_collation", node.value("SELECT current_database()"));
        node.sql(&format!(
            "CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{locale}'"
        ));
        let (server, _) = node.database_url.rsplit_once('/').unwrap();
        node.database_url = format!("{server}/{name}");
    }
    let broker = company.broker_url.clone();
    company.branch().configure("role = \"branch\"", &broker, "tables = ['public.own', 'public.plain']");
    company.head_office.configure("role = \"head-office\"", &broker, "[branches.east]");

    let tables = [
        Table { name: "public.own", columns: columns(OWN) },
        Table { name: "public.plain", columns: columns(SAMPLES) },
    ];
    let branch = company.branch();
    branch.sql(OWN_TYPES);
    branch.sql(&tables.iter().map(Table::create).collect::<String>());
    apply_settings(branch, HOSTILE_SETTINGS);
    company.head_office.run(&["init"]).ok();
    branch.run(&["init"]).ok();
    apply_settings(&company.head_office, &HOSTILE_SETTINGS[8..]);
    travel(&company, &tables);
    assert_eq!(branch.run(&["init", "--json"]).ok().json()["unchanged"].as_array().unwrap().len(), 2);
}
