//! Boot entries: the files of the Boot Loader Specification, type 1, with what they name looked up on the disk.

use std::cmp::Ordering;

use super::BootEntry;
use super::version;
use super::volume::Volume;

/// An entry has a few hundred bytes.
const ENTRY: u64 = 64 << 10;
const MOST_ENTRIES: usize = 256;

/// The entries of all volumes, those of one volume in the order of its menu.
pub fn read(volumes: &[Volume], problems: &mut Vec<String>) -> Vec<BootEntry> {
    let mut entries = Vec::new();
    for volume in volumes {
        let mut of_volume = on(volume, volumes, problems);
        of_volume.sort_by(menu_order);
        entries.extend(of_volume);
    }
    mark_default(&mut entries, volumes);
    entries
}

/// Where a volume that is /boot keeps its entries, and where one does that has /boot as a directory.
fn on(volume: &Volume, volumes: &[Volume], problems: &mut Vec<String>) -> Vec<BootEntry> {
    let prefix = if volume.is_directory("/loader/entries") { "" } else { "/boot" };
    let directory = format!("{prefix}/loader/entries");
    let mut noted = |error: String| problems.push(format!("partition {}: {error}", volume.partition));
    let names = volume.list(&directory).unwrap_or_else(|error| {
        noted(error);
        Vec::new()
    });
    let mut entries = Vec::new();
    for name in names.iter().filter(|name| name.ends_with(".conf")).take(MOST_ENTRIES) {
        let path = format!("{directory}/{name}");
        match volume.read_text(&path, ENTRY) {
            Ok(Some(text)) => entries.push(looked_up(parse(&text, path, volume.partition), volume, prefix, volumes)),
            Ok(None) => noted(format!("`{path}` is not a file")),
            Err(error) => noted(error),
        }
    }
    entries
}

fn parse(text: &str, path: String, partition: u32) -> BootEntry {
    let mut entry = BootEntry {
        partition,
        path,
        title: String::new(),
        version: String::new(),
        options: String::new(),
        linux: None,
        initrd: Vec::new(),
        default: false,
        missing: Vec::new(),
        deployment: None,
    };
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        let Some((key, value)) = line.split_once([' ', '\t']) else { continue };
        let value = value.trim();
        match key {
            "title" => value.clone_into(&mut entry.title),
            "version" => value.clone_into(&mut entry.version),
            "linux" => entry.linux = Some(value.to_owned()),
            "initrd" => entry.initrd.push(value.to_owned()),
            "options" if entry.options.is_empty() => value.clone_into(&mut entry.options),
            "options" => entry.options = format!("{} {value}", entry.options),
            _ => {}
        }
    }
    entry
}

fn looked_up(mut entry: BootEntry, volume: &Volume, prefix: &str, volumes: &[Volume]) -> BootEntry {
    let there =
        |file: &&String| volume.exists(file) || (!prefix.is_empty() && volume.exists(&format!("{prefix}{file}")));
    entry.missing = entry.linux.iter().chain(&entry.initrd).filter(|file| !there(file)).cloned().collect();
    entry.deployment = entry.ostree().and_then(|link| volumes.iter().find_map(|volume| deployment(volume, link)));
    entry
}

/// The deployment at the end of the links, as `STATEROOT/COMMIT.SERIAL`.
fn deployment(volume: &Volume, link: &str) -> Option<String> {
    let root = volume.canonical(link).filter(|root| volume.is_directory(root))?;
    let (stateroot, name) = root.strip_prefix("/ostree/deploy/")?.split_once("/deploy/")?;
    Some(format!("{stateroot}/{name}"))
}

impl BootEntry {
    /// The value of a kernel argument; of several, the last.
    pub fn argument(&self, key: &str) -> Option<&str> {
        self.options.split_whitespace().rev().find_map(|argument| argument.strip_prefix(key)?.strip_prefix('='))
    }

    /// The absolute path that the kernel argument `ostree=` names on the root filesystem.
    pub fn ostree(&self) -> Option<&str> {
        self.argument("ostree").filter(|link| link.starts_with('/'))
    }
}

/// Highest version first, as libostree and systemd-boot order them; GRUB's order by file name agrees for ostree's entries.
fn menu_order(a: &BootEntry, b: &BootEntry) -> Ordering {
    version::compare(&b.version, &a.version).then_with(|| version::compare(&b.path, &a.path))
}

/// systemd-boot reads entries from FAT only; so where some lie on FAT, the menu begins with those.
fn mark_default(entries: &mut [BootEntry], volumes: &[Volume]) {
    let on_fat =
        |entry: &BootEntry| volumes.iter().any(|volume| volume.partition == entry.partition && !volume.is_ext4());
    let first = entries.iter().position(on_fat).unwrap_or(0);
    if let Some(entry) = entries.get_mut(first) {
        entry.default = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(text: &str) -> BootEntry {
        parse(text, "/loader/entries/ostree-1.conf".to_owned(), 3)
    }

    #[test]
    fn keys_end_at_the_first_white_space_and_options_add_up() {
        let read = entry(
            "# linux /no\ntitle\t A  B \noptions  a=1\nlinux /vmlinuz\ninitrd /one\ninitrd /two\noptions a=2 b\n\nlonely\n",
        );
        assert_eq!((read.title.as_str(), read.options.as_str()), ("A  B", "a=1 a=2 b"));
        assert_eq!(read.linux.as_deref(), Some("/vmlinuz"));
        assert_eq!(read.initrd, ["/one", "/two"]);
        assert_eq!(read.argument("a"), Some("2"));
    }

    #[test]
    fn the_newest_of_ten_deployments_is_the_default() {
        let mut entries = [entry("version 9\n"), entry("version 10\n")];
        entries.sort_by(menu_order);
        mark_default(&mut entries, &[]);
        assert_eq!((entries[0].version.as_str(), entries[0].default, entries[1].default), ("10", true, false));
    }
}
