//! Rows of a query, aligned for a person.

use std::fmt;

use postgres::SimpleQueryMessage;

/// How many rows of a table are shown.
pub(super) const SHOWN_ROWS: usize = 20;

/// Texts in columns. Columns of numbers are aligned to the right.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
    /// How many rows there are beyond those shown.
    pub(super) more: u64,
}

impl Table {
    /// A table with these headlines and no rows yet.
    pub(super) fn new(columns: &[&str]) -> Self {
        Self { columns: columns.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    /// The first rows of what the server answered.
    pub(super) fn of_answer(messages: &[SimpleQueryMessage]) -> Self {
        let mut table = Self::default();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => {
                    table.columns = columns.iter().map(|column| column.name().to_owned()).collect();
                }
                SimpleQueryMessage::Row(_) if table.rows.len() == SHOWN_ROWS => table.more += 1,
                SimpleQueryMessage::Row(row) => {
                    let values = (0..row.len()).map(|n| row.get(n).unwrap_or_default().to_owned());
                    table.rows.push(values.collect());
                }
                _ => {}
            }
        }
        table
    }

    fn width(&self, column: usize) -> usize {
        let texts = self.rows.iter().chain([&self.columns]).filter_map(|row| row.get(column));
        texts.map(|text| text.chars().count()).max().unwrap_or(0)
    }

    fn is_numeric(&self, column: usize) -> bool {
        let mut texts = self.rows.iter().filter_map(|row| row.get(column));
        texts.all(|text| text.parse::<f64>().is_ok())
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.columns.len();
        let widths: Vec<usize> = (0..count).map(|column| self.width(column)).collect();
        let is_numeric: Vec<bool> = (0..count).map(|column| self.is_numeric(column)).collect();
        let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
        for row in [&self.columns, &rule].into_iter().chain(&self.rows) {
            let cells = row.iter().zip(&widths).zip(&is_numeric).map(|((text, &width), &is_numeric)| {
                if is_numeric { format!("{text:>width$}") } else { format!("{text:<width$}") }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        if self.more > 0 {
            writeln!(f, "… {} more", self.more)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_right_and_texts_left() {
        let mut table = Table::new(&["product", "qty"]);
        table.rows.push(vec!["Pens".to_owned(), "1".to_owned()]);
        table.rows.push(vec!["Paper, A4".to_owned(), "1000".to_owned()]);
        table.more = 7;
        let shown = "product     qty\n---------  ----\nPens          1\nPaper, A4  1000\n… 7 more\n";
        assert_eq!(table.to_string(), shown);
    }
}
