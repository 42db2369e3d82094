//! The image from front to back: header, superblock, inodes, shared xattrs, data blocks.

use zerocopy::IntoBytes;
use zerocopy::little_endian::{U32, U64};

use super::body::Body;
use super::inode::{Content, Inode, InodeNumber};
use super::layout::{Layout, Out, Place, address};
use super::on_disk::*;
use super::placement::{Placement, place, place_symlink};
use super::record::{self, Record};
use super::xattr::{self, SharedXattrs, XattrBody};

/// Everything that is decided before the first position is known.
struct Image<'a> {
    inodes: &'a [Inode],
    xattrs: Vec<XattrBody>,
    shared_xattrs: Vec<Vec<u8>>,
}

pub fn write(inodes: &[Inode]) -> Vec<u8> {
    let shared = SharedXattrs::of(inodes);
    let xattrs = inodes.iter().map(|inode| XattrBody::of(inode, &shared)).collect();
    let image = Image { inodes, xattrs, shared_xattrs: shared.entries().collect() };

    let unknown = Layout::unknown(inodes.len(), image.shared_xattrs.len());
    let layout = image.write(&mut Out::measure(), &unknown);
    let mut out = Out::emit(layout.end);
    let again = image.write(&mut out, &layout);
    assert_eq!(layout.end, again.end, "both runs write the same");
    out.into_bytes()
}

impl Image<'_> {
    /// One run: takes positions from `layout`, returns those it came across.
    fn write(&self, out: &mut Out, layout: &Layout) -> Layout {
        let mut found = Layout::unknown(0, 0);
        self.write_header(out);
        out.pad_to(EROFS_SUPER_OFFSET);
        self.write_superblock(out, layout);
        for number in 0..self.inodes.len() {
            let place = self.write_inode(out, layout, number);
            found.places.push(place);
        }
        out.align(SLOT);
        found.inodes_end = out.position();
        for entry in &self.shared_xattrs {
            found.shared_xattrs.push(out.position());
            out.put(entry);
        }
        out.align(BLOCK);
        for (inode, place) in self.inodes.iter().zip(&mut found.places) {
            place.blocks = out.position();
            out.put(&self.body(inode, layout).blocks(place.tail_is_inline));
        }
        found.end = out.position();
        found
    }

    fn write_header(&self, out: &mut Out) {
        let has_acl = self.inodes.iter().any(xattr::has_acl);
        let header = ComposefsHeader {
            magic: LCFS_EROFS_MAGIC.into(),
            version: LCFS_EROFS_VERSION.into(),
            flags: if has_acl { LCFS_EROFS_FLAGS_HAS_ACL.into() } else { U32::ZERO },
            composefs_version: U32::ZERO,
            unused: [U32::ZERO; 4],
        };
        out.put(header.as_bytes());
    }

    fn write_superblock(&self, out: &mut Out, layout: &Layout) {
        let superblock = ErofsSuperBlock {
            magic: EROFS_SUPER_MAGIC_V1.into(),
            checksum: U32::ZERO,
            feature_compat: (EROFS_FEATURE_COMPAT_MTIME | EROFS_FEATURE_COMPAT_XATTR_FILTER).into(),
            blkszbits: 12,
            sb_extslots: 0,
            root_nid: (layout.nid(0) as u16).into(), // The root comes first, in slot 36 or in the next block.
            inos: (self.inodes.len() as u64).into(),
            build_time: U64::ZERO,
            build_time_nsec: U32::ZERO,
            blocks: address(layout.end, BLOCK).into(),
            meta_blkaddr: U32::ZERO,
            xattr_blkaddr: address(layout.inodes_end, BLOCK).into(),
            uuid: [0; 16],
            volume_name: [0; 16],
            feature_incompat: U32::ZERO,
            unused: [0; 44],
        };
        out.put(superblock.as_bytes());
    }

    fn body(&self, inode: &Inode, layout: &Layout) -> Body {
        Body::of(&inode.content, self.inodes, |number| layout.nid(number) as u64)
    }

    fn write_inode(&self, out: &mut Out, layout: &Layout, number: InodeNumber) -> Place {
        let inode = &self.inodes[number];
        let body = self.body(inode, layout);
        let xattrs = self.xattrs[number].bytes(|index| layout.shared_xattr_id(index));
        let head = record::size(inode) + xattrs.len();
        out.align(SLOT);
        let Placement { padding, tail_is_inline } = match inode.content {
            Content::Symlink(_) => place_symlink(out.position(), head, body.tail().len()),
            _ => place(out.position(), head, body.tail().len()),
        };
        out.pad_to(out.position() + padding);

        let position = out.position();
        let record = Record {
            number,
            inode,
            xattr_icount: xattr::icount(xattrs.len()),
            size: body.size(inode, tail_is_inline),
            has_inline_tail: tail_is_inline && !body.tail().is_empty(),
            block: if body.has_blocks(tail_is_inline) { address(layout.places[number].blocks, BLOCK) } else { 0 },
        };
        out.put(&record.bytes());
        out.put(&xattrs);
        if tail_is_inline {
            out.put(body.tail());
        }
        Place { inode: position, blocks: 0, tail_is_inline }
    }
}
