//! The order in which contents lie on the disk: that of the image's layers and of the entries in them.
//!
//! Where a content lies in the spool depends on which thread was faster, so no order may follow from it. Filesystems are
//! laid out over an address space of our own instead, in which contents follow each other in import order; afterwards its
//! addresses are turned into those of the spool. As a layer's content is nearly contiguous there, extents stay long.

use std::collections::HashMap;

use super::{Extent, From};
use crate::image::{Objects, Payload};
use crate::spool::{BLOCK, Content};

/// The two address spaces. Both count bytes, and contents begin at multiples of [`BLOCK`] in both.
pub struct Placement {
    /// Ordered address by spool address; looked up only, so its order does not show.
    ordered: HashMap<u64, u64>,
    /// Increasing and without gaps by ordered address.
    runs: Vec<Run>,
}

/// Bytes that are contiguous in both address spaces.
struct Run {
    ordered: u64,
    spool: u64,
    len: u64,
}

impl Placement {
    pub fn new(objects: &Objects) -> Placement {
        let mut placement = Placement { ordered: HashMap::new(), runs: Vec::new() };
        let mut next = 0;
        for object in objects.in_import_order() {
            if let Payload::Regular(content) = &object.payload
                && content.len > 0
                && !placement.ordered.contains_key(&content.at)
            {
                next += placement.add(next, *content);
            }
        }
        placement
    }

    fn add(&mut self, ordered: u64, content: Content) -> u64 {
        let len = content.len.next_multiple_of(BLOCK);
        self.ordered.insert(content.at, ordered);
        match self.runs.last_mut() {
            Some(last) if last.spool + last.len == content.at => last.len += len,
            _ => self.runs.push(Run { ordered, spool: content.at, len }),
        }
        len
    }

    /// The ordered address of a content of the image.
    pub fn ordered(&self, content: Content) -> u64 {
        self.ordered[&content.at]
    }

    /// The disk's bytes from `at` on, which are those from address `ordered` on, as extents from the spool.
    pub fn spooled(&self, mut at: u64, len: u64, mut ordered: u64) -> Vec<Extent> {
        let mut extents = Vec::new();
        let end = ordered + len;
        let mut index = self.runs.partition_point(|run| run.ordered + run.len <= ordered);
        while ordered < end {
            let run = &self.runs[index];
            let skipped = ordered - run.ordered;
            let part = (run.len - skipped).min(end - ordered);
            extents.push(Extent { at, len: part, from: From::Spool(run.spool + skipped) });
            at += part;
            ordered += part;
            index += 1;
        }
        extents
    }
}
