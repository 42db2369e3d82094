//! What a registry wants to see before it answers: `WWW-Authenticate` (RFC 9110 §11.6.1; distribution, "Token Authentication").

use std::collections::BTreeMap;

use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// One way to say who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    Basic,
    /// A token from the server at `realm`.
    Bearer {
        realm: String,
        service: Option<String>,
        scope: Option<String>,
    },
}

/// The first challenge that is understood; a token is preferred.
pub fn challenge(headers: &HeaderMap) -> Option<Challenge> {
    let values = headers.get_all(WWW_AUTHENTICATE).into_iter().filter_map(|value| value.to_str().ok());
    let challenges: Vec<_> = values.flat_map(parse).collect();
    let bearer = challenges.iter().find(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    bearer.or(challenges.first()).cloned()
}

/// `Bearer realm="…",service="…", Basic realm="…"`: what stands before a space and is no parameter begins a challenge.
fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    let mut rest = text.trim_start_matches([',', ' ']);
    while !rest.is_empty() {
        let end = rest.find(['=', ' ', ',']).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        rest = match after.strip_prefix('=') {
            Some(after) => {
                let (value, after) = value(after);
                if let Some((_, parameters)) = found.last_mut() {
                    parameters.insert(word.to_ascii_lowercase(), value);
                }
                after
            }
            None => {
                found.push((word.to_ascii_lowercase(), BTreeMap::new()));
                after
            }
        };
        rest = rest.trim_start_matches([',', ' ']);
    }
    found.into_iter().filter_map(|(scheme, parameters)| of(&scheme, parameters)).collect()
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let (mut value, mut chars) = (String::new(), quoted.char_indices());
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            char => value.push(char),
        }
    }
    (value, "")
}

fn of(scheme: &str, mut parameters: BTreeMap<String, String>) -> Option<Challenge> {
    match scheme {
        "basic" => Some(Challenge::Basic),
        "bearer" => Some(Challenge::Bearer {
            realm: parameters.remove("realm")?,
            service: parameters.remove("service"),
            scope: parameters.remove("scope"),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_lines(lines: &[&str]) -> Option<Challenge> {
        challenge(&lines.iter().map(|line| (WWW_AUTHENTICATE, line.parse().unwrap())).collect())
    }

    fn bearer(service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let (service, scope) = (service.map(str::to_owned), scope.map(str::to_owned));
        Some(Challenge::Bearer { realm: "https://auth.example/token".to_owned(), service, scope })
    }

    #[test]
    fn a_token_is_preferred_wherever_it_is_named() {
        let token =
            "Bearer realm=\"https://auth.example/token\",service=\"r.example\",scope=\"repository:a/b:pull,push\"";
        assert_eq!(of_lines(&[token]), bearer(Some("r.example"), Some("repository:a/b:pull,push")));
        assert_eq!(of_lines(&["Basic realm=\"x\"", token]), of_lines(&[token]));
        assert_eq!(of_lines(&["basic realm=\"x, y\", BEARER realm=https://auth.example/token"]), bearer(None, None));
    }

    #[test]
    fn odd_headers_are_no_trouble() {
        assert_eq!(of_lines(&["Basic"]), Some(Challenge::Basic));
        for line in ["", "Negotiate", "Bearer", "Bearer realm", "=", "\"", "Bearer realm=", ",,", "Digest a=\"\\"] {
            assert!(matches!(of_lines(&[line]), None | Some(Challenge::Bearer { .. })), "{line}");
        }
    }
}
