//! What the image's `useradd` would choose: login.defs(5) and /etc/default/useradd (useradd(8)).

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Error;
use super::editor::Editor;

/// Ranges of subordinate ids: where they may lie and how many each user gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubIds {
    pub range: RangeInclusive<u32>,
    pub count: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defaults {
    pub uid: RangeInclusive<u32>,
    pub gid: RangeInclusive<u32>,
    pub sub_uid: SubIds,
    pub sub_gid: SubIds,
    pub home_mode: u16,
    /// PASS_MIN_DAYS, PASS_MAX_DAYS, PASS_WARN_AGE as fields of shadow; empty where login.defs has none.
    pub password_ages: [String; 3],
    /// The directory above new homes.
    pub home: String,
    pub shell: Option<String>,
    pub skel: String,
}

impl Defaults {
    pub fn load(editor: &Editor<'_>) -> Result<Defaults, Error> {
        Ok(Defaults::parse(&editor.text("/etc/login.defs")?, &editor.text("/etc/default/useradd")?))
    }

    fn parse(login_defs: &str, useradd: &str) -> Defaults {
        let login = settings(login_defs, |line| line.split_once([' ', '\t']));
        let useradd = settings(useradd, |line| line.split_once('='));
        let number = |name: &str, default: u32| login.get(name).and_then(|text| parse_number(text)).unwrap_or(default);
        let sub_ids = |id: &str| SubIds {
            range: number(&format!("SUB_{id}_MIN"), 100_000)..=number(&format!("SUB_{id}_MAX"), 600_100_000),
            count: number(&format!("SUB_{id}_COUNT"), 65_536),
        };
        let age = |name: &str| {
            login.get(name).and_then(|text| parse_number(text)).map(|days| days.to_string()).unwrap_or_default()
        };
        let absolute =
            |name: &str| useradd.get(name).filter(|path| path.starts_with('/') && !path.contains(':')).cloned();
        Defaults {
            uid: number("UID_MIN", 1000)..=number("UID_MAX", 60_000),
            gid: number("GID_MIN", 1000)..=number("GID_MAX", 60_000),
            sub_uid: sub_ids("UID"),
            sub_gid: sub_ids("GID"),
            home_mode: u16::try_from(number("HOME_MODE", 0o700) & 0o7777).unwrap_or(0o700),
            password_ages: ["PASS_MIN_DAYS", "PASS_MAX_DAYS", "PASS_WARN_AGE"].map(age),
            home: absolute("HOME").unwrap_or_else(|| "/home".to_owned()),
            shell: absolute("SHELL"),
            skel: absolute("SKEL").unwrap_or_else(|| "/etc/skel".to_owned()),
        }
    }
}

/// Name and value of each line that is no comment; the last one counts.
fn settings(text: &str, split: impl Fn(&str) -> Option<(&str, &str)>) -> BTreeMap<String, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#'));
    let pairs = lines
        .filter_map(split)
        .map(|(name, value)| (name.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
    pairs.collect()
}

/// As C's `strtoul` with base 0: `0x` is hexadecimal and a leading zero octal.
fn parse_number(text: &str) -> Option<u32> {
    match (text.strip_prefix("0x"), text.strip_prefix('0')) {
        (Some(digits), _) => u32::from_str_radix(digits, 16).ok(),
        (None, Some(digits)) if !digits.is_empty() => u32::from_str_radix(digits, 8).ok(),
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_without_these_files_gets_the_defaults_of_shadow_utils() {
        let defaults = Defaults::parse("", "");
        assert_eq!((defaults.uid, defaults.gid, defaults.home_mode), (1000..=60_000, 1000..=60_000, 0o700));
        assert_eq!((defaults.home.as_str(), defaults.skel.as_str(), defaults.shell), ("/home", "/etc/skel", None));
        assert_eq!(defaults.sub_uid, SubIds { range: 100_000..=600_100_000, count: 65_536 });
        assert_eq!(defaults.password_ages, ["", "", ""]);
    }

    #[test]
    fn values_come_with_tabs_octal_and_quotes() {
        let login = "UID_MIN\t\t 0x7d0\n#UID_MIN 5\n  HOME_MODE  0750\nPASS_MAX_DAYS\t99999\nPASS_MIN_DAYS -1\nSUB_UID_COUNT 0\n";
        let defaults = Defaults::parse(login, "# HOME=/x\nSHELL=/bin/zsh\nHOME=\"/srv/home\"\nSKEL=skel\n");
        assert_eq!((*defaults.uid.start(), defaults.home_mode, defaults.sub_uid.count), (2000, 0o750, 0));
        assert_eq!(defaults.password_ages, ["", "99999", ""]);
        assert_eq!(
            (defaults.shell.as_deref(), defaults.home.as_str(), defaults.skel.as_str()),
            (Some("/bin/zsh"), "/srv/home", "/etc/skel")
        );
    }
}
