//! `core.img`: the sector that loads the rest, what decompresses it, and the compressed payload (`util/mkimage.c`).

use std::io::Write;

use lzma_rust2::{EncodeMode, LzmaOptions, LzmaWriter, MfType};

use super::{Error, SECTOR, kernel};
use crate::grub_module::{self, MODULE_MAGIC};

/// What fits between the decompressor's place and the payload's.
const DECOMPRESSOR_LIMIT: usize = 0xe00;
/// Up to the reserved memory above it.
const CORE_LIMIT: usize = 0x78000 - 0x9000;
/// In the decompressor: compressed and uncompressed size.
const SIZES_AT: usize = 8;
/// In `diskboot.img`: the sectors to load, of the first entry of the list of blocks.
const BLOCKS_LEN_AT: usize = 0x1fc;

/// The files of `i386-pc` that an image is made of.
#[derive(Clone, Debug)]
pub struct Parts {
    pub kernel: Vec<u8>,
    pub diskboot: Vec<u8>,
    pub decompressor: Vec<u8>,
    /// The files of the modules, in their order.
    pub modules: Vec<Vec<u8>>,
}

/// What is compressed: the kernel's memory, then the modules, the configuration that GRUB runs first, and its directory.
pub fn payload(parts: &Parts, config: &str, prefix: &str) -> Result<Vec<u8>, Error> {
    let objects = grub_module::objects(&parts.modules, config, prefix, 4);
    let objects = objects.ok_or(Error::TooLarge { bytes: usize::MAX, limit: CORE_LIMIT })?;
    let mut payload = kernel::flat(&parts.kernel)?;
    const HEADER: u32 = 12;
    for word in [MODULE_MAGIC, HEADER, HEADER + word(objects.len())?] {
        payload.extend(word.to_le_bytes());
    }
    payload.extend(objects);
    Ok(payload)
}

/// The whole image, for a place on the disk that is not known yet.
pub fn core_image(parts: &Parts, config: &str, prefix: &str) -> Result<Vec<u8>, Error> {
    let broken = |file, what| Error::Malformed { file, what };
    if parts.diskboot.len() != SECTOR || parts.diskboot[SECTOR - 2..] != [0x20, 0x08] {
        return Err(broken("diskboot.img", "it does not have a sector that loads to segment 0x820"));
    }
    if !(0x20..=DECOMPRESSOR_LIMIT).contains(&parts.decompressor.len()) {
        return Err(broken("lzma_decompress.img", "its size is another one"));
    }
    let payload = payload(parts, config, prefix)?;
    let compressed = compress(&payload)?;
    let mut core = parts.decompressor.clone();
    core[SIZES_AT..SIZES_AT + 4].copy_from_slice(&word(compressed.len())?.to_le_bytes());
    core[SIZES_AT + 4..SIZES_AT + 8].copy_from_slice(&word(payload.len())?.to_le_bytes());
    core.extend(compressed);
    if core.len() > CORE_LIMIT {
        return Err(Error::TooLarge { bytes: core.len(), limit: CORE_LIMIT });
    }
    let mut image = parts.diskboot.clone();
    // OK to cast: CORE_LIMIT is below 1000 sectors.
    let sectors = core.len().div_ceil(SECTOR) as u16;
    image[BLOCKS_LEN_AT..BLOCKS_LEN_AT + 2].copy_from_slice(&sectors.to_le_bytes());
    image.extend(core);
    image.resize(image.len().next_multiple_of(SECTOR), 0);
    Ok(image)
}

/// A bare LZMA stream with the properties that GRUB's decompressor has built in.
fn compress(payload: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |error: std::io::Error| Error::Compression(error.to_string());
    let options = LzmaOptions {
        dict_size: 1 << 16,
        lc: 3,
        lp: 0,
        pb: 2,
        // The thorough mode saves 5 % of what has room, and takes half the processor time of a build from the cache.
        mode: EncodeMode::Fast,
        nice_len: 64,
        mf: MfType::Hc4,
        depth_limit: 0,
        preset_dict: None,
    };
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, false).map_err(failed)?;
    writer.write_all(payload).map_err(failed)?;
    writer.finish().map_err(failed)
}

fn word(number: usize) -> Result<u32, Error> {
    u32::try_from(number).map_err(|_| Error::TooLarge { bytes: number, limit: CORE_LIMIT })
}
