//! Gives each name of a directory its 8.3 name.
//!
//! Spec: "Short Directory Entries", "Generating 8.3 Names from Long Names": the basis-name and the numeric tail.
//! A name that is 8.3 but for its case keeps its letters without a tail, as Windows and Linux do it.

use std::collections::{BTreeMap, BTreeSet};

/// Main part and extension, padded with spaces.
pub type ShortName = [u8; 11];

const MAIN: usize = 8;
const EXTENSION: usize = 3;

/// The short names of a directory's names, in their order. No two of the names are equal but for their case.
pub fn short_names(names: &[&str]) -> Vec<ShortName> {
    let exact: Vec<Option<ShortName>> = names.iter().map(|name| exact(name)).collect();
    // All plain names first: a tail must not take `A~1` from a file that is called so.
    let mut tails = Tails { taken: exact.iter().flatten().copied().collect(), next: BTreeMap::new() };
    let named = names.iter().zip(exact);
    named.map(|(name, exact)| exact.unwrap_or_else(|| tails.give(&basis(name)))).collect()
}

/// Whether a driver that reads only the short name shows exactly `name`.
pub fn says_all(name: &str, short: &ShortName) -> bool {
    exact(name).as_ref() == Some(short) && !name.contains(|c: char| c.is_ascii_lowercase())
}

/// The short form of a name that is 8.3 but for its case.
fn exact(name: &str) -> Option<ShortName> {
    let (main, extension) = name.split_once('.').unwrap_or((name, ""));
    let fits = |part: &str, most| part.len() <= most && part.chars().all(is_allowed);
    let dot_for_nothing = name.ends_with('.');
    let whole = !main.is_empty() && fits(main, MAIN) && fits(extension, EXTENSION);
    (whole && !dot_for_nothing).then(|| pad(&main.to_ascii_uppercase(), &extension.to_ascii_uppercase()))
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'()-@^_`{}~".contains(c)
}

/// The letters from which names with a tail are made: (main, extension), ASCII only.
fn basis(name: &str) -> (String, String) {
    let name = name.trim_start_matches(['.', ' ']);
    let (main, extension) = name.rsplit_once('.').unwrap_or((name, ""));
    let letters = |part: &str, most| -> String {
        let kept = part.chars().filter(|c| !matches!(c, ' ' | '.'));
        let allowed = kept.map(|c| if is_allowed(c) { c.to_ascii_uppercase() } else { '_' });
        allowed.take(most).collect()
    };
    (letters(main, MAIN), letters(extension, EXTENSION))
}

/// `main` and `extension` are ASCII and not longer than their fields.
fn pad(main: &str, extension: &str) -> ShortName {
    let mut short = [b' '; MAIN + EXTENSION];
    short[..main.len()].copy_from_slice(main.as_bytes());
    short[MAIN..][..extension.len()].copy_from_slice(extension.as_bytes());
    short
}

/// The names given so far in one directory.
struct Tails {
    taken: BTreeSet<ShortName>,
    /// The number to try next for a basis, so that many alike names do not each count from 1.
    next: BTreeMap<(String, String), u32>,
}

impl Tails {
    /// The first free `MAIN~N`. A directory has at most 65536 entries, so N keeps below the seven digits that fit.
    fn give(&mut self, basis: &(String, String)) -> ShortName {
        let number = self.next.entry(basis.clone()).or_insert(1);
        loop {
            let short = with_tail(basis, *number);
            *number += 1;
            if self.taken.insert(short) {
                return short;
            }
        }
    }
}

fn with_tail((main, extension): &(String, String), number: u32) -> ShortName {
    let tail = format!("~{number}");
    let kept = main.len().min(MAIN.saturating_sub(tail.len()));
    pad(&format!("{}{tail}", &main[..kept]), extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(names: &[&str]) -> Vec<String> {
        let text = |short: ShortName| String::from_utf8(short.to_vec()).unwrap();
        short_names(names).into_iter().map(text).collect()
    }

    #[test]
    fn a_tail_does_not_take_a_name_that_a_file_bears() {
        assert_eq!(shown(&["long file name.text", "LONGFI~1.TEX"]), ["LONGFI~2TEX", "LONGFI~1TEX"]);
    }

    #[test]
    fn names_become_their_letters_or_a_basis_with_a_tail() {
        let table = [
            ("BOOTX64.EFI", "BOOTX64 EFI"),
            ("grub.cfg", "GRUB    CFG"),
            ("a.b.c", "AB~1    C  "),
            (".hidden", "HIDDEN~1   "),
            ("ä+ö.x", "___~1   X  "),
            ("日本", "__~1       "),
            ("fedora-6.12.efi", "FEDORA~1EFI"),
        ];
        for (name, short) in table {
            assert_eq!(shown(&[name]), [short], "{name}");
        }
    }

    #[test]
    fn the_tail_grows_into_the_main_part() {
        let names: Vec<String> = (0..120).map(|n| format!("longprefix-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let shown = shown(&names);
        assert_eq!([&shown[8], &shown[9], &shown[99]], ["LONGPR~9   ", "LONGP~10   ", "LONG~100   "]);
    }

    #[test]
    fn only_upper_case_8_3_goes_without_a_long_name() {
        assert!(says_all("GRUB.CFG", b"GRUB    CFG"));
        assert!(!says_all("grub.cfg", b"GRUB    CFG"));
        assert!(!says_all("A.B.C", b"AB~1    C  "));
    }
}
