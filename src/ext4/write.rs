//! From tree to extents: gives everything its blocks, then writes what depends on where things are.

use zerocopy::little_endian::U32;
use zerocopy::{FromZeros, IntoBytes};

use super::allocate::Allocator;
use super::checksum::Seed;
use super::data;
use super::directory::{Directory, Entry, Leaf};
use super::error::Error;
use super::extent::{ExtentTree, Mapping};
use super::geometry::Geometry;
use super::groups::Groups;
use super::htree;
use super::inode::{INLINE_TARGET, RawInode};
use super::journal::{self, JOURNAL_INODE, JournalSuperblock};
use super::layout::Layout;
use super::namespace::{LOST_AND_FOUND, Namespace, ROOT_INODE};
use super::output::Output;
use super::resize_inode::{self, RESIZE_INODE};
use super::superblock::FIRST_INODE;
use super::tree::{Extent, Kind, Options, Tree};
use super::usage::{LOST_AND_FOUND_BLOCKS, measure_walked};
use super::xattr::Attributes;
use super::xattr_block::XattrBlocks;
use super::{BLOCK_BYTES, BLOCK_SIZE};

const DIRECTORY: u8 = 2;
const LOST_AND_FOUND_MODE: u16 = 0o040700;

/// The bytes of the filesystem as increasing extents. Errors when the tree cannot be in ext4, or not in this geometry.
pub fn write(options: &Options, geometry: &Geometry, tree: &Tree) -> Result<Vec<Extent>, Error> {
    if options.label.len() > 16 {
        return Err(Error::Label { len: options.label.len() });
    }
    let names = Namespace::walk(tree)?;
    geometry.holds(&measure_walked(tree, &names)?)?;

    let layout = Layout::new(geometry);
    let mut writer = Writer::new(options, geometry, tree, &names, &layout);
    writer.resize_inode()?;
    writer.journal()?;
    writer.directories()?;
    writer.xattrs()?;
    writer.symlinks()?;
    data::place(tree, &names, &mut writer.allocator, &mut writer.output, &mut writer.mappings)?;
    writer.extent_trees()?;
    writer.inode_tables();
    writer.groups();
    Ok(writer.output.finish())
}

struct Writer<'a> {
    options: &'a Options,
    geometry: &'a Geometry,
    tree: &'a Tree,
    names: &'a Namespace,
    layout: &'a Layout,
    seed: Seed,
    allocator: Allocator,
    output: Output,
    /// Of every inode with content in blocks, sorted when all are known.
    mappings: Vec<Mapping>,
    /// From inode 1 on.
    inodes: Vec<RawInode>,
}

impl<'a> Writer<'a> {
    fn new(
        options: &'a Options,
        geometry: &'a Geometry,
        tree: &'a Tree,
        names: &'a Namespace,
        layout: &'a Layout,
    ) -> Writer<'a> {
        Writer {
            options,
            geometry,
            tree,
            names,
            layout,
            seed: Seed::of_filesystem(&options.uuid),
            allocator: Allocator::new(geometry, layout),
            output: Output::default(),
            mappings: Vec::new(),
            inodes: inodes(options, tree, names),
        }
    }

    fn inode(&mut self, number: u32) -> &mut RawInode {
        &mut self.inodes[number as usize - 1]
    }

    fn resize_inode(&mut self) -> Result<(), Error> {
        if self.geometry.reserved_descriptor_blocks == 0 {
            return Ok(());
        }
        let block = self.allocator.block()?;
        *self.inode(RESIZE_INODE) = resize_inode::inode(self.geometry, block, self.options.time);
        self.output.metadata(block, &resize_inode::doubly_indirect_block(self.geometry));
        self.output
            .metadata(resize_inode::first_reserved(self.geometry), &resize_inode::reserved_blocks(self.geometry));
        Ok(())
    }

    fn journal(&mut self) -> Result<(), Error> {
        let blocks = self.geometry.journal_blocks;
        if blocks == 0 {
            return Ok(());
        }
        *self.inode(JOURNAL_INODE) = journal::inode(blocks, self.options.time);
        let first = self.map(JOURNAL_INODE, blocks)?;
        self.output.metadata(first, JournalSuperblock::new(blocks, self.options.uuid).as_bytes());
        Ok(())
    }

    /// Gives an inode without blocks its first ones, and says where they begin; their bytes are not written.
    fn map(&mut self, inode: u32, blocks: u32) -> Result<u32, Error> {
        let first = self.allocator.next(blocks)?;
        let (mut run, mut logical) = (first, 0);
        loop {
            self.mappings.push(Mapping { inode, logical, physical: run.start, len: run.len });
            logical += run.len;
            if logical == blocks {
                return Ok(first.start);
            }
            run = self.allocator.next(blocks - logical)?;
        }
    }

    /// Gives the blocks of an inode a place and writes them there.
    fn write_blocks(&mut self, inode: u32, bytes: &[u8]) -> Result<(), Error> {
        let first = self.mappings.len();
        self.map(inode, (bytes.len() / BLOCK_BYTES) as u32)?; // directories and symlinks have at most 2^18 blocks
        let mut rest = bytes;
        for mapping in &self.mappings[first..] {
            let (here, later) = rest.split_at(mapping.len as usize * BLOCK_BYTES);
            self.output.metadata(mapping.physical, here);
            rest = later;
        }
        Ok(())
    }

    fn directories(&mut self) -> Result<(), Error> {
        if self.names.lost_and_found.is_none() {
            self.directory(FIRST_INODE, ROOT_INODE, &[])?;
        }
        for &index in &self.names.order {
            if let Kind::Directory(entries) = &self.tree.inodes[index].kind {
                self.directory(self.names.numbers[index], self.names.parents[index], entries)?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, inode: u32, parent: u32, names: &[(Vec<u8>, usize)]) -> Result<(), Error> {
        let seed = self.seed.of_inode(inode);
        let directory = Directory { inode, parent, entries: self.entries(inode, names), seed };
        let bytes = match directory.single_block() {
            Some(block) if inode == FIRST_INODE => with_empty_blocks(block, seed),
            Some(block) => block,
            None => {
                self.inode(inode).set_indexed();
                htree::build(&directory, &self.options.hash_seed)
            }
        };
        self.inode(inode).set_size(bytes.len() as u64); // a length
        self.write_blocks(inode, &bytes)
    }

    fn entries<'n>(&self, directory: u32, names: &'n [(Vec<u8>, usize)]) -> Vec<Entry<'n>> {
        let own = (directory == ROOT_INODE && self.names.lost_and_found.is_none()).then_some(Entry {
            inode: FIRST_INODE,
            file_type: DIRECTORY,
            name: LOST_AND_FOUND,
        });
        let given = names.iter().map(|(name, index)| Entry {
            inode: self.names.numbers[*index],
            file_type: self.tree.inodes[*index].kind.file_type(),
            name,
        });
        own.into_iter().chain(given).collect()
    }

    fn xattrs(&mut self) -> Result<(), Error> {
        let mut blocks = XattrBlocks::default();
        for &index in &self.names.order {
            let attributes = Attributes::divide(index, &self.tree.inodes[index].xattrs)?;
            let number = self.names.numbers[index];
            self.inode(number).xattrs = attributes.inline_body();
            if attributes.needs_block() {
                let place = blocks.place(attributes.block_body(), || self.allocator.block())?;
                self.inode(number).set_xattr_block(place);
            }
        }
        blocks.write(self.seed, &mut self.output);
        Ok(())
    }

    fn symlinks(&mut self) -> Result<(), Error> {
        for &index in &self.names.order {
            match &self.tree.inodes[index].kind {
                Kind::Symlink(target) if target.len() > INLINE_TARGET => {
                    let mut block = target.clone();
                    block.resize(BLOCK_BYTES, 0);
                    self.write_blocks(self.names.numbers[index], &block)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn extent_trees(&mut self) -> Result<(), Error> {
        let mut mappings = std::mem::take(&mut self.mappings);
        mappings.sort_unstable();
        for of_inode in mappings.chunk_by(|a, b| a.inode == b.inode) {
            let number = of_inode[0].inode;
            let tree = ExtentTree::build(of_inode, self.seed.of_inode(number), || self.allocator.block())?;
            let content: u64 = of_inode.iter().map(|mapping| u64::from(mapping.len)).sum();
            self.inode(number).set_extents(tree.root);
            self.inode(number).add_blocks(content + tree.nodes.len() as u64); // a length
            tree.nodes.iter().for_each(|(place, node)| self.output.metadata(*place, node));
        }
        Ok(())
    }

    fn inode_tables(&mut self) {
        for (number, inode) in (1..).zip(&mut self.inodes) {
            // Numbers without an inode stay zero throughout.
            if inode.i_links_count.get() > 0 {
                inode.seal(number, self.seed);
            }
        }
        let per_group = self.geometry.inodes_per_group as usize;
        for (table, group) in self.inodes.chunks(per_group).zip(&self.layout.groups) {
            let at = u64::from(group.inode_table) * BLOCK_SIZE;
            self.output.bytes(at, table.as_bytes().into());
        }
    }

    fn groups(&mut self) {
        let last = self.names.last;
        let mut groups = Groups::new(self.geometry, self.layout, &self.allocator, last, self.seed);
        for &index in &self.names.order {
            if matches!(self.tree.inodes[index].kind, Kind::Directory(_)) {
                groups.add_directory(self.names.numbers[index]);
            }
        }
        if self.names.lost_and_found.is_none() {
            groups.add_directory(FIRST_INODE);
        }
        groups.write(self.options, self.journal_backup(), &mut self.output);
    }

    fn journal_backup(&self) -> [U32; 17] {
        match self.geometry.journal_blocks {
            0 => [U32::ZERO; 17],
            blocks => journal::backup(&self.inodes[JOURNAL_INODE as usize - 1].i_block, blocks),
        }
    }
}

/// The inodes of the tree at their numbers, zeros between.
fn inodes(options: &Options, tree: &Tree, names: &Namespace) -> Vec<RawInode> {
    let mut inodes = vec![RawInode::new_zeroed(); names.last as usize];
    inodes[FIRST_INODE as usize - 1] = RawInode::special(LOST_AND_FOUND_MODE, 2).with_time(options.time);
    for &index in &names.order {
        inodes[names.numbers[index] as usize - 1] = RawInode::new(&tree.inodes[index], names.links[index]);
    }
    inodes
}

/// `lost+found` gets its blocks before it needs them.
fn with_empty_blocks(block: Vec<u8>, seed: Seed) -> Vec<u8> {
    (1..LOST_AND_FOUND_BLOCKS).fold(block, |bytes, _| Leaf::new(bytes).finish(seed))
}
