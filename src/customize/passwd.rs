//! The tables of /etc: passwd(5), shadow(5), group(5), gshadow(5), subuid(5): lines of fields with colons between them.
//!
//! A line that is not edited stays as it is, byte for byte, also when it is a comment, broken or not UTF-8.

/// Numbers of fields, the name being 0 in every table.
pub mod field {
    pub const PASSWORD: usize = 1;

    pub mod passwd {
        pub const UID: usize = 2;
        pub const GID: usize = 3;
        pub const GECOS: usize = 4;
        pub const HOME: usize = 5;
        pub const SHELL: usize = 6;
    }

    pub mod shadow {
        pub const LAST_CHANGE: usize = 2;
    }

    pub mod group {
        pub const GID: usize = 2;
        pub const MEMBERS: usize = 3;
    }

    pub mod gshadow {
        pub const MEMBERS: usize = 3;
    }

    pub mod subid {
        pub const START: usize = 1;
        pub const COUNT: usize = 2;
    }
}

#[derive(Clone, Debug, Default)]
pub struct Table {
    lines: Vec<Vec<u8>>,
    changed: bool,
}

impl Table {
    pub fn parse(bytes: &[u8]) -> Table {
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let lines = if bytes.is_empty() {
            Vec::new()
        } else {
            lines.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect()
        };
        Table { lines, changed: false }
    }

    /// The whole file; `None` when nothing was changed.
    pub fn changed_bytes(&self) -> Option<Vec<u8>> {
        self.changed.then(|| self.lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect())
    }

    /// All lines that have a name.
    pub fn records(&self) -> impl Iterator<Item = Vec<&[u8]>> {
        self.lines.iter().filter(|line| !is_foreign(line)).map(|line| line.split(|&byte| byte == b':').collect())
    }

    /// The fields of the first line with this name.
    pub fn find(&self, name: &str) -> Option<Vec<&[u8]>> {
        self.records().find(|fields| fields[0] == name.as_bytes())
    }

    /// The first line's name that has this number.
    pub fn name_of(&self, field: usize, number: u32) -> Option<String> {
        let owner = self.records().find(|fields| number_at(fields, field) == Some(number))?;
        Some(String::from_utf8_lossy(owner[0]).into_owned())
    }

    pub fn numbers(&self, field: usize) -> impl Iterator<Item = u32> {
        self.records().filter_map(move |fields| number_at(&fields, field))
    }

    /// Sets one field of the first line with this name; no such line, no change.
    pub fn set(&mut self, name: &str, field: usize, value: &[u8]) {
        let Some(mut fields) = self.find(name).map(|fields| fields.into_iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
        else {
            return;
        };
        if fields.len() <= field {
            fields.resize(field + 1, Vec::new());
        }
        if fields[field] != value {
            fields[field] = value.to_vec();
            self.put(&fields);
        }
    }

    /// Writes a line over the first one of the same name, or after the last; lines of NIS (`+…`) stay the last ones.
    pub fn put<F: AsRef<[u8]>>(&mut self, fields: &[F]) {
        let line = fields.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(&b':');
        let name = [fields[0].as_ref(), b":"].concat();
        self.changed = true;
        match self.lines.iter().position(|line| line.starts_with(&name)) {
            Some(index) => self.lines[index] = line,
            None => {
                let end = self.lines.iter().position(|line| is_nis(line)).unwrap_or(self.lines.len());
                self.lines.insert(end, line);
            }
        }
    }

    /// Adds a name to a list with commas between the names.
    pub fn add_member(&mut self, name: &str, field: usize, member: &str) {
        let Some(fields) = self.find(name) else { return };
        let list = fields.get(field).copied().unwrap_or_default();
        if list.split(|&byte| byte == b',').any(|other| other == member.as_bytes()) {
            return;
        }
        let list = if list.is_empty() { member.as_bytes().to_vec() } else { [list, b",", member.as_bytes()].concat() };
        self.set(name, field, &list);
    }
}

pub fn number_at(fields: &[&[u8]], field: usize) -> Option<u32> {
    std::str::from_utf8(fields.get(field)?).ok()?.trim().parse().ok()
}

fn is_nis(line: &[u8]) -> bool {
    matches!(line.first(), Some(b'+' | b'-'))
}

fn is_foreign(line: &[u8]) -> bool {
    is_nis(line) || line.first() == Some(&b'#') || !line.contains(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOREIGN: &[u8] = b"# comment\nroot:x:0:0:R\xf6\xf6t:/root:/bin/sh\nbroken\n\nbin:*:1:1\n+::::::";

    #[test]
    fn lines_that_are_not_edited_stay_byte_for_byte() {
        let mut table = Table::parse(FOREIGN);
        assert_eq!(table.changed_bytes(), None);
        table.put(&["alice", "x", "1000"]);
        table.set("bin", field::passwd::SHELL, b"/bin/false");
        let expected = b"# comment\nroot:x:0:0:R\xf6\xf6t:/root:/bin/sh\nbroken\n\nbin:*:1:1:::/bin/false\nalice:x:1000\n+::::::\n";
        assert_eq!(table.changed_bytes().as_deref(), Some(&expected[..]));
    }

    #[test]
    fn setting_what_is_there_already_changes_nothing() {
        let mut table = Table::parse(b"wheel:x:10:a,b\n");
        table.set("wheel", field::PASSWORD, b"x");
        table.add_member("wheel", field::group::MEMBERS, "b");
        assert_eq!(table.changed_bytes(), None);
        table.add_member("wheel", field::group::MEMBERS, "bb");
        assert_eq!(table.changed_bytes().as_deref(), Some(&b"wheel:x:10:a,b,bb\n"[..]));
    }
}
