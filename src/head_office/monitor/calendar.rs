//! Business days on head office's calendar.

use chrono::{DateTime, Days, Local, NaiveDate, NaiveTime, TimeZone as _, Utc};

/// The day that it is here at that moment.
pub fn local_day(moment: DateTime<Utc>) -> NaiveDate {
    moment.with_timezone(&Local).date_naive()
}

/// When a day is over here: midnight, or the first moment after it where the clock is put forward just then. None for the
/// last day that there is.
pub fn day_ends_at(day: NaiveDate) -> Option<DateTime<Utc>> {
    let next = day.checked_add_days(Days::new(1))?;
    let mut hours = (0..24).filter_map(|hour| NaiveTime::from_hms_opt(hour, 0, 0));
    let found = hours.find_map(|time| Local.from_local_datetime(&next.and_time(time)).earliest());
    found.map(|moment| moment.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_when_the_next_one_begins() {
        let day: NaiveDate = "2026-11-20".parse().unwrap();
        let end = day_ends_at(day).unwrap();
        assert_eq!(local_day(end), "2026-11-21".parse().unwrap());
        assert_eq!(local_day(end - chrono::TimeDelta::milliseconds(1)), day);
        assert_eq!(day_ends_at(NaiveDate::MAX), None);
    }
}
