//! One line of a `file_contexts`: a regular expression, perhaps a file type, a context (selabel_file(5), "FILE FORMAT").

use super::{Error, FileKind, is_space};

/// What a line says, nothing of it judged but the file type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecLine<'a> {
    pub file: &'static str,
    pub line: usize,
    pub regex: &'a str,
    /// Nothing for every type of file.
    pub kind: Option<FileKind>,
    /// Nothing for `<<none>>`.
    pub context: Option<&'a str>,
}

/// The lines that are neither empty nor comments, in their order. What stands behind a context is ignored.
pub fn spec_lines<'a>(file: &'static str, text: &'a [u8]) -> impl Iterator<Item = Result<SpecLine<'a>, Error>> {
    text.split(|byte| *byte == b'\n')
        .enumerate()
        .filter_map(move |(index, bytes)| spec_line(file, index + 1, bytes).transpose())
}

fn spec_line<'a>(file: &'static str, line: usize, bytes: &'a [u8]) -> Result<Option<SpecLine<'a>>, Error> {
    let mut fields = bytes.split(is_space).filter(|field| !field.is_empty());
    let first = match fields.next() {
        Some(first) if !first.starts_with(b"#") => first,
        _ => return Ok(None),
    };
    let text = |field: &'a [u8]| ascii(field).ok_or(Error::NotAscii { file, line });
    let regex = text(first)?;
    let second = text(fields.next().ok_or(Error::NoContext { file, line })?)?;
    let third = fields.next().map(text).transpose()?;
    let (kind, context) = match third {
        Some(context) => {
            let kind = file_type(second).ok_or_else(|| Error::FileType { file, line, found: second.to_owned() })?;
            (Some(kind), context)
        }
        None => (None, second),
    };
    Ok(Some(SpecLine { file, line, regex, kind, context: Some(context).filter(|context| *context != "<<none>>") }))
}

/// A field as text. A NUL would end the line for libselinux and is in no policy.
fn ascii(field: &[u8]) -> Option<&str> {
    let plain = field.iter().all(|byte| byte.is_ascii() && *byte != 0);
    if plain { std::str::from_utf8(field).ok() } else { None }
}

fn file_type(word: &str) -> Option<FileKind> {
    Some(match word {
        "--" => FileKind::Regular,
        "-d" => FileKind::Directory,
        "-l" => FileKind::Symlink,
        "-c" => FileKind::CharDevice,
        "-b" => FileKind::BlockDevice,
        "-p" => FileKind::Fifo,
        "-s" => FileKind::Socket,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Result<Vec<SpecLine<'_>>, Error> {
        spec_lines("file_contexts", text).collect()
    }

    #[test]
    fn a_line_has_two_or_three_fields_and_more_are_ignored() {
        let text = b"# \xff comment\n\n /a\t--  u:r:t:s0 \n/b <<none>>\n/c -d x:y \xff\n  #/d\n/e\x0b-- z";
        let read: Vec<_> =
            lines(text).unwrap().iter().map(|line| (line.line, line.regex, line.kind, line.context)).collect();
        assert_eq!(
            read,
            [
                (3, "/a", Some(FileKind::Regular), Some("u:r:t:s0")),
                (4, "/b", None, None),
                (5, "/c", Some(FileKind::Directory), Some("x:y")),
                (7, "/e", Some(FileKind::Regular), Some("z")),
            ]
        );
    }

    #[test]
    fn a_wrong_line_is_named() {
        let file = "file_contexts";
        assert_eq!(lines(b"\n/a\n"), Err(Error::NoContext { file, line: 2 }));
        assert_eq!(lines(b"/a -x c\n"), Err(Error::FileType { file, line: 1, found: "-x".to_owned() }));
        assert_eq!(lines(b"/a\xc3\xa4 c\n"), Err(Error::NotAscii { file, line: 1 }));
        assert_eq!(lines(b"/a\0 c\n"), Err(Error::NotAscii { file, line: 1 }));
    }
}
