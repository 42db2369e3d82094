//! What the installed machine upgrades from: a container image, or a ref of an ostree repository.

use std::fmt;

use super::{DeployError, TargetImage};
use crate::ostree::refs::image_ref;
use crate::ostree::repo;

/// Names both the deployment's origin and the ref that the client moves on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Image(TargetImage),
    Ref(Refspec),
}

/// `[REMOTE:]NAME`, as libostree writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refspec {
    /// Without one, the ref is the machine's own and no server moves it.
    pub remote: Option<String>,
    pub name: String,
}

impl Target {
    /// The deployment's origin file (ostree-ext `container-image-reference`, libostree `refspec`).
    pub fn origin(&self) -> String {
        let (key, value) = match self {
            Target::Image(image) => ("container-image-reference", image.origin()),
            Target::Ref(refspec) => ("refspec", refspec.to_string()),
        };
        format!("[origin]\n{key}={value}\n")
    }

    /// The file in the repository that holds the deployed commit's id.
    pub fn ref_path(&self) -> Result<String, DeployError> {
        Ok(match self {
            Target::Image(image) => repo::ref_path(&image_ref(&image.with_transport())?),
            Target::Ref(Refspec { remote: None, name }) => repo::ref_path(name),
            Target::Ref(Refspec { remote: Some(remote), name }) => repo::remote_ref_path(remote, name),
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Image(image) => f.write_str(image.as_str()),
            Target::Ref(refspec) => refspec.fmt(f),
        }
    }
}

impl fmt::Display for Refspec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.remote.iter().try_for_each(|remote| write!(f, "{remote}:"))?;
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ref_of_a_remote_lies_below_its_name_and_a_bare_one_among_the_heads() {
        let name = "os/x86_64/main".to_owned();
        let remote = Target::Ref(Refspec { remote: Some("vendor".into()), name: name.clone() });
        assert_eq!(remote.ref_path().unwrap(), "refs/remotes/vendor/os/x86_64/main");
        assert_eq!(remote.origin(), "[origin]\nrefspec=vendor:os/x86_64/main\n");
        let own = Target::Ref(Refspec { remote: None, name });
        assert_eq!(own.ref_path().unwrap(), "refs/heads/os/x86_64/main");
        assert_eq!(own.origin(), "[origin]\nrefspec=os/x86_64/main\n");
    }
}
