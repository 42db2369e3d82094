//! Substitutions of leading paths, `file_contexts.subs` and `file_contexts.subs_dist` (selabel_file(5), "SUBSTITUTIONS").

use std::borrow::Cow;

use super::is_space;

/// One file of them, in the order of its lines.
#[derive(Clone, Debug, Default)]
pub struct Subs(Vec<Sub>);

#[derive(Clone, Debug)]
struct Sub {
    /// The path that is asked for.
    alias: Box<[u8]>,
    /// The path that the policy knows.
    original: Box<[u8]>,
}

impl Subs {
    /// A line of fewer than two fields says nothing, and what stands behind the second is ignored.
    pub fn parse(text: &[u8]) -> Subs {
        let lines = text.split(|byte| *byte == b'\n');
        Subs(lines.filter_map(Sub::parse).collect())
    }

    /// The path with its beginning replaced, once, by the last line that fits: libselinux keeps them last in, first out.
    pub fn apply<'a>(&self, path: Cow<'a, [u8]>) -> Cow<'a, [u8]> {
        match self.0.iter().rev().find_map(|sub| sub.apply(&path)) {
            Some(replaced) => Cow::Owned(replaced),
            None => path,
        }
    }
}

impl Sub {
    fn parse(line: &[u8]) -> Option<Sub> {
        let mut fields = line.split(is_space).filter(|field| !field.is_empty());
        let alias = fields.next().filter(|alias| !alias.starts_with(b"#"))?;
        Some(Sub { alias: alias.into(), original: fields.next()?.into() })
    }

    fn apply(&self, path: &[u8]) -> Option<Vec<u8>> {
        let rest = path.strip_prefix(&*self.alias)?;
        if !rest.is_empty() && !rest.starts_with(b"/") {
            return None;
        }
        let rest = if &*self.original == b"/" { rest.strip_prefix(b"/").unwrap_or(rest) } else { rest };
        Some([&*self.original, rest].concat())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(text: &str, path: &str) -> String {
        String::from_utf8(Subs::parse(text.as_bytes()).apply(Cow::Borrowed(path.as_bytes())).into_owned()).unwrap()
    }

    #[test]
    fn whole_names_are_replaced_once_by_the_last_line_that_fits() {
        let text = "# c\n/lib /usr/lib\n/lib/systemd /usr/lib/systemd x\n/run\n/usr/lib /never\n";
        assert_eq!(apply(text, "/lib"), "/usr/lib");
        assert_eq!(apply(text, "/lib/systemd/a"), "/usr/lib/systemd/a");
        assert_eq!(apply(text, "/lib64/a"), "/lib64/a");
        assert_eq!(apply(text, "/run/a"), "/run/a");
        assert_eq!(apply("/a/b /x\n/a /y\n", "/a/b"), "/y/b");
    }

    #[test]
    fn the_root_as_original_makes_no_second_slash() {
        assert_eq!(apply("/sysroot /\n", "/sysroot/etc"), "/etc");
        assert_eq!(apply("/sysroot /\n", "/sysroot"), "/");
    }
}
