//! Payload types: what their numbers mean in one description, and which of ours they get.

use crate::model::media::{Codec, OpusClass};

use super::text::{Attribute, MediaLine};

/// What a payload type carries, as far as we know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Voice.
    Voice(Codec),
    /// Key presses at this clock rate, in Hz (RFC 4733, rule R70).
    Keys(u32),
    /// Comfort noise at 8000 Hz (RFC 3389).
    ComfortNoise,
}

impl Format {
    /// `rtpmap` without its payload type.
    fn name(self) -> &'static str {
        match self {
            Self::Voice(Codec::Pcmu) => "PCMU/8000",
            Self::Voice(Codec::Pcma) => "PCMA/8000",
            // The clock that RFC 3551 section 4.5.2 kept by mistake; the sound has 16000 Hz.
            Self::Voice(Codec::G722) => "G722/8000",
            Self::Voice(Codec::Opus) => "opus/48000/2",
            Self::Keys(48_000) => "telephone-event/48000",
            Self::Keys(_) => "telephone-event/8000",
            Self::ComfortNoise => "CN/8000",
        }
    }

    /// The number that RFC 3551 gives it, or the one that most others use.
    fn usual(self) -> u8 {
        match self {
            Self::Voice(Codec::Pcmu) => 0,
            Self::Voice(Codec::Pcma) => 8,
            Self::Voice(Codec::G722) => 9,
            Self::ComfortNoise => 13,
            Self::Voice(Codec::Opus) => 111,
            Self::Keys(48_000) => 110,
            Self::Keys(_) => 101,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        let voices = [Codec::Pcmu, Codec::Pcma, Codec::G722].map(Self::Voice);
        voices.into_iter().chain([Self::ComfortNoise]).find(|f| f.usual() == number)
    }

    fn of_map(map: &str) -> Option<Self> {
        let mut parts = map.split('/').map(str::trim);
        let (name, clock, channels) = (parts.next()?, parts.next()?, parts.next());
        let clock: u32 = clock.parse().ok()?;
        let mono = channels.is_none_or(|c| c == "1");
        match (name.to_ascii_lowercase().as_str(), clock) {
            ("pcmu", 8000) if mono => Some(Self::Voice(Codec::Pcmu)),
            ("pcma", 8000) if mono => Some(Self::Voice(Codec::Pcma)),
            ("g722", 8000) if mono => Some(Self::Voice(Codec::G722)),
            ("opus", 48_000) => Some(Self::Voice(Codec::Opus)),
            ("telephone-event", 8000 | 48_000) => Some(Self::Keys(clock)),
            ("cn", 8000) => Some(Self::ComfortNoise),
            _ => None,
        }
    }
}

/// The formats of a media line that we know, in the peer's order.
pub(crate) fn known(line: &MediaLine) -> Vec<(u8, Format)> {
    let one = |text: &String| {
        let number = text.parse().ok().filter(|n| *n < 128)?;
        let format = match line.about("rtpmap", text) {
            Some(map) => Format::of_map(map),
            None => Format::of_number(number),
        };
        Some((number, format?))
    };
    line.formats.iter().filter_map(one).collect()
}

/// Numbers given to formats in one call: once given, a number keeps its meaning (RFC 3264 section 8.3.2).
#[derive(Debug, Clone, Default)]
pub(crate) struct Numbers(Vec<(u8, Format)>);

/// Every number is remembered at most once.
const DYNAMIC: std::ops::RangeInclusive<u8> = 96..=127;

impl Numbers {
    /// Remembers what the peer's numbers mean.
    pub(crate) fn learn(&mut self, formats: &[(u8, Format)]) {
        for (number, format) in formats {
            if !self.0.iter().any(|(n, _)| n == number) {
                self.0.push((*number, *format));
            }
        }
    }

    /// The number of a format: the one it has, else the usual one, else the first that is free.
    pub(crate) fn of(&mut self, format: Format) -> Option<u8> {
        if let Some((number, _)) = self.0.iter().find(|(_, f)| *f == format) {
            return Some(*number);
        }
        let free = |n: &u8| !self.0.iter().any(|(taken, _)| taken == n);
        let number = Some(format.usual()).into_iter().chain(DYNAMIC).find(free)?;
        self.0.push((number, format));
        Some(number)
    }
}

/// Writes formats with their attributes into a media line.
pub(crate) fn write(line: &mut MediaLine, formats: &[(u8, Format)]) {
    for (number, format) in formats {
        line.formats.push(number.to_string());
        line.attributes
            .push(Attribute::new("rtpmap", format_args!("{number} {}", format.name())));
        match format {
            // Both are ours to take: packets of 10 ms, and repair in band. We send mono, and mix what comes in stereo down: the defaults.
            Format::Voice(Codec::Opus) => line
                .attributes
                .push(Attribute::new("fmtp", format_args!("{number} minptime=10;useinbandfec=1"))),
            Format::Keys(_) => line.attributes.push(Attribute::new("fmtp", format_args!("{number} 0-15"))),
            Format::Voice(Codec::Pcmu | Codec::Pcma | Codec::G722) | Format::ComfortNoise => {}
        }
    }
}

/// What a peer wants to receive as Opus (RFC 7587 section 6.1). That we hear from it in stereo (`sprop-stereo`), and that it would rather
/// hear stereo (`stereo`), change nothing: we take either and send mono.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OpusWishes {
    /// `maxplaybackrate`, in Hz.
    pub(crate) playback_hz: u32,
    /// `maxaveragebitrate`, in bit/s, if there is a limit.
    pub(crate) bit_rate: Option<u32>,
    /// `cbr`: packets of one length.
    pub(crate) constant: bool,
    /// `usedtx`: nothing needs to be sent in silence.
    pub(crate) dtx: bool,
    /// `useinbandfec`: they can make use of what a packet says of the one before.
    pub(crate) fec: bool,
}

impl OpusWishes {
    /// Reads the parameters of a payload type; what is missing or makes no sense has its default.
    pub(crate) fn read(line: &MediaLine, number: u8) -> Self {
        let parameters = line.about("fmtp", &number.to_string()).unwrap_or_default();
        let number_of = |name: &str| {
            let mut pairs = parameters.split(';').filter_map(|p| p.split_once('='));
            let (_, value) = pairs.find(|(n, _)| n.trim().eq_ignore_ascii_case(name))?;
            value.trim().parse::<u32>().ok()
        };
        let flag = |name| number_of(name) == Some(1);
        Self {
            playback_hz: number_of("maxplaybackrate").unwrap_or(48_000),
            // Section 6.1: values outside of this range should be ignored.
            bit_rate: number_of("maxaveragebitrate").filter(|rate| (6000..=510_000).contains(rate)),
            constant: flag("cbr"),
            dtx: flag("usedtx"),
            fec: flag("useinbandfec"),
        }
    }

    /// The kind of stream that meets them (rule R63).
    pub(crate) fn class(self) -> OpusClass {
        OpusClass::fitting(self.playback_hz, self.bit_rate.unwrap_or(u32::MAX), self.constant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::sdp::Sdp;

    fn line(text: &str) -> MediaLine {
        Sdp::parse(format!("v=0\r\no=- 1 1 IN IP4 a\r\n{text}").as_bytes())
            .unwrap()
            .media
            .remove(0)
    }

    #[test]
    fn r70_clock_rates_as_a_table() {
        for (format, name, rate) in [
            (Format::Voice(Codec::Pcmu), "PCMU/8000", 8000),
            (Format::Voice(Codec::Pcma), "PCMA/8000", 8000),
            (Format::Voice(Codec::G722), "G722/8000", 8000),
            (Format::Voice(Codec::Opus), "opus/48000/2", 48_000),
            (Format::Keys(8000), "telephone-event/8000", 8000),
            (Format::Keys(48_000), "telephone-event/48000", 48_000),
            (Format::ComfortNoise, "CN/8000", 8000),
        ] {
            assert_eq!(format.name(), name);
            assert_eq!(Format::of_map(name), Some(format));
            if let Format::Voice(codec) = format {
                assert_eq!(codec.clock_hz(), rate);
            }
        }
        for other in [
            "opus/16000",
            "G722/16000",
            "PCMU/16000",
            "PCMU/8000/2",
            "telephone-event/16000",
            "speex/8000",
            "x",
            "",
        ] {
            assert_eq!(Format::of_map(other), None, "{other}");
        }
    }

    #[test]
    fn static_numbers_need_no_map_and_obey_one() {
        let found = known(&line(
            "m=audio 1 RTP/AVP 0 8 9 13 3 96 97 128 x\r\na=rtpmap:0 PCMU/8000/1\r\na=rtpmap:8 speex/8000\r\na=rtpmap:96 OPUS/48000/2\r\n",
        ));
        assert_eq!(
            found,
            [
                (0, Format::Voice(Codec::Pcmu)),
                (9, Format::Voice(Codec::G722)),
                (13, Format::ComfortNoise),
                (96, Format::Voice(Codec::Opus))
            ]
        );
    }

    #[test]
    fn numbers_keep_their_meaning() {
        let mut numbers = Numbers::default();
        numbers.learn(&[(101, Format::Voice(Codec::Opus)), (110, Format::Keys(8000))]);
        assert_eq!(numbers.of(Format::Voice(Codec::Opus)), Some(101));
        assert_eq!(numbers.of(Format::Keys(48_000)), Some(96), "110 is taken");
        assert_eq!(numbers.of(Format::Keys(48_000)), Some(96));
        assert_eq!(numbers.of(Format::Voice(Codec::Pcmu)), Some(0));
    }

    #[test]
    fn what_an_opus_peer_wants_is_read_leniently() {
        let read = |parameters: &str| OpusWishes::read(&line(&format!("m=audio 1 RTP/AVP 96\r\n{parameters}")), 96);
        let plain = OpusWishes {
            playback_hz: 48_000,
            bit_rate: None,
            constant: false,
            dtx: false,
            fec: false,
        };
        assert_eq!(read(""), plain);
        assert_eq!(read("a=fmtp:97 cbr=1\r\n"), plain, "of another format");
        let all = "a=fmtp:96 maxplaybackrate=16000; sprop-maxcapturerate=8000;MaxAverageBitrate = 20000 ;stereo=1; sprop-stereo=1; cbr=1; useinbandfec=1; UseDTX=1\r\n";
        let found = read(all);
        assert_eq!(
            found,
            OpusWishes {
                playback_hz: 16_000,
                bit_rate: Some(20_000),
                constant: true,
                dtx: true,
                fec: true,
            }
        );
        assert_eq!(
            read("a=fmtp:96 maxaveragebitrate=1;maxplaybackrate=x;cbr=2;usedtx=0;;=;a\r\n"),
            plain
        );
    }

    #[test]
    fn r63_wishes_become_one_of_four_kinds_of_stream() {
        let class = |parameters: &str| OpusWishes::read(&line(&format!("m=audio 1 RTP/AVP 96\r\na=fmtp:96 {parameters}\r\n")), 96).class();
        for (parameters, expected) in [
            ("useinbandfec=1", OpusClass::Full),
            ("stereo=1;sprop-stereo=1;maxaveragebitrate=510000", OpusClass::Full),
            ("cbr=1", OpusClass::Constant),
            ("maxplaybackrate=24000", OpusClass::Wide),
            ("maxplaybackrate=16000;cbr=1", OpusClass::Wide),
            ("maxaveragebitrate=30000", OpusClass::Wide),
            ("maxplaybackrate=12000", OpusClass::Narrow),
            ("maxplaybackrate=8000", OpusClass::Narrow),
            ("maxaveragebitrate=16000", OpusClass::Narrow),
        ] {
            assert_eq!(class(parameters), expected, "{parameters}");
        }
    }
}
