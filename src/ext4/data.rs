//! Places the content of regular files.
//!
//! What lies in the caller's store goes to the disk in the order of the store, whatever directory it is in: neighbours
//! there are neighbours here and leave as one extent. What lies in memory follows in order of inodes.

use super::BLOCK_SIZE;
use super::allocate::Allocator;
use super::error::Error;
use super::extent::Mapping;
use super::namespace::Namespace;
use super::output::Output;
use super::tree::{From, Kind, Piece, Tree};

/// Gives every piece its blocks: a mapping for the file, extents for the disk.
pub fn place(
    tree: &Tree,
    names: &Namespace,
    allocator: &mut Allocator,
    output: &mut Output,
    mappings: &mut Vec<Mapping>,
) -> Result<(), Error> {
    for (inode, piece) in in_disk_order(tree, names) {
        place_piece(inode, piece, allocator, output, mappings)?;
    }
    Ok(())
}

/// Pieces with the number of their inode: those in the store by offset, then those in memory.
fn in_disk_order<'a>(tree: &'a Tree, names: &Namespace) -> Vec<(u32, &'a Piece)> {
    let files = names.order.iter().filter_map(|&index| match &tree.inodes[index].kind {
        Kind::Regular(data) => Some((names.numbers[index], data)),
        _ => None,
    });
    let mut pieces: Vec<_> =
        files.flat_map(|(inode, data)| data.pieces.iter().map(move |piece| (inode, piece))).collect();
    pieces.sort_by_key(|(_, piece)| match piece.from {
        From::Source(offset) => (0, offset),
        From::Bytes(_) => (1, 0),
    });
    pieces
}

fn place_piece(
    inode: u32,
    piece: &Piece,
    allocator: &mut Allocator,
    output: &mut Output,
    mappings: &mut Vec<Mapping>,
) -> Result<(), Error> {
    let mut done = 0;
    while done < piece.len {
        let left = piece.len - done;
        // A file has fewer than 2^32 blocks, which was checked when it was measured.
        let run = allocator.next(left.div_ceil(BLOCK_SIZE) as u32)?;
        let logical = ((piece.at + done) / BLOCK_SIZE) as u32;
        mappings.push(Mapping { inode, logical, physical: run.start, len: run.len });
        let len = left.min(u64::from(run.len) * BLOCK_SIZE);
        emit(output, u64::from(run.start) * BLOCK_SIZE, piece, done, len);
        done += len;
    }
    Ok(())
}

/// `len` bytes of a piece from its byte `done`.
fn emit(output: &mut Output, at: u64, piece: &Piece, done: u64, len: u64) {
    match &piece.from {
        From::Source(offset) => output.source(at, len, offset + done),
        From::Bytes(bytes) if len == piece.len => output.bytes(at, bytes.clone()),
        // Cut by fixed metadata; the range lies in a slice, so it fits a usize.
        From::Bytes(bytes) => output.bytes(at, bytes[done as usize..(done + len) as usize].into()),
    }
}
