//! Names of the refs that an imported container leaves (ostree-ext `refescape.rs`, `container/store.rs`).

use super::Error;

const BLOB: &str = "ostree/container/blob";
const IMAGE: &str = "ostree/container/image";

/// The ref of the layer commit made from the blob with this digest (`sha256:…`).
pub fn blob_ref(digest: &str) -> Result<String, Error> {
    Ok(format!("{BLOB}/{}", escape(digest)?))
}

/// The ref of the merge commit; `reference` has its transport in front: `docker://quay.io/os:latest`.
pub fn image_ref(reference: &str) -> Result<String, Error> {
    Ok(format!("{IMAGE}/{}", escape(reference)?))
}

/// Turns any text into a part of a ref name: `_` becomes `__`, what a ref cannot hold becomes `_XX_` with its code point in
/// hexadecimal. A `/` stays where it separates: after a letter or digit, and not at the end.
pub fn escape(text: &str) -> Result<String, Error> {
    if text.is_empty() || text.contains('\0') {
        return Err(Error::Ref { text: text.to_owned() });
    }
    let mut escaped = String::with_capacity(text.len() * 2);
    let mut after_alphanumeric = false;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let separates = after_alphanumeric && characters.peek().is_some();
        match character {
            '/' if separates => escaped.push('/'),
            '-' => escaped.push('-'),
            '_' => escaped.push_str("__"),
            _ if character.is_ascii_alphanumeric() => escaped.push(character),
            _ => escaped.push_str(&format!("_{:02X}_", u32::from(character))),
        }
        after_alphanumeric = character.is_ascii_alphanumeric();
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_escaped_as_ostree_ext_does() {
        for (text, expected) in [
            ("docker://quay.io/fedora/fedora-bootc:42", "docker_3A__2F__2F_quay_2E_io/fedora/fedora-bootc_3A_42"),
            ("docker://registry.example/os:latest", "docker_3A__2F__2F_registry_2E_example/os_3A_latest"),
            (
                "docker://localhost:5000/a_b/c-d@sha256:ab",
                "docker_3A__2F__2F_localhost_3A_5000/a__b/c-d_40_sha256_3A_ab",
            ),
            ("oci:/path/x", "oci_3A__2F_path/x"),
            ("sha256:0123", "sha256_3A_0123"),
            ("a/", "a_2F_"),
            ("a\t→", "a_09__2192_"),
        ] {
            assert_eq!(escape(text).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn refs_of_the_reference_disk_are_reproduced() {
        let image = "ostree/container/image/docker_3A__2F__2F_registry_2E_example/os_3A_latest";
        assert_eq!(image_ref("docker://registry.example/os:latest").as_deref(), Ok(image));
        assert_eq!(blob_ref("sha256:62495c").as_deref(), Ok("ostree/container/blob/sha256_3A_62495c"));
    }

    #[test]
    fn what_cannot_be_escaped_is_refused() {
        assert_eq!(escape(""), Err(Error::Ref { text: String::new() }));
        assert!(escape("a\0b").is_err());
    }
}
