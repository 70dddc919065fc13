//! A call is recorded, and everybody knows (rule R82); a file is played into it.

use std::{path::Path, time::Duration};

use serde_json::Value;

use super::peers::{
    self, Chat, Folder, Phone, PhoneSetup, Server,
    server::ROOM,
    sound::{self, Recording},
};
use cusax::app::child;

const WINDOW: Duration = Duration::from_millis(300);

#[test]
fn r82_a_call_is_recorded_and_everybody_knows() {
    let folder = Folder::new("recording");
    let prosody = peers::prosody(&folder, &["ann"]);
    let server = Server::start(&prosody, &folder, "[recording]\nfolder = \".\"\nformat = \"wav\"\n");
    let mut ann = Chat::login(&prosody, &folder, "ann");
    ann.join(ROOM, "Ann");
    let mut pete = Phone::start(&folder, PhoneSetup::new("pete", 440));
    let mut quin = Phone::start(&folder, PhoneSetup::new("quin", 1000));
    pete.call(&server.room_uri("standup", "udp"));
    quin.call(&server.room_uri("standup", "udp"));
    pete.hears(1000, true, WINDOW);
    let order = |arguments: &[&str]| {
        let (reply, good) = server.operator(&[&["room"], arguments].concat());
        assert!(good, "{reply}");
        reply
    };

    order(&["record", "standup"]);
    ann.message("The operator has started a recording of the call.");
    let show = || order(&["show", "standup"])["reply"].clone();
    let file = child::wait_until(peers::events::LIMIT, || {
        let report = show();
        assert_eq!(report["recording"], true, "{report}");
        report["recording_file"].as_str().map(str::to_owned)
    });
    let file = file.expect("a file in time");
    let has = |hz| {
        let recorded = || (Recording::read(Path::new(&file)).level_db(hz, WINDOW) > -20.0).then_some(());
        assert!(child::wait_until(peers::events::LIMIT, recorded).is_some(), "no {hz} Hz in {file}");
    };
    has(440);
    has(1000);
    order(&["record", "standup", "--off"]);
    ann.message("The operator has ended the recording of the call.");
    assert_eq!(show()["recording"], false);
    let size = || std::fs::metadata(&file).map_or(0, |m| m.len());
    let wav = || cusax::media::wav::Wav::parse(&std::fs::read(&file).ok()?).ok();
    let whole = || wav().filter(|wav| wav.samples.len() as u64 * 2 + 44 == size());
    let wav = child::wait_until(peers::events::LIMIT, whole).expect("its header tells its length");
    assert_eq!(wav.rate, 16_000);

    let log = std::fs::read_to_string(server.log()).expect("a log");
    for line in [
        "the call is being recorded, by the operator".to_owned(),
        format!("the call is recorded into {file}, by The operator"),
        "the call is no longer recorded, by the operator".to_owned(),
    ] {
        assert!(log.contains(&line), "not in the log: {line}");
    }

    let tone = folder.join("tone.wav");
    sound::write_tone(&tone, 2000, 8000, Duration::from_secs(2));
    order(&["play", "standup", tone.to_str().expect("plain")]);
    pete.hears(2000, true, WINDOW);
    let (reply, good) = server.operator(&["room", "play", "standup", "/nonexistent.wav"]);
    assert!(
        !good && reply["reply"]["message"].as_str().is_some_and(|m| m.contains("/nonexistent.wav")),
        "{reply}"
    );
}

#[test]
fn r82_a_server_without_a_folder_records_nothing() {
    let folder = Folder::new("no-recording");
    let prosody = peers::prosody(&folder, &[]);
    let server = Server::start(&prosody, &folder, "");
    let (reply, good) = server.operator(&["room", "record", "standup"]);
    assert!(!good, "{reply}");
    assert_eq!(reply["reply"]["message"], Value::from("this server records nothing"));
}
