//! What a source is, and what a build would make of it, without building: `bootwright inspect SOURCE`.
//!
//! Of an ostree server only directories and the few files that say something are fetched; of an image all layers are read.
//! Printing is `cli`'s.

mod facts;

use std::path::Path;

use crate::bootloader::Places;
use crate::build::{self, BuildError, FoundImage, Offer};
use crate::deploy::{CommitTree, Grower, TargetImage, image_version};
use crate::image_ref::{ImageRef, Location, OstreeRef, SourceRef};
use crate::layout::PartitionTable;
use crate::os::{self, EfiRole, Os};
use crate::progress::Progress;
use crate::report::CommitFacts;
use crate::request::{BootloaderChoice, Request};
use crate::source::ostree::{self, Wanted};
use crate::source::{Loaded, Resolved, kept_signatures};
use crate::tree::Files;
pub use facts::*;

/// Looks at the source; what is fetched goes to an unnamed file in `scratch`.
pub fn survey(request: &Request, scratch: &Path, progress: &dyn Progress) -> Result<Survey, BuildError> {
    match &request.image {
        SourceRef::Container(image) => of_image(image, request, scratch, progress),
        SourceRef::Ostree(reference) => of_commit(reference, request, scratch, progress),
    }
}

/// What keeps an image from being a disk is told beside what is known of it.
fn of_image(
    image: &ImageRef,
    request: &Request,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Survey, BuildError> {
    let found = build::find_image(image, request)?;
    let trust = match build::admit(&found, &request.trust) {
        Ok(accepted) => accepted.map(|accepted| TrustSurvey {
            accepted: true,
            signed: accepted.is_signed(),
            because: accepted.to_string(),
        }),
        Err(error) => Some(TrustSurvey { accepted: false, signed: false, because: error.to_string() }),
    };
    let signatures = signatures(&found, request);
    let image = ImageSurvey { trust, signatures, ..facts(&found.resolved)? };
    let mut survey = Survey {
        source: request.image.to_string(),
        size: None,
        download: Some(image.layers.iter().map(|layer| layer.compressed).sum()),
        image: Some(image),
        commit: None,
        system: None,
        obstacle: None,
        warnings: Vec::new(),
    };
    match build::load_image(found, None, request, scratch, progress) {
        Ok(loaded) => {
            survey.size = Some(loaded.contents().objects.iter().map(|(_, object)| object.len()).sum());
            survey.add_system(system(request, loaded));
            Ok(survey)
        }
        // An image of something else is a fact, a layer that cannot be read is not.
        Err(error @ BuildError::Deploy(_)) => {
            survey.obstacle = Some(error.to_string());
            Ok(survey)
        }
        Err(error) => Err(error),
    }
}

fn signatures(found: &FoundImage, request: &Request) -> SignaturesSurvey {
    match kept_signatures(&*found.source, &found.resolved, request.trust.policy.as_ref()) {
        Ok(kept) => SignaturesSurvey { kept, unknown: None },
        Err(error) => SignaturesSurvey { unknown: Some(error.to_string()), ..SignaturesSurvey::default() },
    }
}

fn facts(resolved: &Resolved) -> Result<ImageSurvey, BuildError> {
    let parsed = resolved.parsed()?;
    let labels = parsed.labels();
    let layers = parsed.manifest.layers().iter().map(|layer| LayerSurvey {
        digest: layer.digest().to_string(),
        media_type: layer.media_type().to_string(),
        compressed: layer.size(),
    });
    let (target, warning) = TargetImage::default_for(resolved.ref_name.as_deref(), None);
    let target = warning.is_none().then(|| target.with_transport());
    Ok(ImageSurvey {
        manifest_digest: resolved.manifest_digest.to_string(),
        architecture: parsed.config.architecture().to_string(),
        created: parsed.config.created().clone(),
        version: image_version(&labels).map(str::to_owned),
        layers: layers.collect(),
        labels,
        trust: None,
        signatures: SignaturesSurvey::default(),
        target,
    })
}

fn of_commit(
    reference: &OstreeRef,
    request: &Request,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Survey, BuildError> {
    let wishes = &request.ostree;
    let rev = reference.rev.parse()?;
    let repository = ostree::open(&reference.location, &wishes.access)?;
    let near = matches!(reference.location, Location::Directory(_));
    // Without a key, looking is allowed: what is not verified is shown as such.
    let unverified = wishes.policy.unverified || wishes.policy.keys.is_empty();
    let policy = ostree::Policy { unverified, ..wishes.policy.clone() };
    let wanted = if near { Wanted::All } else { Wanted::Only(os::reads) };
    let pulled = ostree::load(&*repository, &rev, &policy, wanted, scratch, request.threads, progress)?;
    let sizes = pulled.commit.sizes();
    let read = near.then(|| pulled.contents.objects.iter().map(|(_, object)| object.len()).sum());
    let mut survey = Survey {
        source: request.image.to_string(),
        size: sizes.map(|sizes| sizes.unpacked).or(read),
        download: sizes.filter(|_| !near).map(|sizes| sizes.archived),
        image: None,
        commit: Some(CommitFacts::of(&pulled)),
        system: None,
        obstacle: None,
        warnings: pulled.warnings(),
    };
    survey.add_system(system(request, Loaded::Commit(Box::new(pulled))));
    Ok(survey)
}

impl Survey {
    fn add_system(&mut self, found: Result<(SystemSurvey, Option<String>), BuildError>) {
        match found {
            Ok((system, obstacle)) => (self.system, self.obstacle) = (Some(system), obstacle),
            Err(error) => self.obstacle = Some(error.to_string()),
        }
    }
}

/// The system, and what stands in the way of its boot loader.
fn system(request: &Request, loaded: Loaded) -> Result<(SystemSurvey, Option<String>), BuildError> {
    let contents = loaded.contents();
    let imported = build::import(&loaded, 0)?;
    let checkout = CommitTree::checkout(contents, &imported.root, 0)?;
    let files = Files { tree: &checkout.tree, root: checkout.deployment, spool: &contents.spool };
    let architecture = build::architecture(request, &loaded, &files)?;
    let os = Os::inspect(&files, architecture)?;
    let layout = build::layout(request, &os);
    let places = layout.as_ref().map(Places::from).map_err(ToString::to_string);
    let loader = places.and_then(|places| {
        let offer = Offer { os: &os, image: &files, provided: None, places };
        build::bootloader(BootloaderChoice::Auto, &offer).map_err(|error| error.to_string())
    });
    let (bootloader, obstacle) = match loader {
        Ok(loader) => (Some(loader.reason()), None),
        Err(why) => (None, Some(why)),
    };
    let root = build::root_filesystem(request, &os);
    let obstacle = obstacle.or_else(|| root.as_ref().err().map(ToString::to_string));
    let system = SystemSurvey {
        name: os.release.pretty_name.clone(),
        kernel: os.kernel.version.clone(),
        architecture: architecture.to_string(),
        update_client: os.update_client,
        grows_at_first_boot: Grower::choose(&os.grow_tools, PartitionTable::Gpt).is_ok(),
        composefs: os.wants_composefs(),
        stateroot: build::stateroot(request, &os),
        layout: layout.ok().map(|layout| Choice {
            why: format!("the default for {architecture}: {}", layout.description),
            name: layout.name,
        }),
        root_filesystem: root.ok().map(|root| Choice { name: root.to_string(), why: why_root(&os).to_owned() }),
        bootloader_files: os.efi_binaries.iter().map(boot_file).collect(),
        bootloader,
    };
    Ok((system, obstacle))
}

fn why_root(os: &Os) -> &'static str {
    match os.install.root_filesystem {
        Some(_) => "the image's install configuration asks for it",
        None => "the default; the image asks for none",
    }
}

fn boot_file(binary: &os::EfiBinary) -> BootFile {
    let role = match binary.role {
        EfiRole::Shim => "shim",
        EfiRole::MokManager => "MokManager",
        EfiRole::Grub { .. } => "GRUB",
        EfiRole::SystemdBoot => "systemd-boot",
    };
    BootFile { path: binary.path.clone(), role, signed: binary.signed }
}
