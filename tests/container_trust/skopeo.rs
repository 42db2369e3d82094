//! skopeo as the judge of policies.

use std::path::{Path, PathBuf};

use qemu_tests::oracle;

/// What skopeo says to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    Rejected(String),
    /// The policy is none.
    NoPolicy(String),
    /// Debian builds its skopeo without sigstore: it reads such policies and signatures, and decides nothing by them. What the
    /// tests expect there is what upstream's own skopeo 1.15 says; any skopeo in `PATH` that can judges again.
    WithoutSigstore,
}

impl Verdict {
    /// Whether the image is accepted, where that was decided.
    pub fn accepts(&self) -> Option<bool> {
        match self {
            Self::Accepted => Some(true),
            Self::Rejected(_) | Self::NoPolicy(_) => Some(false),
            Self::WithoutSigstore => None,
        }
    }
}

/// The files that skopeo reads.
pub struct Judge<'a> {
    pub registries_d: PathBuf,
    pub home: &'a Path,
}

impl Judge<'_> {
    /// Copies the image away under the policy.
    pub fn verdict(&self, policy: &Path, image: &str) -> Verdict {
        self.verdict_or(policy, image, "Source image rejected")
    }

    /// As [`Self::verdict`]; errors that say `also` are rejections, too.
    pub fn verdict_or(&self, policy: &Path, image: &str, also: &str) -> Verdict {
        let to = tempfile::tempdir().unwrap();
        let output = self.skopeo(&[
            "--policy".into(),
            policy.display().to_string(),
            "copy".into(),
            "--src-tls-verify=false".into(),
            image.to_owned(),
            format!("dir:{}", to.path().join("copy").display()),
        ]);
        let said = oracle::said(&output);
        match output.status.success() {
            true => Verdict::Accepted,
            false if said.contains("sigstore disabled") => Verdict::WithoutSigstore,
            false if said.contains("Source image rejected") || said.contains(also) => Verdict::Rejected(said),
            false if said.contains("loading trust policy") => Verdict::NoPolicy(said),
            false => panic!("skopeo has another trouble with {image}: {said}"),
        }
    }

    /// As [`Self::verdict`]; a signature that cannot be read at all counts as rejected.
    pub fn signature_verdict(&self, policy: &Path, image: &str) -> Verdict {
        self.verdict_or(policy, image, "parsing signature")
    }

    pub fn agrees(&self, args: &[String]) {
        let output = self.skopeo(args);
        assert!(output.status.success(), "skopeo {args:?}: {}", oracle::said(&output));
    }

    fn skopeo(&self, args: &[String]) -> std::process::Output {
        let tool: PathBuf = oracle::tool("skopeo", "skopeo");
        let mut command = std::process::Command::new(tool);
        command.arg("--registries.d").arg(&self.registries_d).args(args);
        command.env("GNUPGHOME", self.home).env("HOME", self.home).env("LC_ALL", "C").output().unwrap()
    }
}
