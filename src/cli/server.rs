//! The options for servers, whatever they serve.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;

use super::args::ServerArgs;
use crate::http;

/// How a server is talked to.
pub fn options(args: &ServerArgs) -> anyhow::Result<http::Options> {
    let authority = args.tls_ca.as_ref();
    let read = |path: &PathBuf| fs::read(path).with_context(|| format!("--tls-ca {} cannot be read", path.display()));
    Ok(http::Options {
        authority: authority.map(read).transpose()?,
        client_certificate: args.tls_client_cert.clone().zip(args.tls_client_key.clone()),
        stall_timeout: Duration::from_secs(args.stall_timeout),
        ..http::Options::default()
    })
}

/// The first of the options for servers that was given.
pub fn first_given(args: &ServerArgs) -> Option<&'static str> {
    let given = [
        ("--tls-ca", args.tls_ca.is_some()),
        ("--tls-client-cert", args.tls_client_cert.is_some()),
        ("--tls-client-key", args.tls_client_key.is_some()),
    ];
    given.into_iter().find(|(_, given)| *given).map(|(name, _)| name)
}
