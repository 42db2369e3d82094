//! What qemu-img writes, read by us, and images that somebody damaged.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bootwright::qcow2::{CLUSTER, Compression, Error, Reader};
use proptest::prelude::*;

use super::{EVERY_COMPRESSION, Workshop, mixed_disk, oracle, qemu_img, write_image};

fn open(path: &Path) -> Result<Reader, Error> {
    Reader::open(File::open(path).unwrap())
}

fn read_all(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}

/// The refusal of an image that must not open.
fn refusal(path: &Path) -> String {
    open(path).err().expect("it was opened").to_string()
}

#[test]
fn images_of_qemu_img_read_as_the_raw_disk() {
    let shop = Workshop::new(mixed_disk(70 * CLUSTER + 512));
    let image = shop.path("disk.qcow2");
    for flags in ["", "-c"] {
        for options in [
            "cluster_size=512",
            "cluster_size=64k",
            "cluster_size=2M",
            "cluster_size=512,compression_type=zstd",
            "cluster_size=64k,compression_type=zstd",
            "cluster_size=2M,compression_type=zstd",
            "compat=0.10",
            "preallocation=metadata",
            "preallocation=falloc",
        ] {
            if flags == "-c" && options.starts_with("preallocation") {
                continue; // qemu-img does not combine the two
            }
            let args =
                ["convert", "-f", "raw", "-O", "qcow2", "-o", options].into_iter().chain(flags.split_terminator(' '));
            qemu_img(args.map(Path::new).chain([shop.raw().as_path(), &image]));
            assert!(read_all(&image) == shop.bytes, "{options} {flags}");
        }
    }
}

#[test]
fn our_own_images_read_as_the_raw_disk() {
    let shop = Workshop::new(mixed_disk(70 * CLUSTER + 512));
    for compression in EVERY_COMPRESSION {
        assert!(read_all(&shop.write("disk.qcow2", compression)) == shop.bytes, "{compression:?}");
    }
}

#[test]
fn clusters_zeroed_by_qemu_read_as_zeros() {
    let mut shop = Workshop::new(vec![7; 4 * CLUSTER]);
    let image = shop.write("disk.qcow2", Compression::Zlib);
    let qemu_io = oracle::tool("qemu-io", "qemu-utils");
    oracle::agrees(
        &qemu_io,
        [Path::new("-c"), "write -P 9 0 64k".as_ref(), "-c".as_ref(), "write -z 0 128k".as_ref(), &image],
    );
    shop.bytes[..2 * CLUSTER].fill(0);
    assert!(read_all(&image) == shop.bytes);
}

#[test]
fn a_read_starts_and_ends_anywhere() {
    let shop = Workshop::new(mixed_disk(10 * CLUSTER));
    let mut reader = open(&shop.write("disk.qcow2", Compression::Zstd)).unwrap();
    for (offset, length) in
        [(0, 1), (65_535, 2), (1000, 200_000), (655_359, 1), (655_360, 0), (400_000, 100), (300_000, 65_536)]
    {
        let mut buf = vec![1; length];
        reader.read_at(offset as u64, &mut buf).unwrap();
        assert!(buf == shop.bytes[offset..offset + length], "{length} bytes at {offset}");
    }
    for (offset, length) in [(655_360, 1), (655_000, 361), (u64::MAX, 1)] {
        assert!(matches!(reader.read_at(offset, &mut vec![0; length]), Err(Error::OutsideDisk { size: 655_360, .. })));
    }
}

#[test]
fn seek_counts_from_start_end_and_here() {
    let shop = Workshop::new(mixed_disk(10 * CLUSTER));
    let mut reader = open(&shop.write("disk.qcow2", Compression::Zlib)).unwrap();
    assert_eq!(reader.seek(SeekFrom::End(-100)).unwrap(), reader.size() - 100);
    let mut end = Vec::new();
    assert_eq!(reader.read_to_end(&mut end).unwrap(), 100);
    assert!(shop.bytes.ends_with(&end));
    assert_eq!(reader.seek(SeekFrom::Current(-655_360)).unwrap(), 0);
    assert!(reader.seek(SeekFrom::Current(-1)).is_err());
}

#[test]
fn images_that_do_not_stand_alone_or_are_not_understood_are_refused() {
    let shop = Workshop::new(mixed_disk(2 * CLUSTER));
    let raw = shop.raw();
    let raw = raw.to_str().unwrap();
    let data_file = format!("data_file={}", shop.path("data").display());
    for (args, why) in [
        (vec!["-b", raw, "-F", "raw"], "has a backing file"),
        (vec!["-o", &data_file], "keeps its data in an external file"),
        (vec!["-o", "extended_l2=on"], "has extended L2 entries"),
    ] {
        let image = shop.path("disk.qcow2");
        let args = ["create", "-f", "qcow2"].into_iter().chain(args).map(Path::new);
        qemu_img(args.chain([image.as_path(), "128k".as_ref()]));
        assert_eq!(refusal(&image), format!("this qcow2 image {why}, which is not supported"));
    }
}

#[test]
fn header_fields_out_of_their_range_are_refused_by_name() {
    let shop = Workshop::new(mixed_disk(2 * CLUSTER));
    let image = shop.write("disk.qcow2", Compression::Zlib);
    let intact = std::fs::read(&image).unwrap();
    for (byte, value, why) in [
        (0, 0, "not a qcow2 image: it starts with 0x004649fb instead of 0x514649fb"),
        (7, 4, "this qcow2 image has version 4, which is not supported"),
        (23, 22, "invalid qcow2 image: cluster_bits is 22, it has to be 9 to 21"),
        (
            24,
            255,
            "a disk of 18374686479671754752 bytes needs an L1 table of 34225520641 entries, QEMU reads at most 4194304",
        ),
        (35, 2, "this qcow2 image is encrypted, which is not supported"),
        (39, 0, "invalid qcow2 image: its L1 table has 0 entries, a disk of 131072 bytes needs 1"),
        (47, 8, "invalid qcow2 image: its L1 table lies at 262152, not at the start of a cluster"),
        (79, 2, "this qcow2 image is marked as corrupt, which is not supported"),
        (72, 1, "this qcow2 image has the unknown incompatible features 0x100000000000000, which is not supported"),
        (104, 2, "this qcow2 image has the unknown compression type 2, which is not supported"),
    ] {
        let mut damaged = intact.clone();
        damaged[byte] = value;
        std::fs::write(&image, damaged).unwrap();
        assert_eq!(refusal(&image), why);
    }
}

/// Reads what an opened image claims to hold, from both ends, as far as a test has time for.
fn exercise(path: &Path) {
    let Ok(mut reader) = open(path) else { return };
    let (mut buf, size) = (vec![0; 8192], reader.size());
    for step in 0..24 {
        let offset = step * 16_384;
        let length = buf.len().min(usize::try_from(size.saturating_sub(offset)).unwrap());
        let _ = reader.read_at(offset, &mut buf[..length]);
        let _ = reader.read_at(size.saturating_sub(offset + 8192), &mut buf[..length]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_image_is_an_error_and_not_a_panic(
        compression in prop::sample::select(EVERY_COMPRESSION.to_vec()),
        // Where the bytes matter: the header, the first compressed pieces, the tables at the end.
        damage in prop::collection::vec((prop_oneof![0_usize..112, 65_536_usize..70_000, 0_usize..1 << 20], any::<u8>()), 1..6),
        cut in prop_oneof![3 => Just(usize::MAX), 1 => 0_usize..1 << 19],
    ) {
        let shop = Workshop::new(mixed_disk(5 * CLUSTER));
        let image = shop.path("disk.qcow2");
        write_image(&image, &shop.bytes, compression);
        let mut bytes = std::fs::read(&image).unwrap();
        let length = bytes.len();
        for (place, value) in damage {
            // The first entries of the four tables are where chance would seldom hit.
            let place = if place >= 70_000 { length - (1 + place / 256 % 4) * CLUSTER + place % 48 } else { place };
            bytes[place] = value;
        }
        bytes.truncate(cut);
        std::fs::write(&image, bytes).unwrap();
        exercise(&image);
    }
}
