//! The time in which a branch may use its line, and how much fits into it.

use std::time::{Duration, Instant};

use chrono::{DateTime, Days, MappedLocalTime, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc};

/// A window that is open now, and closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// At this time by the clock of the machine, also if that is set right meanwhile.
    Until(DateTime<Utc>),
    /// At this moment, whatever the clock says.
    Lasting(Instant),
}

impl Window {
    /// Until the clock of `now`'s time zone next shows `time`.
    pub fn until<Z: TimeZone>(time: NaiveTime, now: &DateTime<Z>) -> Self {
        Self::Until(next(time, now).to_utc())
    }

    /// From now on for so long. One without end is a window of a century.
    pub fn lasting(length: Duration) -> Self {
        let now = Instant::now();
        let longest = Duration::from_hours(24 * 365 * 100);
        Self::Lasting(now.checked_add(length.min(longest)).unwrap_or(now))
    }

    /// How long it is still open; nothing once it is closed.
    pub fn remaining(&self) -> Duration {
        match self {
            Self::Until(end) => (*end - Utc::now()).to_std().unwrap_or_default(),
            Self::Lasting(end) => end.saturating_duration_since(Instant::now()),
        }
    }

    /// Whether something may still begin.
    pub fn is_open(&self) -> bool {
        !self.remaining().is_zero()
    }
}

/// The first moment after `now` at which the clock on the wall shows `time`. Where it is put forward over
/// that time, the moment at which it is.
fn next<Z: TimeZone>(time: NaiveTime, now: &DateTime<Z>) -> DateTime<Z> {
    let today = now.date_naive();
    let days = (0..=2).filter_map(|days| today.checked_add_days(Days::new(days)));
    let mut moments = days.flat_map(|day| moments(&now.timezone(), day.and_time(time)));
    moments.find(|moment| moment > now).unwrap_or_else(|| now.clone())
}

/// When a clock in this zone shows `local`: once, twice where it is put back, or instead of it the
/// moment at which it is put forward over it.
fn moments<Z: TimeZone>(zone: &Z, local: NaiveDateTime) -> Vec<DateTime<Z>> {
    let shown = |minutes| zone.from_local_datetime(&(local + TimeDelta::minutes(minutes)));
    match shown(0) {
        MappedLocalTime::Single(moment) => vec![moment],
        MappedLocalTime::Ambiguous(first, second) => vec![first, second],
        MappedLocalTime::None => {
            (1..24 * 60).find_map(|minutes| shown(minutes).earliest()).into_iter().collect()
        }
    }
}

/// The rate at which bytes go over the line, as measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    bytes: u64,
    time: Duration,
}

impl Pace {
    /// So many bytes took so long.
    pub fn add(&mut self, bytes: u64, time: Duration) {
        self.bytes += bytes;
        self.time += time;
    }

    /// Bytes per second; none if nothing was sent.
    pub fn rate(&self) -> Option<u64> {
        let nanos = self.time.as_nanos().max(1);
        let rate = u128::from(self.bytes) * 1_000_000_000 / nanos;
        (self.bytes > 0).then(|| u64::try_from(rate).unwrap_or(u64::MAX).max(1))
    }

    /// How long `bytes` more take at that rate, in full seconds, rounded up.
    pub fn estimate(&self, bytes: u64) -> Option<Duration> {
        self.rate().map(|rate| Duration::from_secs(bytes.div_ceil(rate)))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{FixedOffset, NaiveDate, Offset};

    use super::*;

    fn at(text: &str) -> NaiveTime {
        NaiveTime::parse_from_str(text, "%H:%M").unwrap()
    }

    #[test]
    fn a_window_ends_the_next_time_the_local_clock_shows_the_hour() {
        let here = FixedOffset::east_opt(2 * 3600).unwrap();
        let now = here.with_ymd_and_hms(2021, 4, 29, 20, 15, 30).unwrap();
        for (time, expected) in [
            ("22:00", "2021-04-29T22:00:00+02:00"),
            ("20:16", "2021-04-29T20:16:00+02:00"),
            ("20:15", "2021-04-30T20:15:00+02:00"),
            ("00:30", "2021-04-30T00:30:00+02:00"),
        ] {
            assert_eq!(next(at(time), &now).to_rfc3339(), expected, "{time}");
        }
        let exact = here.with_ymd_and_hms(2021, 4, 29, 22, 0, 0).unwrap();
        assert_eq!(next(at("22:00"), &exact).to_rfc3339(), "2021-04-30T22:00:00+02:00");
    }

    /// Berlin in 2021: an hour forward on 28 March at two, an hour back on 31 October at three.
    #[derive(Debug, Clone, Copy)]
    struct Berlin;

    impl Berlin {
        fn change(month: u32, day: u32) -> NaiveDateTime {
            NaiveDate::from_ymd_opt(2021, month, day).unwrap().and_hms_opt(1, 0, 0).unwrap()
        }
    }

    impl TimeZone for Berlin {
        type Offset = FixedOffset;

        fn from_offset(_: &FixedOffset) -> Self {
            Self
        }

        fn offset_from_local_date(&self, _: &NaiveDate) -> MappedLocalTime<FixedOffset> {
            MappedLocalTime::None
        }

        fn offset_from_local_datetime(&self, local: &NaiveDateTime) -> MappedLocalTime<FixedOffset> {
            let offsets = [2, 1].map(|hours| FixedOffset::east_opt(hours * 3600).unwrap());
            let fits = |offset: &FixedOffset| self.offset_from_utc_datetime(&(*local - *offset)) == *offset;
            match offsets.map(|offset| fits(&offset)) {
                [true, true] => MappedLocalTime::Ambiguous(offsets[0], offsets[1]),
                [true, false] => MappedLocalTime::Single(offsets[0]),
                [false, true] => MappedLocalTime::Single(offsets[1]),
                [false, false] => MappedLocalTime::None,
            }
        }

        fn offset_from_utc_date(&self, _: &NaiveDate) -> FixedOffset {
            Utc.fix()
        }

        fn offset_from_utc_datetime(&self, utc: &NaiveDateTime) -> FixedOffset {
            let is_summer = (Self::change(3, 28)..Self::change(10, 31)).contains(utc);
            FixedOffset::east_opt(if is_summer { 2 } else { 1 } * 3600).unwrap()
        }
    }

    #[test]
    fn the_hour_that_is_left_out_or_comes_twice_is_found() {
        let spring = Berlin.with_ymd_and_hms(2021, 3, 28, 1, 50, 0).unwrap();
        assert_eq!(next(at("02:30"), &spring).to_utc().to_rfc3339(), "2021-03-28T01:00:00+00:00");
        assert_eq!(next(at("03:30"), &spring).to_utc().to_rfc3339(), "2021-03-28T01:30:00+00:00");
        let after = Berlin.with_ymd_and_hms(2021, 3, 28, 3, 10, 0).unwrap();
        assert_eq!(next(at("03:05"), &after).to_utc().to_rfc3339(), "2021-03-29T01:05:00+00:00");

        let autumn = Berlin.with_ymd_and_hms(2021, 10, 31, 1, 50, 0).unwrap();
        assert_eq!(next(at("02:30"), &autumn).to_utc().to_rfc3339(), "2021-10-31T00:30:00+00:00");
        let between = DateTime::parse_from_rfc3339("2021-10-31T00:45:00+00:00").unwrap();
        let between = between.with_timezone(&Berlin);
        assert_eq!(next(at("02:30"), &between).to_utc().to_rfc3339(), "2021-10-31T01:30:00+00:00");
    }

    #[test]
    fn a_window_is_open_until_its_end() {
        assert!(Window::lasting(Duration::from_hours(1)).is_open());
        assert!(Window::lasting(Duration::MAX).is_open());
        assert!(!Window::lasting(Duration::ZERO).is_open());
        assert!(!Window::Until(Utc::now() - TimeDelta::seconds(1)).is_open());
        assert!(Window::Until(Utc::now() + TimeDelta::hours(1)).remaining() > Duration::from_mins(59));
    }

    #[test]
    fn the_time_needed_follows_from_what_was_sent() {
        let mut pace = Pace::default();
        assert_eq!(pace.estimate(1000), None);
        pace.add(3000, Duration::from_secs(2));
        pace.add(1000, Duration::from_secs(2));
        assert_eq!(pace.rate(), Some(1000));
        assert_eq!(pace.estimate(90_001), Some(Duration::from_secs(91)));
        assert_eq!(pace.estimate(0), Some(Duration::ZERO));
        pace.add(1, Duration::from_hours(1_000_000));
        assert_eq!(pace.rate(), Some(1));
    }
}
