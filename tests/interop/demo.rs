//! The demo's script: every door of a whole installation, used from outside.

use std::{
    future,
    sync::{Arc, Mutex},
};

use cusax::{
    app::demo::{self, Options},
    media::wav::Wav,
};

use super::peers::Folder;

#[test]
fn m4_r12_what_the_demo_promises_happens() {
    let folder = Folder::new("demo");
    let out = folder.join("out.wav");
    let options = Options {
        seconds: Some(60),
        dir: Some(folder.join("stage")),
        out: out.clone(),
    };
    let lines = Arc::new(Mutex::new(Vec::new()));
    let print = {
        let lines = Arc::clone(&lines);
        Arc::new(move |line: &str| lines.lock().expect("no panic while printing").push(line.to_owned()))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let result = runtime.block_on(demo::run(options, print, future::pending()));
    let printed = lines.lock().expect("no panic while printing").join("\n");
    assert!(result.is_ok(), "{result:?} after\n{printed}");
    let wav = Wav::parse(&std::fs::read(&out).expect("the recording")).expect("a WAV file");
    assert!(wav.samples.len() > wav.rate as usize / 2, "the mute alone is watched for longer");
    eprintln!("{printed}");
}
