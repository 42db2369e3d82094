//! The deployment's /etc/fstab: the image's lines, but for the mounts that the disk's layout decides.

/// A filesystem that the machine mounts by fstab.
#[derive(Clone, Debug)]
pub struct Mount {
    /// `UUID=…`.
    pub source: String,
    pub mount_point: String,
    pub kind: &'static str,
    pub options: &'static str,
    /// Order of fsck at boot; 0: never.
    pub pass: u8,
}

/// The new text. Lines for `/` and for every mount point in `mounts` are dropped: the root comes from the kernel command line.
pub fn fstab(image: &str, mounts: &[Mount]) -> String {
    let decided = |point: &str| point == "/" || mounts.iter().any(|mount| mount.mount_point == point);
    let mut text = String::new();
    for line in image.lines().filter(|line| !mount_point(line).is_some_and(decided)) {
        text.push_str(line);
        text.push('\n');
    }
    for mount in mounts {
        let Mount { source, mount_point, kind, options, pass } = mount;
        text.push_str(&format!("{source} {mount_point} {kind} {options} 0 {pass}\n"));
    }
    text
}

/// The second field of a line that is no comment, without trailing slashes.
fn mount_point(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let point = line.split_whitespace().nth(1).filter(|_| !line.starts_with('#'))?;
    Some(if point.len() > 1 { point.trim_end_matches('/') } else { point })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_lines_stay_but_for_decided_mounts() {
        let boot = Mount { source: "UUID=b".into(), mount_point: "/boot".into(), kind: "auto", options: "ro", pass: 2 };
        let image = "# /boot comment\n/dev/sda1 / ext4 defaults 0 1\nLABEL=x /boot/ ext4 rw 0 0\ntmpfs /scratch tmpfs size=1g 0 0";
        assert_eq!(
            fstab(image, &[boot]),
            "# /boot comment\ntmpfs /scratch tmpfs size=1g 0 0\nUUID=b /boot auto ro 0 2\n"
        );
    }
}
