//! Collects writes in disk order into extents, leaving out every aligned 4 KiB of zeros.

use super::Extent;

/// Granularity in which zeros are left out.
const PAGE: usize = 4096;
/// An extent is not grown beyond this, so that a consumer can write each one at once.
const LONGEST: usize = 1 << 20;

/// The extents so far, and the page that is still being filled.
pub struct Extents {
    page: Box<[u8; PAGE]>,
    page_at: u64,
    done: Vec<Extent>,
}

impl Extents {
    pub fn new() -> Self {
        Self { page: Box::new([0; PAGE]), page_at: 0, done: Vec::new() }
    }

    /// Puts `bytes` at `at`, which is not before the end of the previous call's bytes.
    pub fn put(&mut self, mut at: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let offset = (at % PAGE as u64) as usize; // lossless: below 4096
            self.turn_to(at - offset as u64);
            let (now, later) = bytes.split_at(bytes.len().min(PAGE - offset));
            self.page[offset..offset + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            bytes = later;
        }
    }

    /// The extents of a volume of `size` bytes; its last page may be a partial one.
    pub fn finish(mut self, size: u64) -> Vec<Extent> {
        self.close_page();
        if let Some(last) = self.done.last_mut() {
            let inside = size - last.at;
            last.bytes.truncate(usize::try_from(inside).unwrap_or(usize::MAX));
        }
        self.done
    }

    fn turn_to(&mut self, page_at: u64) {
        if page_at != self.page_at {
            debug_assert!(page_at > self.page_at, "extents are written in disk order");
            self.close_page();
            self.page_at = page_at;
        }
    }

    fn close_page(&mut self) {
        if *self.page == [0; PAGE] {
            return;
        }
        match self.done.last_mut() {
            Some(last) if self.page_at == end(last) && last.bytes.len() < LONGEST => {
                last.bytes.extend_from_slice(&*self.page);
            }
            _ => self.done.push(Extent { at: self.page_at, bytes: self.page.to_vec() }),
        }
        self.page.fill(0);
    }
}

fn end(extent: &Extent) -> u64 {
    extent.at + extent.bytes.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_left_out_and_neighbours_are_one_extent_up_to_a_mebibyte() {
        let mut extents = Extents::new();
        extents.put(512, &[1; 512]);
        extents.put(8192, &[0; 8192]);
        extents.put(20480, &vec![2; LONGEST + PAGE]);
        extents.put(2 << 20, &[0, 3]);
        let found: Vec<_> = extents.finish((2 << 20) + 512).iter().map(|e| (e.at, e.bytes.len())).collect();
        let tail = 20480 + LONGEST as u64;
        assert_eq!(found, [(0, PAGE), (20480, LONGEST), (tail, PAGE), (2 << 20, 512)]);
    }
}
