//! A policy's specifications in the order in which they count, and the one that labels a path (`label_file.c`).

use std::borrow::Cow;
use std::collections::HashMap;

use super::literal::{has_meta_chars, literal, stem};
use super::pattern_set::{PatternError, PatternSet};
use super::pcre;
use super::spec_line::{SpecLine, spec_lines};
use super::subs::Subs;
use super::{Error, FileKind, Label, PolicyFiles, RegexError};

/// A policy that answers which label a path gets.
#[derive(Debug)]
pub struct FileContexts {
    /// The last that matches a path labels it.
    specs: Vec<Spec>,
    /// The places in `specs` of those that are paths.
    literals: HashMap<Vec<u8>, Vec<usize>>,
    /// All others, and for each of them its place in `specs`.
    patterns: PatternSet,
    places: Vec<usize>,
    subs: Subs,
    subs_dist: Subs,
}

#[derive(Debug)]
struct Spec {
    kind: Option<FileKind>,
    /// See [`stem`].
    stem: Vec<u8>,
    context: Option<Box<str>>,
}

impl FileContexts {
    /// Every expression is compiled here, so that a wrong one is an error although no path may ever come to it.
    pub fn parse(files: &PolicyFiles) -> Result<FileContexts, Error> {
        let mut lines = Vec::new();
        for (name, text) in [
            ("file_contexts", Some(&files.file_contexts)),
            ("file_contexts.homedirs", files.homedirs.as_ref()),
            ("file_contexts.local", files.local.as_ref()),
        ] {
            for line in spec_lines(name, text.map_or(&[], Vec::as_slice)) {
                lines.push(line?);
            }
        }
        // A stable sort: among the paths, and among the expressions, the order of the files stays.
        lines.sort_by_key(|line| !has_meta_chars(line.regex));

        let mut literals: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        let (mut places, mut patterns) = (Vec::new(), Vec::new());
        for (place, line) in lines.iter().enumerate() {
            match literal(line.regex) {
                Some(path) => literals.entry(path).or_default().push(place),
                None => {
                    patterns.push(pcre::translate(line.regex).map_err(|error| wrong(line, error))?);
                    places.push(place);
                }
            }
        }
        let patterns = PatternSet::new(&patterns).map_err(|error| match error {
            PatternError::Refused(index) => {
                wrong(&lines[places[index]], RegexError::Malformed("groups are nested too deeply"))
            }
            PatternError::TooLarge(error) => error,
        })?;
        let subs = |text: &Option<Vec<u8>>| Subs::parse(text.as_deref().unwrap_or_default());
        let (subs, subs_dist) = (subs(&files.subs), subs(&files.subs_dist));
        Ok(FileContexts { specs: lines.iter().map(Spec::new).collect(), literals, patterns, places, subs, subs_dist })
    }

    /// The label of an absolute path, which need not be text.
    pub fn lookup(&self, path: impl AsRef<[u8]>, kind: FileKind) -> Label<'_> {
        // Each of the two once, the administrator's before the distribution's.
        let path = self.subs_dist.apply(self.subs.apply(clean(path.as_ref())));
        match self.last_match(&path, kind).map(|spec| spec.context.as_deref()) {
            Some(Some(context)) => Label::Context(context),
            Some(None) => Label::NoLabel,
            None => Label::NoMatch,
        }
    }

    fn last_match(&self, path: &[u8], kind: FileKind) -> Option<&Spec> {
        let mut last = None;
        let mut found = |place: usize| {
            if self.specs[place].is_for(path, kind) {
                last = last.max(Some(place));
            }
        };
        // PCRE's `$` also matches before a newline that is the last byte.
        for text in [Some(path), path.strip_suffix(b"\n")].into_iter().flatten() {
            self.literals.get(text).into_iter().flatten().for_each(|place| found(*place));
            self.patterns.matches(text, |index| found(self.places[index]));
        }
        last.map(|place| &self.specs[place])
    }
}

impl Spec {
    fn new(line: &SpecLine<'_>) -> Spec {
        Spec { kind: line.kind, stem: stem(line.regex), context: line.context.map(Box::from) }
    }

    fn is_for(&self, path: &[u8], kind: FileKind) -> bool {
        let beyond_stem = path.strip_prefix(&*self.stem);
        self.kind.is_none_or(|own| own == kind)
            && (self.stem.is_empty() || beyond_stem.is_some_and(|beyond| beyond.starts_with(b"/")))
    }
}

fn wrong(line: &SpecLine<'_>, error: RegexError) -> Error {
    Error::Regex { file: line.file, line: line.line, regex: line.regex.to_owned(), error }
}

/// One slash where there are several, and none at the end.
fn clean(path: &[u8]) -> Cow<'_, [u8]> {
    let mut path = Cow::Borrowed(path);
    if path.windows(2).any(|pair| pair == b"//") {
        path.to_mut().dedup_by(|later, earlier| *later == b'/' && *earlier == b'/');
    }
    if path.len() > 1 && path.ends_with(b"/") {
        path.to_mut().pop();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> PolicyFiles {
        PolicyFiles { file_contexts: text.into(), ..PolicyFiles::default() }
    }

    fn label(files: &PolicyFiles, path: &str, kind: FileKind) -> String {
        match FileContexts::parse(files).unwrap().lookup(path, kind) {
            Label::Context(context) => context.to_owned(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_last_that_matches_labels_and_paths_come_after_expressions() {
        let files = policy("/a/b path\n/a(/.*)? first\n/a/[bc] second\n/a/c -d third\n/a/d <<none>>\n");
        for (path, kind, expected) in [
            ("/a", FileKind::Regular, "first"),
            ("/a/b", FileKind::Regular, "path"),
            ("/a/c", FileKind::Regular, "second"),
            ("/a/c", FileKind::Directory, "third"),
            ("/a/d", FileKind::Socket, "NoLabel"),
            ("/b", FileKind::Regular, "NoMatch"),
            ("", FileKind::Regular, "NoMatch"),
            ("//a//c//", FileKind::Directory, "third"),
        ] {
            assert_eq!(label(&files, path, kind), expected, "{path}");
        }
    }

    #[test]
    fn homedirs_and_local_come_later_and_substitutions_before_all() {
        let files = PolicyFiles {
            homedirs: Some(b"/a/.* homedirs\n".into()),
            local: Some(b"/a/l.* local\n".into()),
            subs: Some(b"/x /y\n".into()),
            subs_dist: Some(b"/y /a\n/x /never\n".into()),
            ..policy("/a/x path\n/a/.* first\n")
        };
        assert_eq!(label(&files, "/x/lib", FileKind::Regular), "local");
        assert_eq!(label(&files, "/x/b", FileKind::Regular), "homedirs");
        assert_eq!(label(&files, "/y/x", FileKind::Regular), "path");
    }

    #[test]
    fn wrong_expressions_are_named_with_their_line() {
        let error = FileContexts::parse(&policy("/ok c\n\n/a(?!b) c\n")).unwrap_err();
        assert_eq!(error.to_string(), "line 3 of file_contexts: `(?!b` is not supported in `/a(?!b)`");
        let deep = format!("/a c\n{}{} c\n", "(".repeat(5000), ")".repeat(5000));
        assert!(matches!(FileContexts::parse(&policy(&deep)), Err(Error::Regex { line: 2, .. })));
        let large = policy("/(((.{65535}){65535}){65535}){65535} c\n");
        assert!(matches!(FileContexts::parse(&large), Err(Error::TooLarge { .. })));
    }
}
