//! The table of medians, for people and as JSON.

use std::fmt;

use serde::Serialize;

use crate::measure::median;

/// One figure, beside what it is compared with.
#[derive(Debug, Serialize)]
pub struct Line {
    scenario: &'static str,
    what: String,
    unit: &'static str,
    samples: Vec<f64>,
    median: f64,
    reference: Option<Reference>,
    ratio: Option<f64>,
    target: Option<Target>,
    met: Option<bool>,
}

#[derive(Debug, Serialize)]
struct Reference {
    name: String,
    samples: Vec<f64>,
    median: f64,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Target {
    AtMost(f64),
    RatioAtMost(f64),
    RatioAtLeast(f64),
}

impl Line {
    /// A figure measured several times.
    pub fn new(scenario: &'static str, what: impl Into<String>, unit: &'static str, samples: &[f64]) -> Self {
        Self {
            scenario,
            what: what.into(),
            unit,
            samples: samples.to_vec(),
            median: median(samples),
            reference: None,
            ratio: None,
            target: None,
            met: None,
        }
    }

    /// Its ratio to a reference.
    pub fn against(self, name: impl Into<String>, samples: &[f64]) -> Self {
        let reference = Reference { name: name.into(), samples: samples.to_vec(), median: median(samples) };
        Self { ratio: Some(self.median / reference.median), reference: Some(reference), ..self }
    }

    /// How many times less it is than a reference.
    pub fn times_less_than(self, name: impl Into<String>, samples: &[f64]) -> Self {
        let line = self.against(name, samples);
        Self { ratio: line.ratio.map(|ratio| 1.0 / ratio), ..line }
    }

    /// The figure is to be at most this.
    pub fn at_most(self, limit: f64) -> Self {
        let met = self.median <= limit;
        self.judged(Target::AtMost(limit), met)
    }

    /// The ratio is to be at most this.
    pub fn ratio_at_most(self, limit: f64) -> Self {
        let met = self.ratio.is_some_and(|ratio| ratio <= limit);
        self.judged(Target::RatioAtMost(limit), met)
    }

    /// The ratio is to be at least this.
    pub fn ratio_at_least(self, limit: f64) -> Self {
        let met = self.ratio.is_some_and(|ratio| ratio >= limit);
        self.judged(Target::RatioAtLeast(limit), met)
    }

    fn judged(self, target: Target, met: bool) -> Self {
        Self { target: Some(target), met: Some(met), ..self }
    }

    fn cells(&self) -> [String; 6] {
        let figure = |value: f64| {
            let digits = if value >= 1000.0 {
                0
            } else if value >= 100.0 {
                1
            } else if value >= 1.0 {
                2
            } else {
                3
            };
            format!("{value:.digits$} {}", self.unit)
        };
        let or_nothing = |text: Option<String>| text.unwrap_or_default();
        [
            self.what.clone(),
            figure(self.median),
            or_nothing(
                self.reference.as_ref().map(|other| format!("{}: {}", other.name, figure(other.median))),
            ),
            or_nothing(self.ratio.map(|ratio| format!("{ratio:.2} ×"))),
            or_nothing(self.target.map(|target| target.to_string())),
            or_nothing(self.met.map(|met| if met { "met".into() } else { "**not met**".into() })),
        ]
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "at most {limit}"),
            Self::RatioAtMost(limit) => write!(f, "at most {limit} ×"),
            Self::RatioAtLeast(limit) => write!(f, "at least {limit} ×"),
        }
    }
}

/// The lines as a table in Markdown.
pub struct Table<'a>(pub &'a [Line]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "median", "reference", "ratio", "target", ""].map(str::to_owned);
        let rows: Vec<[String; 6]> = [head].into_iter().chain(self.0.iter().map(Line::cells)).collect();
        let widths: [usize; 6] = std::array::from_fn(|column| {
            rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0)
        });
        for (number, row) in rows.iter().enumerate() {
            let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            writeln!(f, "| {} |", cells.collect::<Vec<_>>().join(" | "))?;
            if number == 0 {
                writeln!(f, "|{}|", widths.map(|width| "-".repeat(width + 2)).join("|"))?;
            }
        }
        Ok(())
    }
}
