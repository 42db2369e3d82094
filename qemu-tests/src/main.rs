//! `qemu-tests os`, `qemu-tests selinux` and `qemu-tests large` build a test system, or find it in the cache, and print where it is. A release and
//! an architecture may follow: `qemu-tests os bookworm`, `qemu-tests os trixie arm64`.

use anyhow::{Result, bail};
use qemu_tests::{Architecture, Suite, TestOs};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let oci = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["os"] => qemu_tests::test_os()?.oci,
        ["os-v2"] => qemu_tests::test_os()?.oci_v2,
        ["large"] => qemu_tests::large_os()?.oci,
        ["selinux"] => qemu_tests::selinux_os()?.oci,
        ["os", suite] => of(suite, "amd64")?.oci,
        ["os", suite, architecture] => of(suite, architecture)?.oci,
        ["os-v2", suite, architecture] => of(suite, architecture)?.oci_v2,
        _ => bail!("usage: qemu-tests selinux|large|os|os-v2 [SUITE [ARCHITECTURE]]"),
    };
    println!("oci:{}:latest", oci.display());
    Ok(())
}

fn of(suite: &str, architecture: &str) -> Result<TestOs> {
    let known_suite = Suite::ALL.into_iter().find(|known| known.name() == suite);
    let known_architecture = Architecture::ALL.into_iter().find(|known| known.name() == architecture);
    let (Some(suite), Some(architecture)) = (known_suite, known_architecture) else {
        bail!("there is no test system of {suite} for {architecture}")
    };
    qemu_tests::test_os_of(suite, architecture)
}
