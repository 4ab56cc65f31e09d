//! Imports point one way; the walls of a workspace without one.

use std::{fs, path::Path};

/// What each module may import of the crate, besides itself and what everybody may: `clock` (the
/// clock) and `redact` (secrets).
const ALLOWED: [(&str, &[&str]); 12] = [
    ("clock", &[]),
    ("redact", &[]),
    ("telemetry", &[]),
    ("cfn", &[]),
    ("model", &[]),
    ("properties", &["model"]),
    ("plan", &["model"]),
    ("ports", &["model"]),
    ("retry", &["model", "ports"]),
    ("aws", &["cfn", "model", "ports"]),
    ("rotation", &["model", "ports", "retry"]),
    ("reconcile", &["model", "plan", "ports", "retry", "rotation"]),
];
/// A use case sees everything but the adapter.
const USE_CASES: [&str; 2] = ["m2mctl", "provider"];

/// The top module that a file belongs to, and the crate's modules that it names outside comments.
fn imports(path: &Path) -> (String, Vec<String>) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let relative = path.strip_prefix(&source).unwrap();
    let module = relative.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
    let text = fs::read_to_string(path).unwrap();
    // Unit tests at the end of a file are exempt, as those in files of their own are.
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let code: String =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(|line| [line.trim(), " "]).collect();
    let mut names = Vec::new();
    for rest in code.split("crate::").skip(1) {
        if let Some(group) = rest.strip_prefix('{') {
            // The names at the group's own depth.
            let mut depth = 0;
            let mut name = String::new();
            for c in group.chars() {
                match c {
                    '}' if depth == 0 => break,
                    '{' => depth += 1,
                    '}' => depth -= 1,
                    ',' if depth == 0 => names.push(std::mem::take(&mut name)),
                    c if depth == 0 => name.push(c),
                    _ => {}
                }
            }
            names.push(name);
        } else {
            names.push(rest.to_owned());
        }
    }
    let first =
        |name: &String| name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect::<String>();
    (module, names.iter().map(first).filter(|name| !name.is_empty()).collect())
}

fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn imports_point_one_way() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let mut seen = 0;
    for path in all {
        let (module, names) = imports(&path);
        // A unit test may build what it needs with any module.
        if module == "bin" || module == "lib" || path.ends_with("tests.rs") {
            continue;
        }
        for name in names {
            let everybody = ["clock", "redact"].contains(&name.as_str());
            let allowed = match ALLOWED.iter().find(|(known, _)| *known == module) {
                Some((_, allowed)) => allowed.contains(&name.as_str()),
                None => USE_CASES.contains(&module.as_str()) && name != "aws",
            };
            assert!(
                name == module || everybody || allowed,
                "{} imports {name}, which {module} may not",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 20, "only {seen} imports were found");
}

#[test]
fn only_the_adapter_names_the_sdk_and_the_http_client() {
    let mut all = Vec::new();
    files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    for path in all {
        let text = fs::read_to_string(&path).unwrap();
        let names_sdk = ["aws_sdk_", "aws_config::", "aws_smithy", "aws_types::", "reqwest::"]
            .iter()
            .any(|name| text.contains(name));
        assert!(!names_sdk || imports(&path).0 == "aws", "{}", path.display());
    }
}
