//! Names of refs: which there can be (libostree `ostree-core.c`), and those that an imported container leaves (ostree-ext
//! `refescape.rs`, `container/store.rs`).

use super::Error;

const BLOB: &str = "ostree/container/blob";
const IMAGE: &str = "ostree/container/image";

/// Whether `text` names a ref: fragments with `/` between them (`ostree_validate_rev`).
pub fn is_ref(text: &str) -> bool {
    text.split('/').all(is_fragment)
}

/// Whether `text` names a remote: one fragment (`ostree_validate_remote_name`).
pub fn is_remote(text: &str) -> bool {
    is_fragment(text)
}

/// Whether `text` names a collection: a reverse domain name as D-Bus has it (`ostree_validate_collection_id`).
pub fn is_collection(text: &str) -> bool {
    let element = |element: &str| {
        let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
        element.bytes().next().is_some_and(letter) && element.bytes().all(|byte| letter(byte) || byte.is_ascii_digit())
    };
    text.len() <= 255 && text.contains('.') && text.split('.').all(element)
}

/// A letter, digit or `_`, then also `-` and `.`.
fn is_fragment(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().next().is_some_and(word) && text.bytes().all(|byte| word(byte) || b"-.".contains(&byte))
}

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
    fn names_follow_libostrees_grammar() {
        assert!(["a", "os/x86_64/main", "_a/b-c.d/1"].into_iter().all(is_ref));
        assert!(["", "/", "a/", "/a", "a//b", ".a", "-a", "a/..", "ä", "a b"].into_iter().all(|text| !is_ref(text)));
        assert!(is_remote("vendor-1.2") && !is_remote("a/b"));
        assert!(
            is_collection("org.example.Os_1")
                && !is_collection("org")
                && !is_collection("org.1a")
                && !is_collection("a-b.c")
        );
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
