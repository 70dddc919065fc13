//! Header extensions in descriptions (RFC 8285 section 5): the sender's level (RFC 6464), and the levels of the mixed talkers (RFC 6465).

use crate::model::media::Levels;

use super::text::{Attribute, MediaLine};

const OWN: &str = "urn:ietf:params:rtp-hdrext:ssrc-audio-level";
const MIXED: &str = "urn:ietf:params:rtp-hdrext:csrc-audio-level";

/// What we offer. Nobody sends us a mix, and we say how loud those in ours are, not it.
const OFFERED: Levels = Levels {
    own: Some(1),
    mixed: Some(2),
};

/// Numbers of elements with a short head, the only ones that we write.
const SHORT: std::ops::RangeInclusive<u8> = 1..=14;

/// Which of the two a description has, with the peer's numbers; those of the whole session count unless the stream has its own.
pub(super) fn read(line: &MediaLine, session: &[Attribute]) -> Levels {
    let has_own = line.attributes.iter().any(|a| a.name == "extmap");
    let attributes = if has_own { &line.attributes } else { session };
    let number = |uri: &str, unfit: &str| {
        attributes.iter().filter(|a| a.name == "extmap").find_map(|a| {
            let mut words = a.value.as_deref()?.split_ascii_whitespace();
            let (number, direction) = words.next().map(|w| w.split_once('/').unwrap_or((w, "sendrecv")))?;
            let wanted = words.next()?.eq_ignore_ascii_case(uri) && direction != unfit && direction != "inactive";
            number.parse().ok().filter(|n| wanted && SHORT.contains(n))
        })
    };
    Levels {
        own: number(OWN, "recvonly"),
        mixed: number(MIXED, "sendonly"),
    }
}

/// What an answer to our offer agrees to.
pub(super) fn agreed(answer: Levels) -> Levels {
    let same = |ours: Option<u8>, theirs: Option<u8>| ours.filter(|_| ours == theirs);
    Levels {
        own: same(OFFERED.own, answer.own),
        mixed: same(OFFERED.mixed, answer.mixed),
    }
}

/// Adds our offer to a stream.
pub(super) fn offer(line: &mut MediaLine) {
    write(line, OFFERED);
}

/// Adds what is agreed to a stream.
pub(super) fn write(line: &mut MediaLine, levels: Levels) {
    let own = levels.own.map(|number| format!("{number}/recvonly {OWN}"));
    let mixed = levels.mixed.map(|number| format!("{number}/sendonly {MIXED}"));
    line.attributes
        .extend(own.into_iter().chain(mixed).map(|value| Attribute::new("extmap", value)));
}

#[cfg(test)]
mod tests {
    use super::{super::Sdp, *};

    fn levels(session: &str, stream: &str) -> Levels {
        let text = format!("v=0\r\no=- 1 1 IN IP4 a\r\n{session}m=audio 1 RTP/AVP 0\r\n{stream}");
        let sdp = Sdp::parse(text.as_bytes()).expect("a description");
        read(&sdp.media[0], &sdp.attributes)
    }

    #[test]
    fn r69_numbers_are_the_peers() {
        let both = levels("", &format!("a=extmap:5 {OWN} vad=on\r\na=extmap:7/recvonly {MIXED}\r\n"));
        assert_eq!((both.own, both.mixed), (Some(5), Some(7)));
        let session = levels(&format!("a=extmap:3 {OWN}\r\n"), "");
        assert_eq!((session.own, session.mixed), (Some(3), None));
        let shadowed = levels(&format!("a=extmap:3 {OWN}\r\n"), "a=extmap:4 urn:other\r\n");
        assert_eq!(shadowed, Levels::default());
    }

    #[test]
    fn a_direction_that_does_not_fit_and_long_numbers_are_not_used() {
        for stream in [
            format!("a=extmap:1/recvonly {OWN}\r\n"),
            format!("a=extmap:1/inactive {OWN}\r\n"),
            format!("a=extmap:1/sendonly {MIXED}\r\n"),
            format!("a=extmap:15 {OWN}\r\na=extmap:0 {OWN}\r\na=extmap:4096 {MIXED}\r\n"),
            "a=extmap\r\na=extmap:\r\na=extmap:1\r\n".to_owned(),
        ] {
            assert_eq!(levels("", &stream), Levels::default(), "{stream}");
        }
    }

    #[test]
    fn what_we_offer_is_agreed_as_far_as_the_answer_repeats_it() {
        let answer = |own, mixed| agreed(Levels { own, mixed });
        assert_eq!(answer(Some(1), Some(2)), OFFERED);
        assert_eq!(answer(Some(2), None), Levels::default());
    }
}
