//! Whether a container image may be used: `policy.json`, signatures of cosign by key and of GPG simple signing, and
//! `registries.d`, by the rules of containers/image (containers-policy.json(5), containers-registries.d(5)).
//!
//! A policy is found or made of keys; [`admit`] asks it about an image, before anything of the image is used. Keys, and what
//! their signatures are worth, are [`crate::trust`]'s; the network is behind [`Fetch`]. That a reference by digest got what it
//! names is compared where it is fetched.

mod admit;
mod identity;
mod in_directory;
mod in_registry;
mod json;
mod payload;
mod policy;
mod registries_d;
mod requirement;
mod signature;
mod signatures;
mod signed_identity;
mod verdict;

pub use admit::{Image, admit};
pub use identity::Identity;
pub use in_directory::InDirectory;
pub use in_registry::{Fetch, InRegistry};
pub use policy::{Origin, Policy, PolicyError};
pub use registries_d::{Keeping, RegistriesD, RegistriesDError};
pub use signature::{BUNDLE, Malformed, PAYLOAD, Signature, Sigstore};
pub use signatures::{FetchError, Nowhere, Signatures, SignaturesError};
pub use verdict::{Accepted, Flaw, Proof, Refused, Why};
