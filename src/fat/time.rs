//! Times as FAT writes them: local by habit, here always UTC; two-second steps from 1980 to 2107.

use jiff::Timestamp;
use jiff::tz::Offset;

/// 1980-01-01 00:00:00 UTC.
const EARLIEST: i64 = 315_532_800;
/// 2107-12-31 23:59:59 UTC.
const LATEST: i64 = 4_354_819_199;

/// Date, time and the part of the time below two seconds (in hundredths, for the creation time only).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub date: u16,
    pub time: u16,
    pub tenth: u8,
}

impl Stamp {
    /// The stamp nearest to `seconds` since 1970.
    pub fn new(seconds: i64) -> Self {
        let seconds = seconds.clamp(EARLIEST, LATEST);
        let moment = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH); // in range after the clamp
        let utc = Offset::UTC.to_datetime(moment);
        // Lossless: each part of a calendar time is positive, the year is at least 1980 after the clamp.
        let part = |value: i8| value as u16;
        Self {
            date: ((utc.year() - 1980) as u16) << 9 | part(utc.month()) << 5 | part(utc.day()),
            time: part(utc.hour()) << 11 | part(utc.minute()) << 5 | (part(utc.second()) / 2),
            tenth: (utc.second() % 2) as u8 * 100,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_outside_1980_to_2107_are_clamped() {
        let first = Stamp { date: 1 << 5 | 1, time: 0, tenth: 0 };
        assert_eq!(Stamp::new(0), first);
        assert_eq!(Stamp::new(i64::MIN), first);
        let last = Stamp { date: 127 << 9 | 12 << 5 | 31, time: 23 << 11 | 59 << 5 | 29, tenth: 100 };
        assert_eq!(Stamp::new(i64::MAX), last);
    }

    #[test]
    fn an_odd_second_survives_in_the_hundredths() {
        // 2024-02-29 12:34:57 UTC
        let stamp = Stamp::new(1_709_210_097);
        assert_eq!(stamp.date, 44 << 9 | 2 << 5 | 29);
        assert_eq!((stamp.time, stamp.tenth), (12 << 11 | 34 << 5 | 28, 100));
    }
}
