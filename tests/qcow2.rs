//! qcow2 images against QEMU's own tools: what we write they accept, what they write we read.

mod read;
mod write;

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use bootwright::qcow2::{CLUSTER, Compression, Encoder, Writer};
use qemu_tests::oracle;
use tempfile::TempDir;

const EVERY_COMPRESSION: [Compression; 3] = [Compression::None, Compression::Zlib, Compression::Zstd];

/// `qemu-img` that has to agree.
fn qemu_img<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> String {
    oracle::agrees(&oracle::tool("qemu-img", "qemu-utils"), args)
}

/// A directory with one raw disk in it.
struct Workshop {
    dir: TempDir,
    bytes: Vec<u8>,
}

impl Workshop {
    fn new(bytes: Vec<u8>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("disk.raw"), &bytes).unwrap();
        Self { dir, bytes }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn raw(&self) -> PathBuf {
        self.path("disk.raw")
    }

    /// The disk, written by us.
    fn write(&self, name: &str, compression: Compression) -> PathBuf {
        let path = self.path(name);
        write_image(&path, &self.bytes, compression);
        path
    }
}

fn write_image(path: &Path, disk: &[u8], compression: Compression) {
    let mut writer = Writer::new(File::create(path).unwrap(), disk.len() as u64, compression).unwrap();
    let mut encoder = Encoder::new(compression).unwrap();
    for (guest, cluster) in (0..).zip(disk.chunks(CLUSTER)) {
        writer.append(guest, encoder.encode(cluster).unwrap()).unwrap();
    }
    writer.finish().unwrap();
}

/// `length` bytes in which clusters of zeros, text, noise, almost-noise and single bytes follow each other.
fn mixed_disk(length: usize) -> Vec<u8> {
    let mut disk = vec![0; length];
    for (index, cluster) in disk.chunks_mut(CLUSTER).enumerate() {
        let text = format!("cluster {index} of a disk that compresses well; ");
        match index % 7 {
            0 => fill(cluster, text.bytes().cycle()),
            1 | 4 => fill(cluster, noise(index as u64)),
            2 => {}
            3 => fill(cluster.split_at_mut(cluster.len() / 2).0, noise(index as u64)),
            5 => *cluster.last_mut().unwrap() = 1,
            _ => fill(cluster, noise(index as u64).map(|byte| byte & 0x0f)),
        }
    }
    disk
}

fn fill(bytes: &mut [u8], with: impl Iterator<Item = u8>) {
    bytes.iter_mut().zip(with).for_each(|(byte, value)| *byte = value);
}

/// Bytes that no compressor makes smaller; the same for the same seed (xorshift64*).
fn noise(seed: u64) -> impl Iterator<Item = u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    std::iter::repeat_with(move || {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes()[7]
    })
}
