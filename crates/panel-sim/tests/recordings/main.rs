//! Every recorded conversation with a real panel, replayed against the simulated one over HTTP: no difference.
//!
//! A file dropped into `recordings/2.9.4` or `recordings/3.6.0` is picked up by itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

mod compare;
mod play;

use panel_sim::{Generation, Setup, Sim};
use serde_json::Value;
use std::{fs, path::PathBuf};

async fn replay_all(folder: &str, generation: Generation) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("recordings").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "json"));
    files.sort();
    assert!(!files.is_empty(), "no recordings in {}", folder.display());
    let mut differences = Vec::new();
    for file in files {
        let recording: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let setup = Setup { username: "operator".into(), password: "s3cret-Pass".into(), ..Setup::default() };
        let sim = Sim::start(generation, setup).await.unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let found = play::play(&sim, &recording).await;
        differences.extend(found.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    assert!(differences.is_empty(), "{} differences:\n{}", differences.len(), differences.join("\n"));
}

#[tokio::test]
async fn a_panel_of_generation_2_answers_as_recorded() {
    replay_all("2.9.4", Generation::Two).await;
}

#[tokio::test]
async fn a_panel_of_generation_3_answers_as_recorded() {
    replay_all("3.6.0", Generation::Three).await;
}

#[test]
fn a_wrong_answer_is_noticed() {
    let recorded = serde_json::json!({"status": 200, "json": {"success": true, "at": "<ms>", "list": [1, 2]}});
    let differing = [
        serde_json::json!({"status": 404, "json": {"success": true, "at": 1_700_000_000_000_i64, "list": [1, 2]}}),
        serde_json::json!({"status": 200, "json": {"success": true, "at": 17, "list": [1, 2]}}),
        serde_json::json!({"status": 200, "json": {"success": true, "at": 1_700_000_000_000_i64, "list": [1]}}),
        serde_json::json!({"status": 200, "json": {"success": true, "at": 1_700_000_000_000_i64, "list": [1, 2], "more": 0}}),
        serde_json::json!({"status": 200, "json": {"at": 1_700_000_000_000_i64, "list": [1, 2]}}),
        serde_json::json!({"status": 200, "json": {"success": true, "at": 1_700_000_000_000_i64, "list": [1, 2.0]}}),
    ];
    for got in differing {
        assert_eq!(compare::differences(&recorded, &got, "answer").len(), 1, "{got}");
    }
}
