//! Payload types: what their numbers mean in one description, and which of ours they get.

use crate::model::media::Codec;

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

/// The RTP clock of a codec, in Hz (rule R70).
pub(crate) fn clock(codec: Codec) -> u32 {
    match codec {
        Codec::Pcmu | Codec::Pcma => 8000,
        Codec::Opus => 48_000,
    }
}

impl Format {
    /// `rtpmap` without its payload type.
    fn name(self) -> &'static str {
        match self {
            Self::Voice(Codec::Pcmu) => "PCMU/8000",
            Self::Voice(Codec::Pcma) => "PCMA/8000",
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
            Self::ComfortNoise => 13,
            Self::Voice(Codec::Opus) => 111,
            Self::Keys(48_000) => 110,
            Self::Keys(_) => 101,
        }
    }

    fn of_number(number: u8) -> Option<Self> {
        [Self::Voice(Codec::Pcmu), Self::Voice(Codec::Pcma), Self::ComfortNoise]
            .into_iter()
            .find(|f| f.usual() == number)
    }

    fn of_map(map: &str) -> Option<Self> {
        let mut parts = map.split('/').map(str::trim);
        let (name, clock, channels) = (parts.next()?, parts.next()?, parts.next());
        let clock: u32 = clock.parse().ok()?;
        let mono = channels.is_none_or(|c| c == "1");
        match (name.to_ascii_lowercase().as_str(), clock) {
            ("pcmu", 8000) if mono => Some(Self::Voice(Codec::Pcmu)),
            ("pcma", 8000) if mono => Some(Self::Voice(Codec::Pcma)),
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
            // We decode in-band repair, and mono whatever arrives.
            Format::Voice(Codec::Opus) => line
                .attributes
                .push(Attribute::new("fmtp", format_args!("{number} useinbandfec=1"))),
            Format::Keys(_) => line.attributes.push(Attribute::new("fmtp", format_args!("{number} 0-15"))),
            Format::Voice(Codec::Pcmu | Codec::Pcma) | Format::ComfortNoise => {}
        }
    }
}

/// Whether `usedtx=1` is among the parameters of a payload type (RFC 7587 section 6.1).
pub(crate) fn wants_dtx(line: &MediaLine, number: u8) -> bool {
    let parameters = line.about("fmtp", &number.to_string()).unwrap_or_default();
    parameters
        .split(';')
        .filter_map(|p| p.split_once('='))
        .any(|(n, v)| n.trim().eq_ignore_ascii_case("usedtx") && v.trim() == "1")
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
            (Format::Voice(Codec::Opus), "opus/48000/2", 48_000),
            (Format::Keys(8000), "telephone-event/8000", 8000),
            (Format::Keys(48_000), "telephone-event/48000", 48_000),
            (Format::ComfortNoise, "CN/8000", 8000),
        ] {
            assert_eq!(format.name(), name);
            assert_eq!(Format::of_map(name), Some(format));
            if let Format::Voice(codec) = format {
                assert_eq!(clock(codec), rate);
            }
        }
        for other in [
            "opus/16000",
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
            "m=audio 1 RTP/AVP 0 8 13 3 96 97 128 x\r\na=rtpmap:0 PCMU/8000/1\r\na=rtpmap:8 speex/8000\r\na=rtpmap:96 OPUS/48000/2\r\n",
        ));
        assert_eq!(
            found,
            [
                (0, Format::Voice(Codec::Pcmu)),
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
    fn dtx_is_what_the_peer_asks_for() {
        assert!(wants_dtx(
            &line("m=audio 1 RTP/AVP 96\r\na=fmtp:96 useinbandfec=1; UseDTX=1\r\n"),
            96
        ));
        assert!(!wants_dtx(&line("m=audio 1 RTP/AVP 96\r\na=fmtp:96 usedtx=0\r\n"), 96));
        assert!(!wants_dtx(&line("m=audio 1 RTP/AVP 96\r\n"), 96));
    }
}
