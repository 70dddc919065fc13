//! Tests named by the section of a specification.

mod mutation;
mod oracle;
pub(crate) mod rfc4475;
mod rfc4475_endpoint;
mod rfc4575;

use std::path::PathBuf;

/// A folder of the specifications that tests need and the repository doesn't hold; `None`, with the reason printed, where it isn't named.
pub(crate) fn specs(folder: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("CUSAX_SPECS") else {
        eprintln!("skipped: CUSAX_SPECS doesn't name a folder with {folder}/");
        return None;
    };
    Some(PathBuf::from(root).join(folder))
}
