//! The voice that speaks to callers: clips by name, put together to what is to be said.

use std::{collections::BTreeMap, fs, io, path::Path, sync::Arc};

use mixer::{Player, Rate, Resampler, TICK_MS};

use super::sounds::{BadClip, Clip};
use crate::model::Phrase;

/// What may be said in one go, in clips: a longer name is cut.
const MOST: usize = 64;

/// The longest clip, in seconds.
const LONGEST: usize = 60;

macro_rules! built_in {
    ($($name:literal)*) => {
        &[$(($name, include_bytes!(concat!("prompts/en/", $name, ".wav")))),*]
    };
}

/// In English, made by `prompts/make` from `prompts/en.txt`.
#[rustfmt::skip]
const BUILT_IN: &[(&str, &[u8])] = built_in! {
    "enter-room" "enter-pin" "enter-room-or-code" "wrong-try-again" "goodbye" "join-as" "press-one-to-confirm" "muted" "unmuted"
    "muted-by-moderator" "hand-raised" "hand-lowered" "wait-for-moderator" "wait-in-lobby" "locked" "unlocked" "all-muted" "people-here"
    "only-you" "call-leaves" "not-allowed" "meeting-ends" "room-full" "you-moderate" "louder" "quieter" "press" "to-mute" "to-raise-hand"
    "to-hear-louder" "to-hear-quieter" "to-speak-louder" "to-speak-quieter" "to-count" "to-help" "to-mute-all" "to-lock" "to-end"
    "recording-started" "recording-stopped"
    "0" "1" "2" "3" "4" "5" "6" "7" "8" "9" "10" "11" "12" "13" "14" "15" "16" "17" "18" "19" "20" "30" "40" "50" "60" "70" "80" "90"
    "star" "hash" "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z"
};

/// What a server says, in one language, at one rate.
#[derive(Debug, Clone)]
pub struct Voice {
    rate: Rate,
    clips: BTreeMap<String, Arc<[i16]>>,
}

/// Why a file can't be said.
#[derive(Debug, thiserror::Error)]
pub enum BadPrompt {
    /// It can't be read.
    #[error("can't be read")]
    Unreadable(#[source] io::Error),
    /// It isn't a clip that can be played.
    #[error(transparent)]
    Clip(#[from] BadClip),
    /// It has no sound, or too much.
    #[error("is empty, or longer than {LONGEST} s")]
    Length,
    /// Nothing of that name is ever said.
    #[error("nothing is said by that name")]
    Unknown,
}

impl Voice {
    /// The built-in voice, in English.
    pub fn built_in() -> Self {
        Self::at_one_rate(clips())
    }

    /// The built-in voice with what a folder of WAV files has in its place: one channel of 16-bit PCM or G.711, at 8000, 16000 or 48000 Hz, named
    /// like the built-in ones (`src/media/prompts/en.txt`); numbers up to 99, too, for languages that put them together in another way.
    /// Tells of all files that can't be used.
    pub fn load(folder: &Path) -> Result<Self, Vec<(String, BadPrompt)>> {
        let unreadable = |error| vec![(String::new(), BadPrompt::Unreadable(error))];
        let (mut clips, mut bad) = (clips(), Vec::new());
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            let Some(what) = name.strip_suffix(".wav") else { continue };
            match read(&path, what) {
                Ok(clip) => {
                    clips.insert(what.to_owned(), clip);
                }
                Err(why) => bad.push((name.to_owned(), why)),
            }
        }
        bad.sort_by(|a, b| a.0.cmp(&b.0));
        if bad.is_empty() { Ok(Self::at_one_rate(clips)) } else { Err(bad) }
    }

    /// Brings clips to the highest rate among them, so that they can follow each other.
    fn at_one_rate(clips: BTreeMap<String, Clip>) -> Self {
        let rate = clips.values().map(Clip::rate).max().unwrap_or(Rate::Narrow);
        let clips = clips.into_iter().map(|(name, clip)| (name, convert(&clip, rate)));
        Self {
            rate,
            clips: clips.collect(),
        }
    }

    /// Says phrases one after the other.
    pub(super) fn say(&self, phrases: &[Phrase]) -> Box<Player> {
        let mut names = Vec::new();
        phrases.iter().for_each(|phrase| self.spell_out(phrase, &mut names));
        let clips = names.iter().take(MOST).filter_map(|name| self.clips.get(name));
        let samples: Vec<i16> = clips.flat_map(|clip| clip.iter().copied()).collect();
        Player::new(samples.into(), self.rate, 0, false)
    }

    /// Plays the one clip of that name.
    pub(super) fn play(&self, name: &str) -> Box<Player> {
        let samples = self.clips.get(name).map_or_else(|| Arc::from([]), Arc::clone);
        Player::new(samples, self.rate, 0, false)
    }

    /// Adds the names of the clips that a phrase is made of.
    fn spell_out(&self, phrase: &Phrase, names: &mut Vec<String>) {
        if let Some(name) = phrase.file() {
            names.push(name.to_owned());
        } else if let Phrase::Number(number) = phrase {
            self.count(*number, names);
        } else if let Phrase::Spell(text) = phrase {
            spell(text, names);
        }
    }

    /// A number: as one clip, if there is one, else tens and units, or from 100 on digit by digit.
    fn count(&self, number: u32, names: &mut Vec<String>) {
        let whole = number.to_string();
        if self.clips.contains_key(&whole) {
            names.push(whole);
        } else if number < 100 {
            names.push((number / 10 * 10).to_string());
            names.push((number % 10).to_string());
        } else {
            spell(&whole, names);
        }
    }
}

fn spell(text: &str, names: &mut Vec<String>) {
    for sign in text.chars() {
        match sign {
            '0'..='9' | 'a'..='z' | 'A'..='Z' => names.push(sign.to_ascii_lowercase().to_string()),
            '*' => names.push("star".to_owned()),
            '#' => names.push("hash".to_owned()),
            _ => {}
        }
    }
}

/// The built-in clips.
fn clips() -> BTreeMap<String, Clip> {
    let clips = BUILT_IN
        .iter()
        .filter_map(|(name, bytes)| Some(((*name).to_owned(), Clip::parse(bytes).ok()?)));
    clips.collect()
}

/// Reads what is to be said in place of a built-in clip.
fn read(path: &Path, name: &str) -> Result<Clip, BadPrompt> {
    let number = name.parse().is_ok_and(|number: u32| number < 100 && number.to_string() == name);
    if !number && BUILT_IN.iter().all(|(known, _)| *known != name) {
        return Err(BadPrompt::Unknown);
    }
    let clip = Clip::parse(&fs::read(path).map_err(BadPrompt::Unreadable)?)?;
    let most = clip.rate().hz() as usize * LONGEST;
    if (1..=most).contains(&clip.samples().len()) {
        Ok(clip)
    } else {
        Err(BadPrompt::Length)
    }
}

/// A clip's samples at another rate.
fn convert(clip: &Clip, rate: Rate) -> Arc<[i16]> {
    if clip.rate() == rate {
        return Arc::clone(clip.samples());
    }
    let mut resampler = Resampler::new(rate);
    let tick = (clip.rate().hz() * TICK_MS / 1000) as usize;
    let mut samples = Vec::new();
    for part in clip.samples().chunks(tick) {
        let mut whole = part.to_vec();
        whole.resize(tick, 0);
        samples.extend_from_slice(resampler.convert(&whole, clip.rate()));
    }
    samples.into()
}

#[cfg(test)]
mod tests {
    use super::{super::wav::Wav, *};

    fn names(phrases: &[Phrase]) -> Vec<String> {
        let (voice, mut names) = (Voice::built_in(), Vec::new());
        phrases.iter().for_each(|phrase| voice.spell_out(phrase, &mut names));
        assert!(names.iter().all(|name| voice.clips.contains_key(name)), "{names:?}");
        names
    }

    fn folder(name: &str, files: &[(&str, Vec<u8>)]) -> std::path::PathBuf {
        let folder = std::env::temp_dir().join(format!("cusax-voice-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        for (name, bytes) in files {
            fs::write(folder.join(name), bytes).expect("a file");
        }
        folder
    }

    fn wav(rate: u32, samples: usize) -> Vec<u8> {
        Wav {
            rate,
            samples: vec![1000; samples],
        }
        .to_bytes()
    }

    #[test]
    fn all_that_can_be_said_is_built_in_audible_and_short() {
        let voice = Voice::built_in();
        assert_eq!(voice.clips.len(), BUILT_IN.len());
        for (name, samples) in &voice.clips {
            let ms = samples.len() * 1000 / voice.rate.hz() as usize;
            assert!((150..4500).contains(&ms), "{name}: {ms} ms");
            assert!(samples.iter().any(|sample| sample.unsigned_abs() > 10_000), "{name}");
        }
        for phrase in Phrase::FIXED {
            assert_eq!(names(std::slice::from_ref(&phrase)), [phrase.file().expect("one file")]);
        }
        let size: usize = BUILT_IN.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(size < 1_000_000, "{size} bytes");
    }

    #[test]
    fn numbers_are_put_together_and_text_is_spelled() {
        assert_eq!(names(&[Phrase::Number(0)]), ["0"]);
        assert_eq!(names(&[Phrase::Number(17)]), ["17"]);
        assert_eq!(names(&[Phrase::Number(40), Phrase::PeopleHere]), ["40", "people-here"]);
        assert_eq!(names(&[Phrase::Number(42)]), ["40", "2"]);
        assert_eq!(names(&[Phrase::Number(105)]), ["1", "0", "5"]);
        assert_eq!(
            names(&[Phrase::Spell("*6 Ann#-é".to_owned())]),
            ["star", "6", "a", "n", "n", "hash"]
        );
        (0..100).for_each(|number| assert!(!names(&[Phrase::Number(number)]).is_empty()));
    }

    #[test]
    fn files_replace_what_is_built_in_by_name_and_at_any_rate() {
        let folder = folder(
            "good",
            &[
                ("goodbye.wav", wav(16_000, 16_000)),
                ("42.wav", wav(8000, 8000)),
                ("readme", vec![1]),
            ],
        );
        let voice = Voice::load(&folder).expect("good files");
        assert_eq!(voice.rate, Rate::Wide);
        assert_eq!((voice.clips["goodbye"].len(), voice.clips["42"].len()), (16_000, 16_000));
        let mut names = Vec::new();
        voice.spell_out(&Phrase::Number(42), &mut names);
        assert_eq!(names, ["42"]);
        fs::remove_dir_all(folder).expect("it was there");
    }

    #[test]
    fn every_wrong_file_is_named() {
        let mut stereo = wav(8000, 100);
        stereo[22] = 2;
        let files = [
            ("goodbye.wav", wav(44_100, 100)),
            ("muted.wav", stereo),
            ("press.wav", wav(8000, 0)),
            ("to-end.wav", wav(8000, 8000 * 61)),
            ("unheard-of.wav", wav(8000, 100)),
            ("100.wav", wav(8000, 100)),
        ];
        let folder = folder("bad", &files);
        let bad = Voice::load(&folder).expect_err("bad files");
        let told: Vec<String> = bad.into_iter().map(|(name, why)| format!("{name}: {why}")).collect();
        assert_eq!(
            told,
            [
                "100.wav: nothing is said by that name",
                "goodbye.wav: 44100 Hz: only 8000, 16000 and 48000 Hz can be played",
                "muted.wav: not one channel of 16-bit PCM or G.711",
                "press.wav: is empty, or longer than 60 s",
                "to-end.wav: is empty, or longer than 60 s",
                "unheard-of.wav: nothing is said by that name",
            ]
        );
        fs::remove_dir_all(folder).expect("it was there");
        assert!(Voice::load(Path::new("/nonexistent")).is_err());
    }
}
