//! Names of images as Docker shortens them (distribution/reference `ParseNormalizedNamed`).

/// The full name: with registry and tag. `os` is `docker.io/library/os:latest`. A digest stays; nothing is added to it.
pub fn full(name: &str) -> String {
    let (named, digest) = name.split_once('@').map_or((name, None), |(named, digest)| (named, Some(digest)));
    let (host, path) = match named.split_once('/') {
        Some((host, path)) if is_host(host) => (if host == "index.docker.io" { "docker.io" } else { host }, path),
        _ => ("docker.io", named),
    };
    let library = if host == "docker.io" && !path.contains('/') { "library/" } else { "" };
    let end = match digest {
        Some(digest) => format!("@{digest}"),
        None if path.contains(':') => String::new(),
        None => ":latest".to_owned(),
    };
    format!("{host}/{library}{path}{end}")
}

/// Whether the name says which registry it is from.
pub fn has_host(name: &str) -> bool {
    name.split_once('/').is_some_and(|(host, _)| is_host(host))
}

/// A full name without tag and digest.
pub fn repository(full: &str) -> &str {
    let named = full.split_once('@').map_or(full, |(named, _)| named);
    match named.rsplit_once(':') {
        Some((before, tag)) if !tag.contains('/') => before,
        _ => named,
    }
}

fn is_host(first: &str) -> bool {
    first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_are_docker_hubs() {
        for (short, long) in [
            ("os", "docker.io/library/os:latest"),
            ("me/os:1", "docker.io/me/os:1"),
            ("index.docker.io/os", "docker.io/library/os:latest"),
            ("localhost/os", "localhost/os:latest"),
            ("host:5000/os:1", "host:5000/os:1"),
            ("quay.io/me/os@sha256:00", "quay.io/me/os@sha256:00"),
            ("os:1@sha256:00", "docker.io/library/os:1@sha256:00"),
        ] {
            assert_eq!(full(short), long);
        }
        assert_eq!(repository("host:5000/os:1"), "host:5000/os");
        assert_eq!(repository("host:5000/os@sha256:00"), "host:5000/os");
    }
}
