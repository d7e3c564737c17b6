//! What a node's database holds, seen by the DBA.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::Read as _;

use postgres::{Client, Error};
use tokio::runtime::Builder;

use crate::company::Node;

thread_local! {
    /// Connections that are kept to look again, by URL. Tests look far more often than the program connects, and a session
    /// costs the server more than what it is asked for. They end with the test's thread, before what
    /// that keeps for runtimes: without it they could not say goodbye.
    static KEPT: RefCell<HashMap<String, Client>> = {
        Builder::new_current_thread().build().unwrap().block_on(async {});
        RefCell::default()
    };
}

impl Node {
    /// The one value of a query, as text; nothing for NULL.
    pub fn value(&self, sql: &str) -> String {
        let text = format!("SELECT coalesce(q.value::text, '') FROM ({sql}) AS q(value)");
        let row = self.look(|client| client.query_one(&text, &[]));
        row.unwrap_or_else(|error| panic!("{sql}: {error:?}")).get(0)
    }

    /// The first column of a query's rows, as text.
    pub fn column(&self, sql: &str) -> Vec<String> {
        let text = format!("SELECT q.value::text FROM ({sql}) AS q(value)");
        let rows = self.look(|client| client.query(&text, &[]));
        rows.unwrap_or_else(|error| panic!("{sql}: {error:?}")).iter().map(|row| row.get(0)).collect()
    }

    /// The rows of a table as COPY prints them, in the order of their texts, without head office's
    /// `branch`. PostgreSQL itself is the judge of what a value is.
    pub fn rows(&self, table: &str, condition: &str) -> Vec<String> {
        let columns = "SELECT string_agg(format('%I', attname), ', ' ORDER BY attname) FROM pg_attribute
                       WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'branch'";
        let text = self.look(|client| {
            let columns: String = client.query_one(columns, &[&table])?.get(0);
            let copy = format!("COPY (SELECT {columns} FROM {table} WHERE {condition}) TO STDOUT");
            let mut text = String::new();
            client.copy_out(&copy)?.read_to_string(&mut text).unwrap();
            Ok(text)
        });
        let mut rows: Vec<String> = text.unwrap().lines().map(str::to_owned).collect();
        rows.sort();
        rows
    }

    fn look<T>(&self, look: impl Fn(&mut Client) -> Result<T, Error>) -> Result<T, Error> {
        let kept = KEPT.with_borrow_mut(|kept| kept.remove(&self.database_url));
        // The server may have ended it since.
        let seen = kept.and_then(|mut client| look(&mut client).ok().map(|seen| (seen, client)));
        let (seen, client) = if let Some(seen) = seen {
            seen
        } else {
            let mut client = self.client();
            (look(&mut client)?, client)
        };
        KEPT.with_borrow_mut(|kept| kept.insert(self.database_url.clone(), client));
        Ok(seen)
    }
}
