//! Names and passwords that a user writes into a reference, where none belong: they must not be repeated.

use super::has_host;

/// The text with `…` in place of what stands before an `@` that is not that of a digest; `None` when there is no such thing.
pub fn without_credentials(text: &str) -> Option<String> {
    let begin = text.find("://").map_or(0, |at| at + "://".len());
    let (before, after) = text[begin..].rsplit_once('@')?;
    if is_digest(after) {
        return without_credentials(&text[..begin + before.len()]).map(|shown| format!("{shown}@{after}"));
    }
    // No host has a `/`; some users do, and what follows their password is a host.
    let user = before.split(':').next().unwrap_or_default();
    (!user.contains('/') || has_host(after)).then(|| format!("{}…@{after}", &text[..begin]))
}

/// The text as it may be repeated.
pub fn repeatable(text: &str) -> String {
    without_credentials(text).unwrap_or_else(|| text.to_owned())
}

/// Whether it can be nothing else, wrong as it may be.
fn is_digest(text: &str) -> bool {
    let is_algorithm = |name: &str| name.strip_prefix("sha").is_some_and(|rest| rest.parse::<u16>().is_ok());
    text.split_once(':').is_some_and(|(algorithm, _)| is_algorithm(algorithm) && !text.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_password_is_left_out() {
        for (text, shown) in [
            ("docker://user:pw@h.example/x", "docker://…@h.example/x"),
            ("user:p/w:@@h.example:5000/x:1", "…@h.example:5000/x:1"),
            ("token@h.example/x", "…@h.example/x"),
            ("docker://u:p@h.example/x@sha256:00", "docker://…@h.example/x@sha256:00"),
            ("https://u:p@h.example/x", "https://…@h.example/x"),
            ("docker://tenancy/me:pw@h.example/x", "docker://…@h.example/x"),
            ("docker://u:pw@shared:5000", "docker://…@shared:5000"),
            ("docker:u:pw@h.example/x", "…@h.example/x"),
        ] {
            assert_eq!(without_credentials(text).as_deref(), Some(shown));
        }
    }

    #[test]
    fn digests_and_repositories_stay() {
        for text in ["quay.io/a@sha256:00", "docker://quay.io:5000/a:1@sha256:zz", "quay.io/a@latest", "a", ""] {
            assert_eq!(without_credentials(text), None, "{text}");
        }
    }
}
