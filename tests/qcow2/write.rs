//! What we write, judged by qemu-img.

use std::fs::File;
use std::io::{Cursor, Seek, SeekFrom, Write};
use std::path::Path;

use bootwright::qcow2::{CLUSTER, Cluster, Compression, Encoder, Error, Writer};

use super::{EVERY_COMPRESSION, Workshop, fill, mixed_disk, noise, oracle, qemu_img};

fn check(image: &Path) {
    let said = qemu_img([Path::new("check"), "-f".as_ref(), "qcow2".as_ref(), image]);
    assert!(said.contains("No errors were found on the image."), "{said}");
    assert!(!said.contains("leaked"), "{said}");
    assert_eq!(std::fs::metadata(image).unwrap().len() % CLUSTER as u64, 0);
}

fn compare(raw: &Path, image: &Path) {
    let flags = ["compare", "-f", "raw", "-F", "qcow2"].map(Path::new);
    let said = qemu_img(flags.into_iter().chain([raw, image]));
    assert!(said.contains("Images are identical."), "{said}");
}

#[test]
fn qemu_img_finds_no_error_and_the_same_disk_at_every_size() {
    for length in [0, 512, CLUSTER - 512, CLUSTER, CLUSTER + 512, 100 * CLUSTER + 1536] {
        let shop = Workshop::new(mixed_disk(length));
        for compression in EVERY_COMPRESSION {
            let image = shop.write("disk.qcow2", compression);
            check(&image);
            compare(&shop.raw(), &image);
        }
    }
}

#[test]
fn qemu_img_converts_it_back_to_the_same_bytes() {
    let shop = Workshop::new(mixed_disk(60 * CLUSTER));
    for compression in EVERY_COMPRESSION {
        let (image, back) = (shop.write("disk.qcow2", compression), shop.path("back.raw"));
        let flags = ["convert", "-f", "qcow2", "-O", "raw"].map(Path::new);
        qemu_img(flags.into_iter().chain([image.as_path(), &back]));
        assert!(std::fs::read(back).unwrap() == shop.bytes, "{compression:?}");
    }
}

#[test]
fn qemu_img_info_names_version_size_and_compression() {
    let shop = Workshop::new(mixed_disk(3 * CLUSTER + 512));
    for (compression, name) in [(Compression::None, "zlib"), (Compression::Zlib, "zlib"), (Compression::Zstd, "zstd")] {
        let said = qemu_img([Path::new("info"), &shop.write("disk.qcow2", compression)]);
        for line in [
            "(197120 bytes)",
            "cluster_size: 65536",
            "compat: 1.1",
            &format!("compression type: {name}"),
            "corrupt: false",
        ] {
            assert!(said.contains(line), "{line} is not in\n{said}");
        }
    }
}

/// Clusters 8191 and 8192 are mapped by two L2 tables, the last one by the fourth; the third does not exist.
#[test]
fn clusters_of_a_sparse_disk_are_found_through_their_own_l2_tables() {
    let shop = Workshop::new(Vec::new());
    let (raw, image, size) = (shop.raw(), shop.path("disk.qcow2"), 4 * 8192 * CLUSTER as u64 - 512);
    let mut raw_file = File::create(&raw).unwrap();
    raw_file.set_len(size).unwrap();
    let mut writer = Writer::new(File::create(&image).unwrap(), size, Compression::Zlib).unwrap();
    let mut encoder = Encoder::new(Compression::Zlib).unwrap();
    for guest in [0, 8191, 8192, 4 * 8192 - 1] {
        let bytes = vec![guest as u8 | 1; CLUSTER - 512];
        raw_file.seek(SeekFrom::Start(guest * CLUSTER as u64)).unwrap();
        raw_file.write_all(&bytes).unwrap();
        writer.append(guest, encoder.encode(&bytes).unwrap()).unwrap();
    }
    assert_eq!(writer.finish().unwrap().metadata().unwrap().len(), 8 * CLUSTER as u64); // header, data, 3 L2, L1, 2 of refcounts
    check(&image);
    compare(&raw, &image);
}

/// A file that leaves holes where zeros are written.
struct Sparse(File);

impl Write for Sparse {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match *bytes == vec![0; bytes.len()] {
            true => self.0.seek_relative(bytes.len() as i64)?,
            false => self.0.write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let end = self.0.stream_position()?;
        if end > self.0.metadata()?.len() {
            self.0.set_len(end)?;
        }
        self.0.seek(to)
    }
}

#[test]
fn a_file_beyond_2_gib_has_more_than_one_refcount_block() {
    let shop = Workshop::new(Vec::new());
    let (image, clusters) = (shop.path("disk.qcow2"), 32_800);
    let file = Sparse(File::create(&image).unwrap());
    let mut writer = Writer::new(file, clusters * CLUSTER as u64, Compression::None).unwrap();
    for guest in 0..clusters {
        writer.append(guest, Cluster::Plain(vec![0; CLUSTER])).unwrap();
    }
    writer.finish().unwrap();
    check(&image);
}

#[test]
fn plain_clusters_among_compressed_ones_cost_little_padding() {
    let mut disk = vec![0; 100 * CLUSTER];
    for (index, cluster) in disk.chunks_mut(CLUSTER).enumerate() {
        let random = [CLUSTER, CLUSTER - 1000][index % 2];
        fill(&mut cluster[..random], noise(index as u64));
    }
    let shop = Workshop::new(disk);
    let image = shop.write("disk.qcow2", Compression::Zlib);
    check(&image);
    compare(&shop.raw(), &image);
    let clusters = std::fs::metadata(&image).unwrap().len() / CLUSTER as u64;
    assert!(clusters < 100 + 10, "{clusters} clusters for 100");
}

/// The strictest reader there is: a zlib that keeps no more than the 4 KiB it was promised.
#[test]
fn deflate_distances_stay_within_qemus_12_bit_window() {
    let shop = Workshop::new(Vec::new());
    // 6000 bytes of noise, repeated: all there is to gain lies at a distance of 6000.
    let mut far: Vec<u8> = noise(1).take(6000).collect();
    far.extend_from_within(..);
    far.resize(CLUSTER, 7);
    let Cluster::Compressed(piece) = Encoder::new(Compression::Zlib).unwrap().encode(&far).unwrap() else {
        panic!("not compressed")
    };
    std::fs::write(shop.path("piece"), piece).unwrap();
    let program = "import sys, zlib\nd = zlib.decompressobj(-12)\ndata, out = open(sys.argv[1], 'rb').read(), b''\n\
                   while data and not d.eof:\n  out += d.decompress(data, 64)\n  data = d.unconsumed_tail\n\
                   open(sys.argv[2], 'wb').write(out + d.flush())";
    let args = ["-c".into(), program.into(), shop.path("piece"), shop.path("out")];
    oracle::agrees(&oracle::tool("python3", "python3"), args);
    assert!(std::fs::read(shop.path("out")).unwrap() == far);
}

#[test]
fn an_encoder_that_has_worked_before_gives_the_same_bytes() {
    let disk = mixed_disk(40 * CLUSTER);
    for compression in EVERY_COMPRESSION {
        let mut old = Encoder::new(compression).unwrap();
        for cluster in disk.chunks(CLUSTER) {
            let fresh = Encoder::new(compression).unwrap().encode(cluster).unwrap();
            assert!(old.encode(cluster).unwrap() == fresh, "{compression:?}");
        }
    }
}

#[test]
fn incompressible_clusters_are_stored_as_they_are() {
    let cluster: Vec<u8> = noise(1).take(CLUSTER).collect();
    for compression in EVERY_COMPRESSION {
        let encoded = Encoder::new(compression).unwrap().encode(&cluster).unwrap();
        assert!(encoded == Cluster::Plain(cluster.clone()), "{compression:?}");
    }
}

fn small(compression: Compression) -> Writer<Cursor<Vec<u8>>> {
    Writer::new(Cursor::default(), 10 * CLUSTER as u64, compression).unwrap()
}

#[test]
fn clusters_out_of_order_or_beyond_the_disk_are_refused() {
    let mut writer = small(Compression::Zlib);
    writer.append(4, Cluster::Zero).unwrap();
    assert!(matches!(writer.append(4, Cluster::Zero), Err(Error::OutOfOrder { given: 4, previous: 4 })));
    assert!(matches!(writer.append(10, Cluster::Zero), Err(Error::BeyondDisk { given: 10, clusters: 10 })));
}

#[test]
fn clusters_of_a_wrong_length_are_refused() {
    let mut writer = small(Compression::Zlib);
    for cluster in [Cluster::Plain(vec![1; 512]), Cluster::Compressed(vec![]), Cluster::Compressed(vec![1; CLUSTER])] {
        assert!(matches!(writer.append(0, cluster), Err(Error::ClusterLength { guest: 0, .. })));
    }
    let mut uncompressed = small(Compression::None);
    assert!(matches!(uncompressed.append(0, Cluster::Compressed(vec![1])), Err(Error::NotCompressed { guest: 0 })));
    assert!(matches!(
        Encoder::new(Compression::None).unwrap().encode(&[1; CLUSTER + 1]),
        Err(Error::InputLength { length: 65_537 })
    ));
}

#[test]
fn a_disk_that_qemu_would_not_open_is_not_begun() {
    let largest = 4_194_304 * 8192 * CLUSTER as u64;
    let begin = |size| Writer::new(Cursor::new(Vec::new()), size, Compression::None).map(|_| ());
    assert!(begin(largest).is_ok());
    assert!(matches!(begin(largest + 512), Err(Error::DiskTooLarge { need: 4_194_305, .. })));
    assert!(matches!(begin(1000), Err(Error::SizeNotInSectors { size: 1000 })));
}
