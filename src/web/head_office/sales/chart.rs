//! Bars, drawn by the server. What they show stands in a table beside them, to the last digit; here a float is enough.

use crate::head_office::sales::Share;

/// The drawing's own units.
const WIDTH: f64 = 1000.0;
const HEIGHT: f64 = 200.0;
/// A column takes no more room than this.
const WIDEST: f64 = WIDTH / 8.0;

/// A bar of a column chart.
pub(super) struct Column {
    pub(super) x: String,
    pub(super) y: String,
    pub(super) width: String,
    pub(super) height: String,
    pub(super) title: String,
    pub(super) address: String,
}

/// A column chart: its bars, and where zero is.
pub(super) struct Chart {
    pub(super) columns: Vec<Column>,
    pub(super) zero: String,
}

/// The chart of these totals, each in its place. `tell` gives the words and the address of each.
pub(super) fn chart(shares: &[Share], places: &[usize], tell: impl Fn(&Share) -> (String, String)) -> Chart {
    let values: Vec<f64> = shares.iter().map(|share| value(&share.figures.total)).collect();
    let (top, bottom) =
        values.iter().fold((0.0_f64, 0.0_f64), |(top, bottom), value| (top.max(*value), bottom.min(*value)));
    let range = if top > bottom { top - bottom } else { 1.0 };
    let height = |value: f64| value / range * HEIGHT;
    let units = |places: usize| f64::from(u32::try_from(places).unwrap_or(u32::MAX));
    let step = WIDTH / units(places.last().map_or(1, |last| last + 1));
    let width = step.min(WIDEST) * 0.8;
    let mut columns = Vec::with_capacity(shares.len());
    for ((share, value), place) in shares.iter().zip(values).zip(places) {
        let (title, address) = tell(share);
        columns.push(Column {
            x: number(step * units(*place) + (step - width) / 2.0),
            y: number(height(top - value.max(0.0))),
            width: number(width),
            height: number(height(value.abs()).max(0.5)),
            title,
            address,
        });
    }
    Chart { columns, zero: number(height(top)) }
}

/// How long the bar of each share is, in percent of the longest.
pub(super) fn bars(shares: &[Share]) -> Vec<String> {
    let values: Vec<f64> = shares.iter().map(|share| value(&share.figures.total).abs()).collect();
    let longest = values.iter().copied().fold(0.0_f64, f64::max);
    let percent = |value: f64| if longest > 0.0 { value / longest * 100.0 } else { 0.0 };
    values.into_iter().map(|value| number(percent(value))).collect()
}

fn value(text: &str) -> f64 {
    text.parse().ok().filter(|value: &f64| value.is_finite()).unwrap_or_default()
}

fn number(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head_office::sales::Figures;

    #[test]
    fn columns_are_spread_over_the_whole_width_however_few_they_are() {
        for count in [1, 2, 4, 31] {
            let figures = |total: usize| Figures { total: total.to_string(), ..Figures::default() };
            let shares: Vec<Share> =
                (1..=count).map(|total| Share { name: None, figures: figures(total) }).collect();
            let places: Vec<usize> = (0..count).collect();
            let chart = chart(&shares, &places, |_| (String::new(), String::new()));
            let number = |text: &str| text.parse::<f64>().unwrap();
            let (first, last) = (&chart.columns[0], &chart.columns[count - 1]);
            let (left, right) = (number(&first.x), WIDTH - number(&last.x) - number(&last.width));
            assert!(
                (left - right).abs() < 0.5 && number(&last.width) <= 100.0,
                "{count}: {left} and {right}"
            );
            assert!(left <= WIDTH / 2.0 / f64::from(u32::try_from(count).unwrap()), "{count}: {left}");
        }
    }
}
