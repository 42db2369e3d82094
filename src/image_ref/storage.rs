//! `containers-storage:[STORE]IMAGE` (containers-transports(5)): the store of podman, buildah and CRI-O.

use std::fmt;
use std::path::PathBuf;

use super::ImageRefError;

/// An image in a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageRef {
    /// The configured store where none is named.
    pub store: Option<StoreSpec>,
    /// `NAME[:TAG][@DIGEST]`, `[NAME@]ID`, or the beginning of an id: only the store tells which.
    pub image: String,
}

/// `[DRIVER@]ROOT[+RUNROOT][:OPTIONS]`, in brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreSpec {
    pub driver: Option<String>,
    pub root: PathBuf,
    /// Where running containers leave their traces; not needed for images.
    pub run_root: Option<PathBuf>,
    /// As given to the driver, with commas between them.
    pub options: Option<String>,
}

impl StorageRef {
    /// `rest` is what follows `containers-storage:` in `text`.
    pub(super) fn parse(text: &str, rest: &str) -> Result<Self, ImageRefError> {
        let wrong = |why| ImageRefError::Storage { text: text.to_owned(), why };
        let (store, image) = match rest.strip_prefix('[') {
            Some(rest) => {
                let (spec, image) = rest.split_once(']').ok_or_else(|| wrong("the store's `[` has no `]`"))?;
                (Some(StoreSpec::parse(spec).map_err(wrong)?), image)
            }
            None => (None, rest),
        };
        if image.is_empty() || image.ends_with(['@', ':']) {
            return Err(wrong("it does not say which"));
        }
        Ok(Self { store, image: image.to_owned() })
    }
}

impl StoreSpec {
    fn parse(spec: &str) -> Result<Self, &'static str> {
        let (driver, rest) = match spec.split_once('@') {
            Some(("", _)) => return Err("no driver stands before the `@`"),
            Some((driver, rest)) => (Some(driver), rest),
            None => (None, spec),
        };
        let (roots, options) = split(rest, ':');
        let (root, run_root) = split(roots, '+');
        if !root.starts_with('/') || run_root.is_some_and(|path| !path.starts_with('/')) {
            return Err("the store's directories have to be absolute paths");
        }
        Ok(Self {
            driver: driver.map(str::to_owned),
            root: root.into(),
            run_root: run_root.map(PathBuf::from),
            options: options.map(str::to_owned),
        })
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

impl fmt::Display for StorageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.store.iter().try_for_each(|store| write!(f, "[{store}]"))?;
        f.write_str(&self.image)
    }
}

impl fmt::Display for StoreSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.driver.iter().try_for_each(|driver| write!(f, "{driver}@"))?;
        write!(f, "{}", self.root.display())?;
        self.run_root.iter().try_for_each(|path| write!(f, "+{}", path.display()))?;
        self.options.iter().try_for_each(|options| write!(f, ":{options}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::ImageRef;
    use super::*;

    fn parse(text: &str) -> StorageRef {
        match text.parse() {
            Ok(ImageRef::ContainersStorage(reference)) => reference,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_store_is_told_from_the_image_in_it() {
        let reference = parse("containers-storage:[overlay@/srv/root+/run/store:overlay.imagestore=/a,x=y]quay.io/a:1");
        let store = reference.store.unwrap();
        assert_eq!((store.driver.as_deref(), store.root), (Some("overlay"), "/srv/root".into()));
        assert_eq!(
            (store.run_root, store.options.as_deref()),
            (Some("/run/store".into()), Some("overlay.imagestore=/a,x=y"))
        );
        assert_eq!(reference.image, "quay.io/a:1");
        assert_eq!(parse("containers-storage:@abc").image, "@abc");
        assert_eq!(parse("containers-storage:[/srv]os").store.unwrap().driver, None);
    }

    #[test]
    fn a_reference_and_its_text_turn_into_each_other() {
        for text in ["[overlay@/a+/b:c]x", "[/a]x:1", "[/a+/b]@0123", "[vfs@/a:b=c]localhost:5000/x@sha256:12", "x"] {
            let text = format!("containers-storage:{text}");
            assert_eq!(text.parse::<ImageRef>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_names_no_image_is_refused() {
        for (rest, why) in [
            ("", "does not say which"),
            ("[/a]", "does not say which"),
            ("os@", "does not say which"),
            ("[/a", "has no `]`"),
            ("[a]os", "absolute"),
            ("[@/a]os", "no driver"),
            ("[overlay@/a+b]os", "absolute"),
        ] {
            let error = format!("containers-storage:{rest}").parse::<ImageRef>().unwrap_err();
            assert!(error.to_string().contains(why), "{rest}: {error}");
            assert!(error.hint().unwrap().contains("containers-storage:[overlay@"), "{rest}");
        }
    }
}
