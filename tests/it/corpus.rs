//! Replays the corpus of the fuzzer.

#[path = "../../fuzz/checks.rs"]
mod checks;

use std::fs;

fn replay(target: &str, check: fn(&[u8])) {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() >= 10, "{target}: only {} files", files.len());
    for file in &files {
        check(&fs::read(file).unwrap());
    }
    println!("{target}: {} files of the corpus", files.len());
}

#[test]
fn the_corpus_of_events_still_holds() {
    replay("event", checks::event);
}

#[test]
fn the_corpus_of_properties_still_holds() {
    replay("desired", checks::desired);
}
