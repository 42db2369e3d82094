//! Sizes as people write them, and rounding. Nothing here knows what is being measured.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A number of bytes. Reads `"10 GiB"`, `"512M"`, `"1.5 GB"` or a plain number; prints with binary units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Bytes(pub u64);

pub const KIB: u64 = 1024;
pub const MIB: u64 = 1024 * KIB;
pub const GIB: u64 = 1024 * MIB;
pub const TIB: u64 = 1024 * GIB;

impl Bytes {
    /// The next multiple of `step` (at least 1), or the largest number when that would overflow.
    pub fn round_up(self, step: u64) -> Bytes {
        Bytes(self.0.checked_next_multiple_of(step.max(1)).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, name) = match self.0 {
            n if n >= TIB => (TIB, "TiB"),
            n if n >= GIB => (GIB, "GiB"),
            n if n >= MIB => (MIB, "MiB"),
            n if n >= KIB => (KIB, "KiB"),
            1 => return f.write_str("1 byte"),
            n => return write!(f, "{n} bytes"),
        };
        if self.0.is_multiple_of(unit) {
            return write!(f, "{} {name}", self.0 / unit);
        }
        // Tenths, cut and not rounded: "1.9 GiB left" must never read as 2 GiB.
        write!(f, "{}.{} {name}", self.0 / unit, self.0 % unit * 10 / unit)
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a size; write a number of bytes or one with a unit, such as \"10 GiB\"")]
pub struct SizeError(String);

impl FromStr for Bytes {
    type Err = SizeError;

    /// The units of osbuild blueprints (kB, KiB, MB, MiB, …) and the short forms of systemd and qemu (K, M, G, T: powers of 1024).
    fn from_str(text: &str) -> Result<Bytes, SizeError> {
        let wrong = || SizeError(text.to_owned());
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
        let (number, unit) = trimmed.split_at(split);
        let unit = unit_bytes(unit.trim()).ok_or_else(wrong)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.len() > 9 || (number.contains('.') && fraction.is_empty()) {
            return Err(wrong());
        }
        let whole: u64 = whole.parse().map_err(|_| wrong())?;
        let scale = 10_u64.pow(u32::try_from(fraction.len()).map_err(|_| wrong())?);
        let fraction: u64 = if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| wrong())? };
        let part = u128::from(fraction) * u128::from(unit) / u128::from(scale);
        let bytes = u128::from(whole) * u128::from(unit) + part;
        Ok(Bytes(u64::try_from(bytes).map_err(|_| wrong())?))
    }
}

fn unit_bytes(unit: &str) -> Option<u64> {
    Some(match unit {
        "" | "B" => 1,
        "kB" => 1000,
        "MB" => 1000_u64.pow(2),
        "GB" => 1000_u64.pow(3),
        "TB" => 1000_u64.pow(4),
        "K" | "KiB" => KIB,
        "M" | "MiB" => MIB,
        "G" | "GiB" => GIB,
        "T" | "TiB" => TIB,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a size: a number of bytes or a text such as \"10 GiB\"")]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Bytes(bytes)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("10 GiB", 10 * GIB),
            ("10GiB", 10 * GIB),
            ("512M", 512 * MIB),
            ("1.5 GiB", 3 * GIB / 2),
            ("1.5 kB", 1500),
            ("2 TB", 2_000_000_000_000),
        ] {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_size_is_refused() {
        for text in ["", "GiB", "10 gib", "1,5 GiB", "-1", "1.", "1.2.3", "99999999999 TiB", "0x10", "1.0000000001 GiB"]
        {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_size_prints_cut_to_tenths() {
        for (bytes, text) in
            [(1, "1 byte"), (4095, "3.9 KiB"), (3 * GIB / 2, "1.5 GiB"), (2 * GIB - 1, "1.9 GiB"), (GIB, "1 GiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
