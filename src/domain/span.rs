//! How long something lasts, as people say it.

use std::time::Duration;

/// `45 s`, `90 min`, `31 h`, `5 days`.
pub fn span_in_words(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..259_200 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_the_unit_that_people_use() {
        let spans = [0, 119, 120, 7_199, 7_200, 259_199, 259_200, 864_000];
        let words = spans.map(|seconds| span_in_words(Duration::from_secs(seconds)));
        assert_eq!(words, ["0 s", "119 s", "2 min", "119 min", "2 h", "71 h", "3 days", "10 days"]);
    }
}
