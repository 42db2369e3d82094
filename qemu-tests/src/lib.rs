//! Bootable containers for the tests, made from Debian packages: no container runtime, only mmdebstrap.
//!
//! [`test_os`] is the system that the tests boot, [`large_os`] a big one for measurements. Both are built once per
//! recipe and kept in a cache outside of the source tree. Nothing here is part of the tool itself.

mod bootstrap;
mod cache;
mod layer;
mod oci;
pub mod oracle;
mod ostree_layout;
mod recipe;
pub mod server;
mod tree;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use oci::{Labels, Layout};
pub use recipe::{Architecture, Suite};
use recipe::{Kind, Recipe};
use tree::Tree;

/// The system that the tests boot.
#[derive(Clone, Debug)]
pub struct TestOs {
    /// OCI layout directory, tag `latest`: layers base, kernel, derived; version label `v1`.
    pub oci: PathBuf,
    /// The same with one layer more, version label `v2`.
    pub oci_v2: PathBuf,
    /// The flattened tree of [`TestOs::oci`] as one tar.
    pub rootfs_tar: PathBuf,
    /// The name below `/usr/lib/modules`.
    pub kernel_version: String,
}

/// A system of about 2 GB and 60,000 entries in eight layers, for measurements.
#[derive(Clone, Debug)]
pub struct LargeOs {
    /// OCI layout directory, tag `latest`.
    pub oci: PathBuf,
    /// The flattened tree as one tar.
    pub rootfs_tar: PathBuf,
    pub kernel_version: String,
}

/// The test system, from the cache or built now (one to three minutes, 400 MB).
///
/// # Errors
/// A missing host program is named with the command that installs it.
pub fn test_os() -> Result<TestOs> {
    test_os_of(Suite::Trixie, native())
}

/// The test system of another release or for another architecture; for a foreign one its package scripts are emulated (about
/// eight minutes).
///
/// # Errors
/// As [`test_os`].
pub fn test_os_of(suite: Suite, architecture: Architecture) -> Result<TestOs> {
    small_os(&Recipe::new(Kind::Small, suite, architecture))
}

/// The test system with Debian's SELinux policy in it, active and permissive (about three minutes).
///
/// # Errors
/// As [`test_os`].
pub fn selinux_os() -> Result<TestOs> {
    small_os(&Recipe::new(Kind::Selinux, Suite::Trixie, native()))
}

fn small_os(recipe: &Recipe) -> Result<TestOs> {
    let directory = cache::get_or_build(&cache::directory()?.join("test-os"), &recipe.hash()?, |building| {
        build_test_os(recipe, building)
    })?;
    Ok(TestOs {
        oci: directory.join("os"),
        oci_v2: directory.join("os-v2"),
        rootfs_tar: directory.join("rootfs.tar"),
        kernel_version: fs::read_to_string(directory.join("kernel-version"))?,
    })
}

/// The large system, from the cache or built now (about five minutes, 3 GB).
///
/// # Errors
/// As [`test_os`].
pub fn large_os() -> Result<LargeOs> {
    let recipe = Recipe::new(Kind::Large, Suite::Trixie, native());
    let directory = cache::get_or_build(&cache::directory()?.join("large-os"), &recipe.hash()?, |building| {
        build_large_os(&recipe, building)
    })?;
    Ok(LargeOs {
        oci: directory.join("large"),
        rootfs_tar: directory.join("rootfs.tar"),
        kernel_version: fs::read_to_string(directory.join("kernel-version"))?,
    })
}

/// The files of one package of Debian as a tar, from the cache or fetched now (seconds). For any architecture: nothing is run.
///
/// # Errors
/// As [`test_os`].
pub fn package(name: &str, suite: Suite, architecture: Architecture) -> Result<PathBuf> {
    let title = format!("{name}-{}-{}", suite.name(), architecture.name());
    let directory = cache::get_or_build(&cache::directory()?.join("packages"), &title, |building| {
        bootstrap::unpack(name, suite, architecture, &building.join("files.tar"))
    })?;
    Ok(directory.join("files.tar"))
}

fn native() -> Architecture {
    if Architecture::Arm64.is_native() { Architecture::Arm64 } else { Architecture::Amd64 }
}

fn build_test_os(recipe: &Recipe, directory: &Path) -> Result<()> {
    let v1 = build_image(recipe, directory, "os")?;
    let layout = Layout::create(&directory.join("os-v2"))?;
    for layer in &v1.layers {
        layout.share_layer(&v1.layout, layer)?;
    }
    let mut layers = v1.layers.clone();
    layers.push(layout.add_layer("v2", &recipe.v2()?)?);
    layout.finish(&layers, &v1.labels(recipe, "v2"))
}

fn build_large_os(recipe: &Recipe, directory: &Path) -> Result<()> {
    build_image(recipe, directory, "large").map(|_| ())
}

struct Image {
    layout: Layout,
    layers: Vec<oci::Layer>,
    kernel_version: String,
}

impl Image {
    fn labels<'a>(&'a self, recipe: &Recipe, version: &'a str) -> Labels<'a> {
        Labels { architecture: recipe.architecture.name(), kernel_version: &self.kernel_version, version }
    }
}

/// The image `name`, its flattened tree and its kernel's version, all in `directory`.
fn build_image(recipe: &Recipe, directory: &Path, name: &str) -> Result<Image> {
    let root = directory.join("bootstrap.tar");
    bootstrap::run(recipe, &root)?;
    let mut tree = Tree::from_tar(&root)?;
    let kernel_version = ostree_layout::apply(&mut tree)?;
    ostree_layout::add_special_files(&mut tree)?;

    let mut parts = recipe.split(&tree)?;
    parts.push(("derived".to_owned(), recipe.derived()?));
    let layout = Layout::create(&directory.join(name))?;
    let layers = layout.add_layers(&parts)?;
    let image = Image { layout, layers, kernel_version };
    image.layout.finish(&image.layers, &image.labels(recipe, "v1"))?;

    tree.apply(&recipe.derived()?);
    let rootfs = BufWriter::new(File::create(directory.join("rootfs.tar"))?);
    layer::write(&tree, rootfs)?.into_inner().context("writing rootfs.tar")?;
    fs::write(directory.join("kernel-version"), &image.kernel_version)?;
    fs::remove_file(&root)?;
    Ok(image)
}
