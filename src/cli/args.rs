//! The words of the command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::os::{Architecture, RootFilesystem};
use crate::output::OutputType;
use crate::request::BootloaderChoice;
use crate::seed::Seed;
use crate::units::Bytes;

/// Turns a bootable container into a disk that boots, as an ordinary user.
#[derive(Parser)]
#[command(name = "bootwright", version, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub enum Command {
    /// Build disks from an image
    Build(Box<BuildArgs>),
    /// Boot a disk in QEMU and say whether it came up
    Test(TestArgs),
    /// Show what is on a disk
    Inspect(InspectArgs),
    /// Show the layers that are kept for the next build, or drop some
    Cache(CacheArgs),
    /// List the partition layouts that are built in
    Layouts,
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
}

#[derive(Args)]
pub struct BuildArgs {
    /// The image: docker://HOST/NAME:TAG, oci:DIR[:TAG], oci-archive:FILE[:TAG],
    /// containers-storage:NAME[:TAG], docker-archive:FILE[:NAME], dir:DIR, ostree:DIR#REF or
    /// ostree:URL#REF
    #[arg(verbatim_doc_comment)]
    pub image: String,
    /// What to build; may be given several times, one pass makes them all
    #[arg(long = "type", value_name = "TYPE", default_value = "qcow2")]
    pub types: Vec<OutputType>,
    /// Where the files go: image/disk.raw, qcow2/disk.qcow2, manifest.json, SHA256SUMS
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub output: PathBuf,
    /// Users, groups, keys, kernel arguments, sizes: config.toml or .json, - for standard input
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The root filesystem [default: what the image says, else ext4]
    #[arg(long, value_name = "FS")]
    pub rootfs: Option<RootFilesystem>,
    /// Partition layout: a name from `bootwright layouts` or a file [default: by architecture]
    #[arg(long, value_name = "NAME|FILE")]
    pub layout: Option<String>,
    #[arg(long, value_name = "LOADER", default_value = "auto")]
    pub bootloader: BootloaderChoice,
    /// Loader files that the image lacks: syslinux, an ext4 driver for systemd-boot
    #[arg(long, value_name = "DIR")]
    pub bootloader_dir: Option<PathBuf>,
    /// Where the installed machine upgrades from [default: the image's stored reference]
    #[arg(long, value_name = "REF")]
    pub target_imgref: Option<String>,
    /// Picks the platform of a multi-architecture image: amd64, arm64, …
    #[arg(long, value_name = "ARCH")]
    pub target_arch: Option<Architecture>,
    /// Name of the stateroot [default: what the image says, else default]
    #[arg(long, value_name = "NAME")]
    pub stateroot: Option<String>,
    /// A kernel argument to add; may be given several times
    #[arg(long = "karg", value_name = "ARG", allow_hyphen_values = true)]
    pub kargs: Vec<String>,
    /// Size of the disk [default: the smallest that holds the system and one full upgrade]
    #[arg(long, value_name = "SIZE")]
    pub disk_size: Option<Bytes>,
    /// How qcow2 clusters are compressed
    #[arg(long, value_name = "METHOD", default_value = "zlib")]
    pub compression: CompressionMethod,
    /// Leave out console=tty0 and the serial console
    #[arg(long)]
    pub no_default_kernel_args: bool,
    /// Draws every UUID; 64 hexadecimal digits [default: from the image and the request]
    #[arg(long, value_name = "HEX")]
    pub seed: Option<Seed>,
    /// Write no SHA256SUMS (the checksum of a raw disk has to read its holes as zeros)
    #[arg(long)]
    pub no_checksums: bool,
    /// Show the disk that would be built, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How --dry-run shows it
    #[arg(long, value_name = "FORMAT", default_value = "text", requires = "dry_run")]
    pub format: Format,
    /// Threads to use [default: one per processor]
    #[arg(long, value_name = "N")]
    pub threads: Option<std::num::NonZeroUsize>,
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub progress: ProgressStyle,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub container: ContainerArgs,
    /// The machine refuses upgrades that its own policy.json does not want
    #[arg(long, help_heading = CONTAINER)]
    pub enforce_container_sigpolicy: bool,
    /// An auth.json for the machine's upgrades, put into its /etc/ostree for root alone
    #[arg(long, value_name = "FILE", help_heading = CONTAINER)]
    pub pull_secret: Option<PathBuf>,
    #[command(flatten)]
    pub ostree: OstreeArgs,
    /// Name of the machine's remote [default: the repository's or the commit's, else origin]
    #[arg(long, value_name = "NAME", help_heading = OSTREE)]
    pub remote_name: Option<String>,
    /// Where the machine upgrades from [default: what the disk is made from]
    #[arg(long, value_name = "URL", help_heading = OSTREE)]
    pub remote_url: Option<String>,
}

/// How servers of either kind are talked to.
#[derive(Args)]
#[command(next_help_heading = "Servers")]
pub struct ServerArgs {
    /// An authority to trust beside the host's, PEM
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<PathBuf>,
    /// Give a server up that sends nothing for so long
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub stall_timeout: u64,
    /// A certificate for servers that ask who you are, PEM
    #[arg(long, value_name = "FILE", requires = "tls_client_key")]
    pub tls_client_cert: Option<PathBuf>,
    /// Its key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_client_cert")]
    pub tls_client_key: Option<PathBuf>,
}

/// How a container image is fetched and read.
#[derive(Args)]
#[command(next_help_heading = CONTAINER)]
pub struct ContainerArgs {
    /// Credentials [default: where podman and Docker keep them]
    #[arg(long, value_name = "FILE")]
    pub authfile: Option<PathBuf>,
    /// false: the registry needs no certificate [default: registries.conf]
    #[arg(long, value_name = "BOOL", hide_possible_values = true, num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub tls_verify: Option<bool>,
    /// Which images are taken: a policy.json [default: the machine's]
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// Take it only when one of these cosign keys signed it; repeatable
    #[arg(long, value_name = "FILE", conflicts_with = "policy")]
    pub cosign_key: Vec<PathBuf>,
    /// Refuse a layer that inflates to more
    #[arg(long, value_name = "SIZE", default_value = "64G")]
    pub max_layer_size: Bytes,
    /// Keep layers here [default: $XDG_CACHE_HOME/bootwright]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Keep no layers, and take none
    #[arg(long, conflicts_with = "cache")]
    pub no_cache: bool,
}

#[derive(Args)]
pub struct CacheArgs {
    #[command(subcommand)]
    pub action: Option<CacheAction>,
    /// Where they are kept [default: $XDG_CACHE_HOME/bootwright]
    #[arg(long, value_name = "DIR", global = true)]
    pub cache: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum CacheAction {
    /// Drop layers; builds that are running go on
    Prune(PruneArgs),
}

#[derive(Args)]
#[group(required = true, multiple = true)]
pub struct PruneArgs {
    /// Those that no build took for so many days
    #[arg(long, value_name = "DAYS")]
    pub unused_for: Option<u32>,
    /// Those used longest ago, until the rest has this size
    #[arg(long, value_name = "SIZE")]
    pub keep: Option<Bytes>,
    /// All of them
    #[arg(long)]
    pub all: bool,
}

const CONTAINER: &str = "Container images";
const OSTREE: &str = "Refs of ostree repositories";

/// How a ref of an ostree repository is fetched and what is asked of it.
#[derive(Args)]
#[command(next_help_heading = OSTREE)]
pub struct OstreeArgs {
    /// OpenPGP keys, one of which has to have signed; repeatable
    #[arg(long, value_name = "FILE")]
    pub gpg_key: Vec<PathBuf>,
    /// ed25519 or SPKI keys, one of which has to have signed; repeatable
    #[arg(long, value_name = "FILE")]
    pub sign_key: Vec<PathBuf>,
    /// Take the commit of a server as it is, whoever made it
    #[arg(long)]
    pub no_verify: bool,
    /// Refuse a commit older than this: RFC 3339 or seconds since 1970
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub timestamp_check: Option<String>,
    /// The collection that the commit has to be bound to
    #[arg(long, value_name = "ID")]
    pub collection_id: Option<String>,
    /// Base URL of file objects, where it is another one
    #[arg(long, value_name = "URL")]
    pub content_url: Option<String>,
}

/// A root shell comes from systemd 256 or newer by itself.
const LIFE: &str = "The machine's life (needs a root shell on hvc0)";

#[derive(Args)]
pub struct TestArgs {
    /// A raw or qcow2 disk; it is not changed
    pub disk: PathBuf,
    /// The machine's architecture: x86_64 or aarch64 [default: what the disk is for]
    #[arg(long, value_name = "ARCH")]
    pub arch: Option<Architecture>,
    /// [default: uefi-secure when an x86_64 disk has shim, else uefi, else bios]
    #[arg(long, value_name = "FIRMWARE")]
    pub firmware: Option<FirmwareChoice>,
    /// Give the machine a larger drive, and see whether the system grows into it
    #[arg(long, value_name = "SIZE", help_heading = LIFE)]
    pub grow: Option<Bytes>,
    /// Restart the system so many times
    #[arg(long, value_name = "N", default_value = "0", help_heading = LIFE)]
    pub reboots: u32,
    /// Upgrade, go back, upgrade again: ostree:DIR#REF (mode archive) or an image
    #[arg(long, value_name = "SOURCE", help_heading = LIFE)]
    pub upgrade: Option<String>,
    /// Cut the power while the upgrade is deployed, shut down for and started
    #[arg(long, requires = "upgrade", help_heading = LIFE)]
    pub cut_power: bool,
    /// Succeed when the console shows this regex; repeatable [default: a login prompt]
    #[arg(long, value_name = "REGEX")]
    pub expect: Vec<String>,
    /// Give up after so many seconds [default: 120 with KVM, 300 in emulation]
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Write the verdict as JUnit XML
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Write the verdict as JSON; - for standard output
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Save a picture of the screen as PNG
    #[arg(long, value_name = "FILE")]
    pub screenshot: Option<PathBuf>,
    /// Keep the console's log here
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Memory of the machine in MiB
    #[arg(long, value_name = "MIB", default_value = "2048")]
    pub memory: u32,
    /// auto tries KVM and falls back to emulation when the guest stays silent
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub accel: AccelChoice,
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub progress: ProgressStyle,
    /// How the image of `--upgrade` is fetched.
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub container: ContainerArgs,
}

#[derive(Args)]
pub struct InspectArgs {
    /// A raw or qcow2 disk, or what one can be made of, as `build` takes it
    pub disk: PathBuf,
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: Format,
    /// Picks the platform of a multi-architecture image: amd64, arm64, …
    #[arg(long, value_name = "ARCH")]
    pub target_arch: Option<Architecture>,
    #[command(flatten)]
    pub server: ServerArgs,
    #[command(flatten)]
    pub container: ContainerArgs,
    #[command(flatten)]
    pub ostree: OstreeArgs,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum CompressionMethod {
    None,
    Zlib,
    Zstd,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum FirmwareChoice {
    Uefi,
    UefiSecure,
    Bios,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum AccelChoice {
    Auto,
    Kvm,
    Tcg,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressStyle {
    /// Bars on a terminal, plain lines otherwise
    Auto,
    /// Bars
    Term,
    /// A line for each step
    Plain,
    /// A line of JSON for each event
    Json,
    /// Nothing but errors
    None,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
