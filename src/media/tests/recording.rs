//! What rooms are played, and what is recorded of them.

use std::{fs, path::PathBuf};

use mixer::Rate;

use super::{
    super::{Clip, Format, RecordingConfig, tone::tone_level_db, wav::Wav},
    voice::{ANN, BOB, call},
    *,
};
use crate::model::media::Prompt;

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cusax-recording-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).expect("writable");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it harms nobody.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn recording(folder: &Folder, format: Format) -> impl FnOnce(&mut PlaneConfig) {
    let config = RecordingConfig {
        folder: folder.0.clone(),
        format,
        rate: Rate::Wide,
    };
    move |plane| plane.recording = Some(config)
}

fn record(world: &mut World, on: bool) {
    world.plane.order(MediaOrder::Record { room: name("blue"), on });
}

/// The file that the start of the recording named.
fn file(world: &mut World) -> PathBuf {
    let mut file = None;
    wait_for("the start of the recording", || {
        world.has_seen(|_| true);
        file = world.seen.iter().find_map(|r| {
            if let MediaReport::RecordingStarted { file, .. } = r {
                Some(PathBuf::from(file))
            } else {
                None
            }
        });
        file.is_some()
    });
    file.expect("just found")
}

/// Whether every half of a second from the first with sound on has both tones.
fn has_both_throughout(wav: &Wav) -> bool {
    let level = |part: &[i16], hz| tone_level_db(part, wav.rate, hz);
    let parts = wav
        .samples
        .chunks_exact(wav.rate as usize / 2)
        .skip_while(|part| level(part, ANN) < -30.0 || level(part, BOB) < -30.0);
    let parts: Vec<_> = parts.collect();
    !parts.is_empty() && parts.iter().all(|part| [ANN, BOB].iter().all(|&hz| level(part, hz) > -16.0))
}

#[test]
fn a_recording_has_all_voices_over_moves_of_the_room() {
    let folder = Folder::new("wav");
    let mut world = World::with(2, recording(&folder, Format::Wav));
    let callers = [call(&mut world, Codec::Pcmu, ANN), call(&mut world, Codec::Opus, BOB)];
    callers.iter().for_each(|caller| world.place(caller.leg, "blue", 48_000));
    callers[0].hears(BOB);
    record(&mut world, true);
    let path = file(&mut world);
    let seconds = |path: &PathBuf| {
        fs::read(path)
            .ok()
            .and_then(|b| Wav::parse(&b).ok())
            .map_or(0.0, |w| w.samples.len() as f64 / 16_000.0)
    };
    for thread in [0, 1, 0, 1] {
        let before = seconds(&path);
        world.plane.move_room(&name("blue"), thread);
        wait_for("another second in the file", || seconds(&path) > before + 0.9);
    }
    record(&mut world, false);
    world.expect("the end", |r| {
        *r == MediaReport::RecordingEnded {
            room: name("blue"),
            lost_ms: 0,
            error: None,
        }
    });
    let wav = Wav::parse(&fs::read(&path).expect("the file")).expect("a WAV file");
    assert_eq!(wav.rate, 16_000);
    assert!(has_both_throughout(&wav), "{} samples", wav.samples.len());
}

#[test]
fn r82_a_recording_ends_with_the_last_leg_and_does_not_go_on_with_the_next() {
    let folder = Folder::new("last");
    let mut world = World::with(1, recording(&folder, Format::Wav));
    let ann = call(&mut world, Codec::Pcmu, ANN);
    world.place(ann.leg, "blue", 16_000);
    record(&mut world, true);
    file(&mut world);
    world.plane.order(MediaOrder::Close(ann.leg));
    world.expect("the end", |r| matches!(r, MediaReport::RecordingEnded { error: None, .. }));
    let bob = call(&mut world, Codec::Pcmu, BOB);
    world.place(bob.leg, "blue", 16_000);
    // The room orders the end too: there is nothing left to end, and another recording begins.
    record(&mut world, false);
    record(&mut world, true);
    record(&mut world, false);
    let count = |world: &World, wanted: fn(&MediaReport) -> bool| world.seen.iter().filter(|r| wanted(r)).count();
    wait_for("the second end", || {
        world.has_seen(|_| true);
        count(&world, |r| matches!(r, MediaReport::RecordingEnded { .. })) == 2
    });
    assert_eq!(count(&world, |r| matches!(r, MediaReport::RecordingStarted { .. })), 2);
}

#[test]
fn an_ogg_recording_ends_with_the_plane() {
    let folder = Folder::new("ogg");
    let mut world = World::with(1, recording(&folder, Format::Ogg));
    record(&mut world, true);
    let path = file(&mut world);
    assert!(path.extension().is_some_and(|e| e == "ogg"));
    // Asked for before anybody calls, it begins with the first.
    let ann = call(&mut world, Codec::Pcmu, ANN);
    world.place(ann.leg, "blue", 16_000);
    wait_for("a page in the file", || fs::metadata(&path).is_ok_and(|m| m.len() > 4000));
    let World { plane, .. } = world;
    drop(plane);
    let bytes = fs::read(&path).expect("the file");
    let last = bytes.windows(4).rposition(|w| w == b"OggS").expect("a page");
    assert_eq!(bytes[last + 5] & 4, 4, "the last page says so");
}

#[test]
fn a_file_that_cannot_be_opened_is_told_and_the_room_goes_on() {
    let mut world = World::with(1, |plane| {
        plane.recording = Some(RecordingConfig {
            folder: "/nonexistent".into(),
            format: Format::Wav,
            rate: Rate::Wide,
        });
    });
    let callers = [call(&mut world, Codec::Pcmu, ANN), call(&mut world, Codec::Pcmu, BOB)];
    callers.iter().for_each(|caller| world.place(caller.leg, "blue", 8000));
    record(&mut world, true);
    world.expect("the failure", |r| matches!(r, MediaReport::RecordingEnded { error: Some(_), .. }));
    callers[0].hears(BOB);
    let mut silent = World::new(1);
    record(&mut silent, true);
    silent.expect("no folder, no recording", |r| {
        matches!(r, MediaReport::RecordingEnded { error: Some(_), .. })
    });
}

#[test]
fn prompts_music_and_files_are_heard() {
    let clip = |hz| {
        let mut samples = vec![0; 48_000];
        crate::media::tone::Tone::new(hz, -12.0, 16_000).fill(&mut samples);
        Clip::parse(&Wav { rate: 16_000, samples }.to_bytes()).expect("a clip")
    };
    let music = clip(700.0);
    let mut world = World::with(2, move |plane| plane.music = Some(music));
    let ann = call(&mut world, Codec::Pcmu, ANN);
    world.place(ann.leg, "blue", 8000);
    world.plane.order(MediaOrder::Music(name("blue"), true));
    let hears = |what: &str, hz, least, most| {
        wait_for(what, || ann.level(hz).is_some_and(|level| (least..most).contains(&level)));
    };
    // 12 dB quieter than it is.
    hears("the music", 700.0, -26.0, -22.0);
    world.plane.move_room(&name("blue"), 1);
    world.plane.order(MediaOrder::Prompt(name("blue"), Prompt::Joined));
    hears("the tone", 523.25, -40.0, 0.0);
    hears("the music again", 700.0, -26.0, -22.0);
    world.plane.order(MediaOrder::Music(name("blue"), false));
    hears("the end of the music", 700.0, -200.0, -55.0);
    assert!(world.plane.play(&name("blue"), &clip(1500.0)));
    assert!(!world.plane.play(&name("red"), &clip(1500.0)), "nobody is there");
    hears("the file", 1500.0, -14.0, -10.0);
}
