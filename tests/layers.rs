//! Imports run downward only.

use std::{fs, path::Path};

/// Layers from the top; modules on one line don't import each other.
const LAYERS: &[&[&str]] = &[
    &["app", "cli"],
    &["client"],
    &["io", "media"],
    &["hub"],
    &["peers"],
    &["sip", "xmpp", "rtp", "room"],
    &["model", "config"],
];

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|l| l.contains(&module))
}

fn visit(dir: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(dir).expect("a source folder can be listed") {
        let path = entry.expect("an entry can be read").path();
        if path.is_dir() {
            visit(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn imports_run_downward_only() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    visit(&src, &mut files);
    let mut wrong = Vec::new();
    for file in &files {
        let relative = file.strip_prefix(&src).expect("found below src");
        let first = relative.iter().next().and_then(|s| s.to_str()).expect("a UTF-8 path");
        let module = first.trim_end_matches(".rs");
        let Some(own) = rank(module) else { continue };
        let text = fs::read_to_string(file).expect("a source file is text");
        for (number, line) in text.lines().enumerate() {
            for part in line.split("crate::").skip(1) {
                // `use crate::{a::B, c::D}` names several modules at once.
                let names: Vec<&str> = if let Some(group) = part.strip_prefix('{') {
                    group.split(',').map(str::trim).collect()
                } else {
                    vec![part]
                };
                for name in names {
                    let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                    let Some(other) = rank(&name) else { continue };
                    let sideways = other == own && name != module && !matches!(own, 6 | 0 | 2);
                    if other < own || sideways {
                        wrong.push(format!("{}:{}: {module} imports {name}", relative.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the layering:\n{}", wrong.join("\n"));
}
