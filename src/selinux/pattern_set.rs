//! All regular expressions of a policy as one automaton: a path is walked once, and every expression that matches answers.
//!
//! The automaton is built while paths ask for it. What it holds is bounded, and thrown away and built anew when full.

use std::sync::{Mutex, PoisonError};

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::nfa::thompson::{NFA, WhichCaptures};
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::Error;

/// Expressions as text; Fedora's policy has a fifth. Each byte may cost 350 while the automaton is made.
const TEXT_LIMIT: usize = 512 << 10;
/// The automaton as it is compiled; Fedora's takes a seventh.
const NFA_LIMIT: usize = 16 << 20;
/// What is unfolded of it by the paths that come; 60,000 of them unfold 3 MiB of Fedora's.
const CACHE_LIMIT: usize = 64 << 20;

/// Expressions that each have to match a path from its beginning to its end.
#[derive(Debug)]
pub struct PatternSet {
    dfa: DFA,
    cache: Mutex<Cache>,
}

impl PatternSet {
    /// `patterns` as `pcre` writes them. A pattern that is refused after all is named by its place.
    pub fn new(patterns: &[String]) -> Result<PatternSet, PatternError> {
        if patterns.iter().map(String::len).sum::<usize>() > TEXT_LIMIT {
            return Err(PatternError::TooLarge(Error::TooLarge { limit: TEXT_LIMIT, what: "of text" }));
        }
        // Bytes, not characters, as libselinux asks PCRE for them; and its PCRE2_DOTALL.
        let bytes = syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true);
        let mut parsed = Vec::with_capacity(patterns.len());
        for (index, pattern) in patterns.iter().enumerate() {
            parsed.push(syntax::parse_with(pattern, &bytes).map_err(|_| PatternError::Refused(index))?);
        }
        let config = NFA::config().utf8(false).which_captures(WhichCaptures::None).nfa_size_limit(Some(NFA_LIMIT));
        let compiled = NFA::compiler().configure(config).build_many_from_hir(&parsed);
        let nfa = compiled
            .map_err(|_| Error::TooLarge { limit: NFA_LIMIT, what: "compiled" })
            .map_err(PatternError::TooLarge)?;
        let config = DFA::config().match_kind(MatchKind::All).cache_capacity(CACHE_LIMIT);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa);
        let dfa = dfa
            .map_err(|_| Error::TooLarge { limit: CACHE_LIMIT, what: "unfolded" })
            .map_err(PatternError::TooLarge)?;
        let cache = Mutex::new(dfa.create_cache());
        Ok(PatternSet { dfa, cache })
    }

    /// Says the place of every pattern that matches the whole of `path`.
    pub fn matches(&self, path: &[u8], mut found: impl FnMut(usize)) {
        const NEVER: &str = "an automaton without a least efficiency and without quit bytes goes on";
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let at_start = start::Config::new().anchored(Anchored::Yes);
        let mut state = self.dfa.start_state(&mut cache, &at_start).expect(NEVER);
        for byte in path {
            state = self.dfa.next_state(&mut cache, state, *byte).expect(NEVER);
            if state.is_dead() {
                return;
            }
        }
        state = self.dfa.next_eoi_state(&mut cache, state).expect(NEVER);
        if state.is_match() {
            let count = self.dfa.match_len(&cache, state);
            (0..count).for_each(|index| found(self.dfa.match_pattern(&cache, state, index).as_usize()));
        }
    }
}

/// Why there is no automaton.
#[derive(Debug)]
pub enum PatternError {
    /// The pattern at this place is nested too deeply.
    Refused(usize),
    TooLarge(Error),
}
