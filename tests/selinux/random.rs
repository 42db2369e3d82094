//! Small policies by dice, of few names, so that much of them collides.

use std::collections::BTreeSet;
use std::fmt::Write;

use bootwright::selinux::PolicyFiles;

/// How expressions begin.
const FIRST: [&str; 5] = ["/a", "/b", "/ab", "/a/b", "/a.b"];

/// How they go on; all of it is known to PCRE and to us.
const PIECES: [&str; 27] = [
    "/a",
    "/b",
    "/ab",
    "/a\\.b",
    "/b\\-",
    "/[^/]+",
    "/[ab]",
    "(/.*)?",
    "/.*",
    "(/a|/b)",
    "/a?",
    "/b*",
    "[^b]",
    "(a|)",
    "a{2}",
    "b{0,1}",
    "-",
    "[[:alpha:]]",
    "[a-b.-]",
    "/[ab]\\w",
    "[]a]",
    "$",
    "(^/a)?",
    "a{",
    "<",
    "(?:/b)+",
    "((/a)*/b)?",
];

/// How some end whose first name decides. Behind more names the versions of libselinux differ.
const ODD_ENDS: [&str; 7] = ["/?", "/*", "/b|/a", "|b", "/?b", "/b|b$", "/[ab]|/b/b"];

const TYPES: [&str; 6] = ["", "", "", "--", "-d", "-l"];

/// Numbers that look like chance and are the same for one seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn regex(&mut self) -> String {
        if self.below(4) == 0 {
            return self.one(&FIRST[..3]).to_owned() + self.one(&ODD_ENDS);
        }
        let mut regex = self.one(&FIRST).to_owned();
        for _ in 0..self.below(4) {
            regex.push_str(self.one(&PIECES));
        }
        regex
    }

    /// Lines of a file. The same expression twice in one is an error for some tools and undecided for others.
    fn specs(&mut self, mark: &str, count: usize) -> Vec<u8> {
        let mut seen = BTreeSet::new();
        let mut text = String::new();
        for line in 0..count {
            let (regex, kind) = (self.regex(), self.one(&TYPES));
            let context = if self.below(8) == 0 { "<<none>>".to_owned() } else { format!("{mark}:r:{line}") };
            if seen.insert(regex.clone()) {
                writeln!(text, "{regex} {kind} {context}").unwrap();
            }
        }
        text.into_bytes()
    }

    fn path(&mut self) -> String {
        let names = ["/a", "/b", "/ab", "/a.b", "/a-b", "/aa", "/b-", "/b<", "/q", "a", "b", "/a{"];
        (0..=self.below(4)).map(|_| self.one(&names)).collect()
    }
}

pub fn policy(seed: u64) -> (PolicyFiles, BTreeSet<String>) {
    let mut dice = Dice(seed);
    let mut subs = || {
        let lines: String = (0..dice.below(3)).map(|_| format!("{} {}\n", dice.path(), dice.path())).collect();
        Some(lines.into_bytes())
    };
    let (subs, subs_dist) = (subs(), subs());
    let files = PolicyFiles {
        file_contexts: dice.specs("f", 14),
        homedirs: Some(dice.specs("h", 4)),
        local: Some(dice.specs("l", 3)),
        subs,
        subs_dist,
    };
    let paths = (0..200).map(|_| dice.path()).filter(|path| path.starts_with('/')).collect();
    (files, paths)
}
