//! Layers as lists of entries, and the tar stream of such a list (ustar, PAX records for extended attributes). Anything can be
//! written, also what no image should hold.

/// One member of a layer.
#[derive(Clone, Debug)]
pub struct Entry {
    pub path: String,
    pub kind: Kind,
    pub mode: u32,
    pub owner: (u32, u32),
    /// Seconds since 1970.
    pub mtime: u64,
    pub xattrs: Vec<(String, Vec<u8>)>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    File(Vec<u8>),
    Directory,
    Symlink(String),
    Hardlink(String),
    /// Character device 1:3, block device or fifo, by its type flag.
    Special(u8),
}

fn entry(path: &str, kind: Kind, mode: u32) -> Entry {
    Entry { path: path.to_owned(), kind, mode, owner: (0, 0), mtime: 1_700_000_000, xattrs: Vec::new() }
}

pub fn file(path: &str, bytes: impl Into<Vec<u8>>) -> Entry {
    entry(path, Kind::File(bytes.into()), 0o644)
}

pub fn directory(path: &str) -> Entry {
    entry(path, Kind::Directory, 0o755)
}

pub fn symlink(path: &str, target: &str) -> Entry {
    entry(path, Kind::Symlink(target.to_owned()), 0o777)
}

pub fn hardlink(path: &str, target: &str) -> Entry {
    entry(path, Kind::Hardlink(target.to_owned()), 0o644)
}

pub fn character_device(path: &str) -> Entry {
    entry(path, Kind::Special(b'3'), 0o600)
}

pub fn fifo(path: &str) -> Entry {
    entry(path, Kind::Special(b'6'), 0o600)
}

impl Entry {
    pub fn mode(mut self, mode: u32) -> Entry {
        self.mode = mode;
        self
    }

    pub fn owner(mut self, uid: u32, gid: u32) -> Entry {
        self.owner = (uid, gid);
        self
    }

    pub fn time(mut self, mtime: u64) -> Entry {
        self.mtime = mtime;
        self
    }

    pub fn xattr(mut self, name: &str, value: &[u8]) -> Entry {
        self.xattrs.push((name.to_owned(), value.to_vec()));
        self
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (flag, data, link): (u8, &[u8], &str) = match &self.kind {
            Kind::File(bytes) => (b'0', bytes, ""),
            Kind::Hardlink(target) => (b'1', &[], target),
            Kind::Symlink(target) => (b'2', &[], target),
            Kind::Directory => (b'5', &[], ""),
            Kind::Special(flag) => (*flag, &[], ""),
        };
        let mut records = Vec::new();
        for (name, value) in &self.xattrs {
            records.extend(pax_record(&format!("SCHILY.xattr.{name}"), value));
        }
        for (key, text) in
            [("path", self.path.as_str()), ("linkpath", link)].into_iter().filter(|(_, text)| text.len() > NAME)
        {
            records.extend(pax_record(key, text.as_bytes()));
        }
        if !records.is_empty() {
            member(out, "pax", b'x', &records, "", self);
        }
        member(out, cut(&self.path), flag, data, cut(link), self);
    }
}

/// Bytes of the name and link fields. What is longer is in a PAX record.
const NAME: usize = 100;

fn cut(text: &str) -> &str {
    &text[..text.len().min(NAME)]
}

/// `LENGTH KEY=VALUE\n`, where LENGTH counts itself.
fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = [format!(" {key}=").as_bytes(), value, b"\n"].concat();
    let mut length = rest.len();
    while length.to_string().len() + rest.len() != length {
        length = length.to_string().len() + rest.len();
    }
    [length.to_string().as_bytes(), &rest].concat()
}

fn member(out: &mut Vec<u8>, path: &str, flag: u8, data: &[u8], link: &str, entry: &Entry) {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, path.as_bytes());
    put(100, format!("{:07o}", entry.mode).as_bytes());
    put(108, format!("{:07o}", entry.owner.0).as_bytes());
    put(116, format!("{:07o}", entry.owner.1).as_bytes());
    put(124, format!("{:011o}", data.len()).as_bytes());
    put(136, format!("{:011o}", entry.mtime).as_bytes());
    put(148, b"        ");
    put(156, &[flag]);
    put(157, link.as_bytes());
    put(257, b"ustar\x0000");
    put(329, b"0000001\x000000003\0");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(512), 0);
}

/// The whole stream with its end marker.
pub fn stream(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    entries.iter().for_each(|entry| entry.write(&mut out));
    out.resize(out.len() + 1024, 0);
    out
}
