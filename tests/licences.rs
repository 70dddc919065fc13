//! Every dependency has a licence that `deny.toml` allows.

use std::{fs, path::Path, process::Command};

#[test]
fn dependencies_have_allowed_licences() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let rules: toml::Table = fs::read_to_string(root.join("deny.toml"))
        .expect("readable")
        .parse()
        .expect("valid TOML");
    let licences = rules["licenses"].as_table().expect("a section");
    let allowed: Vec<&str> = licences["allow"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let clarified: Vec<&str> = licences["clarify"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|c| c.get("crate")?.as_str())
        .collect();

    let metadata = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--offline",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(metadata.status.success(), "{}", String::from_utf8_lossy(&metadata.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).expect("cargo writes JSON");
    let packages = metadata["packages"].as_array().expect("a list");
    assert!(packages.len() > 50, "only {} packages: the list is not whole", packages.len());
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let licence = package["license"].as_str().unwrap_or_default();
        if !clarified.contains(&name) && !is_allowed(licence, &allowed) {
            wrong.push(format!("{name}: {licence:?}"));
        }
    }
    assert!(wrong.is_empty(), "licences that deny.toml does not allow:\n{}", wrong.join("\n"));
}

/// An SPDX expression whose every AND part offers one allowed licence. `/` is an old way to write OR.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
    plain
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|name| allowed.contains(&name.trim())))
}

#[test]
fn a_foreign_licence_is_noticed() {
    assert!(is_allowed("(MIT OR Apache-2.0) AND Unicode-3.0", &["MIT", "Unicode-3.0"]));
    assert!(is_allowed("GPL-3.0/MIT", &["MIT"]));
    assert!(!is_allowed("MIT AND GPL-3.0", &["MIT"]));
    assert!(!is_allowed("", &["MIT"]));
}
