//! libselinux's own `matchpathcon` and `selabel_lookup` as judges of labels, over Debian's policy and over made-up ones.
//!
//! They answer `<<none>>` both for that word and for no match at all. libselinux 3.8 tries substitutions in another order
//! than all versions before and after it.

mod paths;
mod random;

use crate::support::selinux::{KINDS, Policy, debian};
use bootwright::selinux::{FileContexts, FileKind, PolicyFiles};
use proptest::prelude::*;

#[test]
fn every_path_of_this_machine_is_labelled_as_libselinux_does_it() {
    let files = debian();
    for files in [PolicyFiles { subs_dist: None, ..files.clone() }, files] {
        let policy = Policy::new(&files);
        for (kind, paths) in paths::of_this_machine(30_000) {
            policy.compare(&paths, kind);
        }
    }
}

#[test]
fn paths_made_of_the_policy_itself_are_labelled_as_libselinux_does_it() {
    let overlay = PolicyFiles {
        local: Some(
            b"/usr/bin/.* l:l:l:s0\n/etc/passwd -- p:p:p:s0\n/usr/share(/.*)? -d <<none>>\n/etc -d e:e:e:s0\n".into(),
        ),
        subs: Some(b"/export/home /home\n/usr /opt/nowhere\n/bin /usr/sbin\n/jail /\n".into()),
        ..debian()
    };
    for files in [debian(), overlay] {
        let policy = Policy::new(&files);
        let texts = [Some(&files.file_contexts), files.homedirs.as_ref(), files.local.as_ref()];
        let mut paths = paths::of_policy(texts.into_iter().flatten());
        let roots: Vec<_> = ["/export", "/jail", "/lib64", "/var/run"].map(str::to_owned).into();
        let below: Vec<_> =
            paths.iter().step_by(7).flat_map(|path| roots.iter().map(move |root| format!("{root}{path}"))).collect();
        paths.extend(below);
        for (kind, _, _) in KINDS {
            let labelled = policy.compare(&paths, kind);
            assert!(labelled > 10_000, "{kind:?}: {labelled} of {}", paths.len());
        }
    }
}

#[test]
fn slashes_and_newlines_are_taken_as_libselinux_takes_them() {
    let policy = Policy::new(&debian());
    for path in [
        "/",
        "//",
        "///",
        "/etc/",
        "//etc//passwd//",
        "/usr/bin//ls/",
        "etc/passwd",
        "",
        "/etc/passwd\n",
        "/run/a\nb",
        "/run/a\n",
        "/lib/x//y/",
        "/lib/",
        "/lib",
    ] {
        policy.compare_one(path, FileKind::Regular);
        policy.compare_one(path, FileKind::Directory);
    }
}

#[test]
fn made_up_policies_are_read_as_libselinux_reads_them() {
    for seed in 0..60 {
        let (files, paths) = random::policy(seed);
        let policy = Policy::new(&files);
        for (kind, _, _) in KINDS.into_iter().take(3) {
            policy.compare(&paths, kind);
        }
    }
}

#[test]
fn the_order_of_substitutions_is_that_of_libselinux() {
    let specs = "/a/.* a:a:a:s0\n/a/c/.* c:c:c:s0\n/b/.* b:b:b:s0\n/z/.* z:z:z:s0\n/ r:r:r:s0\n/y -d y:y:y:s0\n";
    for (subs, dist) in [
        ("/x /a\n/x/c /b\n", ""),
        ("/x/c /b\n/x /a\n", ""),
        ("/x /a\n/x /b\n", "/x /z\n"),
        ("/x /b\n", "/b /a\n/a /z\n"),
        ("/x /\n", "/ /y\n"),
        ("#/x /b\n /x \t/a/ more\n/x\n", "/a/ /b\n"),
    ] {
        let text = |text: &str| Some(text.as_bytes().to_vec());
        let policy = Policy::new(&PolicyFiles {
            file_contexts: specs.into(),
            subs: text(subs),
            subs_dist: text(dist),
            ..PolicyFiles::default()
        });
        let paths = ["/", "/x", "/x/c", "/x/c/d", "/x/d", "/a/d", "/xc/d", "/b/q", "/x/x/c/d", "/y"];
        let paths = paths.map(str::to_owned).into_iter().collect();
        policy.compare(&paths, FileKind::Regular);
        policy.compare(&paths, FileKind::Directory);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_and_no_path_makes_it_panic(
        lines in prop::collection::vec("(/?[a-c./\\\\\\[\\](){}^$?*+|,:=0-9<>\\-]{0,20}( (--|-d|-x))?( \\PC{0,6})?|\\PC{0,20})", 0..12),
        raw in prop::collection::vec(any::<u8>(), 0..80),
        paths in prop::collection::vec("(/[a-c.]{0,3}){0,4}[\n/]?|\\PC{0,12}", 1..6),
    ) {
        let whole = PolicyFiles {
            file_contexts: lines.join("\n").into(),
            local: Some(raw.clone()),
            subs: Some(lines.join(" ").into()),
            subs_dist: Some(raw),
            ..PolicyFiles::default()
        };
        let each = lines.iter().map(|line| PolicyFiles { file_contexts: line.clone().into(), local: None, ..whole.clone() });
        for files in each.chain([whole.clone()]) {
            if let Ok(policy) = FileContexts::parse(&files) {
                for path in &paths {
                    for (kind, _, _) in KINDS {
                        policy.lookup(path, kind);
                    }
                }
            }
        }
    }
}
