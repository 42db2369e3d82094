//! `qemu-tests os` and `qemu-tests large` build a test system, or find it in the cache, and print where it is.

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let oci = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["os"] => qemu_tests::test_os()?.oci,
        ["os-v2"] => qemu_tests::test_os()?.oci_v2,
        ["large"] => qemu_tests::large_os()?.oci,
        _ => bail!("usage: qemu-tests os|os-v2|large"),
    };
    println!("oci:{}:latest", oci.display());
    Ok(())
}
