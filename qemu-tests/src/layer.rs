//! Writes a tree as a tar layer: ustar headers, PAX records for what they cannot carry (POSIX.1-2017, `pax`).
//!
//! Names in order, the first name of an inode is the file and its later names are hard links: the same tree is the
//! same bytes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::sync::Arc;

use anyhow::Result;
use tar::{Builder, EntryType, Header};

use crate::tree::{Inode, Node, Tree};

/// The name field of a ustar header, in bytes; longer names are PAX records.
const NAME_LIMIT: usize = 100;

pub fn write<W: Write>(tree: &Tree, out: W) -> Result<W> {
    let mut builder = Builder::new(out);
    let mut first_names: HashMap<*const Inode, &str> = HashMap::new();
    for (path, inode) in &tree.names {
        let first = *first_names.entry(Arc::as_ptr(inode)).or_insert(path);
        let linked = (first != path).then_some(first);
        append(&mut builder, path, inode, linked)?;
    }
    Ok(builder.into_inner()?)
}

fn append<W: Write>(builder: &mut Builder<W>, path: &str, inode: &Inode, linked: Option<&str>) -> Result<()> {
    let mut header = Header::new_ustar();
    header.set_mode(inode.mode);
    header.set_uid(inode.uid);
    header.set_gid(inode.gid);
    header.set_mtime(inode.mtime);
    header.set_size(0);

    let mut records: Vec<(String, Vec<u8>)> = Vec::new();
    let mut name = path.to_owned();
    let mut link = linked.unwrap_or_default();
    let mut content = None;
    match (&inode.node, linked) {
        (_, Some(_)) => header.set_entry_type(EntryType::Link),
        (Node::Directory, None) => {
            name.push('/');
            header.set_entry_type(EntryType::Directory);
        }
        (Node::Symlink(target), None) => {
            link = target;
            header.set_entry_type(EntryType::Symlink);
        }
        (Node::File(bytes), None) => {
            header.set_entry_type(EntryType::Regular);
            header.set_size(bytes.size());
            content = Some(bytes);
        }
    }
    if linked.is_none() {
        records.extend(inode.xattrs.iter().map(|(key, value)| (format!("SCHILY.xattr.{key}"), value.clone())));
    }
    set_name(&mut header.as_old_mut().name, "path", &name, &mut records);
    set_name(&mut header.as_old_mut().linkname, "linkpath", link, &mut records);
    header.set_cksum();

    builder.append_pax_extensions(records.iter().map(|(key, value)| (key.as_str(), value.as_slice())))?;
    match content {
        Some(content) => builder.append(&header, content.reader())?,
        None => builder.append(&header, io::empty())?,
    }
    Ok(())
}

fn set_name(field: &mut [u8; NAME_LIMIT], key: &str, name: &str, records: &mut Vec<(String, Vec<u8>)>) {
    if name.len() > NAME_LIMIT || !name.is_ascii() {
        records.push((key.to_owned(), name.as_bytes().to_vec()));
    }
    let short = name.len().min(NAME_LIMIT);
    field[..short].copy_from_slice(&name.as_bytes()[..short]);
}
