//! Cuts a byte stream (TCP) into messages. Never holds more than one message and what one read brought with it.

use super::{
    message::Message,
    parse::{MAX_MESSAGE, Malformed, Why, find_head_end, parse_head, set_body},
    salvage::{lenient_headers, malformed},
};

/// What comes out of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamItem {
    /// A message.
    Message(Message),
    /// A message that can't be used, whose end is known: the stream goes on.
    Malformed(Malformed),
    /// A ping (RFC 5626 section 3.5.1: two line ends), to be answered with one line end.
    KeepAlive,
}

/// It can't be known where the next message starts: answer, if there is an answer, and close.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the stream can't be read on: {0}")]
pub struct FramingLost(pub Malformed);

/// Collects bytes until a message is whole. After each [`push`](Self::push), call [`next`](Self::next) until it has no more.
#[derive(Debug, Default)]
pub struct StreamDecoder {
    buffer: Vec<u8>,
    /// Bytes at the buffer's front that are used up.
    used: usize,
    /// Bytes behind `used` that hold no end of a head, so that slow senders cost no second look.
    searched: usize,
    /// Bytes behind `used` that the next message takes, once its head is read.
    needed: usize,
    lost: bool,
}

impl StreamDecoder {
    /// An empty stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what was read. The caller bounds it by the size of one read; [`next`](Self::next) bounds the rest.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.lost {
            self.buffer.drain(..self.used);
            self.used = 0;
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// Bytes that wait for the rest of their message.
    pub fn pending(&self) -> usize {
        self.buffer.len() - self.used
    }

    /// The next message or ping that is whole. After an error nothing more comes.
    #[expect(clippy::should_implement_trait, reason = "`None` isn't the end: more comes after the next push")]
    pub fn next(&mut self) -> Option<Result<StreamItem, FramingLost>> {
        let item = self.cut()?;
        if item.is_err() {
            *self = Self {
                lost: true,
                ..Self::default()
            };
        }
        Some(item)
    }

    fn cut(&mut self) -> Option<Result<StreamItem, FramingLost>> {
        if self.pending() < self.needed {
            return None;
        }
        let bytes = loop {
            match &self.buffer[self.used..] {
                [b'\r', b'\n', b'\r', b'\n', ..] => {
                    self.take(4);
                    return Some(Ok(StreamItem::KeepAlive));
                }
                // Might become a ping.
                [] | [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return None,
                [b'\r', b'\n', ..] => self.take(2),
                [b'\n', ..] => self.take(1),
                bytes => break bytes,
            }
        };
        let Some((head_end, body)) = find_head_end(bytes, self.searched) else {
            if bytes.len() > MAX_MESSAGE {
                return Some(Err(FramingLost(malformed(bytes, Why::TooLarge))));
            }
            // The empty line may be cut in the middle: `\n`, `\r`.
            self.searched = bytes.len().saturating_sub(2);
            return None;
        };
        let head = &bytes[..head_end];
        let lost = |why| Some(Err(FramingLost(malformed(head, why))));
        let parsed = parse_head(head);
        let length = match &parsed {
            Ok((_, length)) => *length,
            Err(bad) => match framed_length(head) {
                Some(length) => Some(length),
                None => return Some(Err(FramingLost(bad.clone()))),
            },
        };
        let Some(length) = length else { return lost(Why::NoLength) };
        let end = usize::try_from(length)
            .ok()
            .and_then(|l| body.checked_add(l))
            .filter(|end| *end <= MAX_MESSAGE);
        let Some(end) = end else { return lost(Why::TooLarge) };
        let Some(body) = bytes.get(body..end) else {
            self.needed = end;
            return None;
        };
        let item = match parsed {
            Ok((mut message, _)) => {
                set_body(&mut message, body);
                StreamItem::Message(message)
            }
            Err(bad) => StreamItem::Malformed(bad),
        };
        self.take(end);
        Some(Ok(item))
    }

    fn take(&mut self, count: usize) {
        self.used += count;
        self.searched = 0;
        self.needed = 0;
    }
}

/// The body's length by a head that is otherwise unusable.
fn framed_length(head: &[u8]) -> Option<u64> {
    lenient_headers(head).content_length().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::msg::parse_datagram;

    fn message(body: &str) -> Vec<u8> {
        let length = body.len();
        format!(
            "OPTIONS sip:b@c SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@c>\r\nCall-ID: 1\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: {length}\r\n\r\n{body}"
        )
        .into_bytes()
    }

    fn drain(decoder: &mut StreamDecoder) -> Vec<Result<StreamItem, FramingLost>> {
        std::iter::from_fn(|| decoder.next()).collect()
    }

    #[test]
    fn messages_come_out_whole_however_they_are_cut() {
        let mut bytes = b"\r\n".to_vec();
        for body in ["one", "", "three\r\n\r\n"] {
            bytes.extend(message(body));
            bytes.extend(b"\r\n\r\n");
        }
        let mut expected = Vec::new();
        for body in ["one", "", "three\r\n\r\n"] {
            expected.push(Ok(StreamItem::Message(parse_datagram(&message(body)).unwrap())));
            expected.push(Ok(StreamItem::KeepAlive));
        }
        for size in [1, 2, 3, 7, 100, bytes.len()] {
            let mut decoder = StreamDecoder::new();
            let mut found = Vec::new();
            for piece in bytes.chunks(size) {
                decoder.push(piece);
                found.extend(drain(&mut decoder));
            }
            assert_eq!(found, expected, "in pieces of {size}");
            assert_eq!(decoder.pending(), 0);
        }
    }

    #[test]
    fn a_bad_message_whose_end_is_known_costs_only_itself() {
        let mut decoder = StreamDecoder::new();
        let bad = String::from_utf8(message("body")).unwrap().replace("CSeq: 1 OPTIONS\r\n", "");
        decoder.push(bad.as_bytes());
        decoder.push(&message(""));
        let found = drain(&mut decoder);
        assert!(
            matches!(&found[..], [Ok(StreamItem::Malformed(m)), Ok(StreamItem::Message(_))] if m.reply.is_some()),
            "{found:?}"
        );
    }

    #[test]
    fn without_a_usable_length_the_stream_is_lost() {
        for (length, why) in [
            ("", Why::NoLength),
            ("Content-Length: 18446744073709551615\r\n", Why::TooLarge),
            ("Content-Length: 65536\r\n", Why::TooLarge),
        ] {
            let mut decoder = StreamDecoder::new();
            let text = String::from_utf8(message("")).unwrap().replace("Content-Length: 0\r\n", length);
            decoder.push(text.as_bytes());
            let found = drain(&mut decoder);
            assert!(
                matches!(&found[..], [Err(FramingLost(m))] if m.why == why && m.reply.is_some()),
                "{found:?}"
            );
            decoder.push(&message(""));
            assert_eq!((decoder.next(), decoder.pending()), (None, 0));
        }
        let mut decoder = StreamDecoder::new();
        decoder.push(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        assert!(matches!(decoder.next(), Some(Err(_))));
    }

    #[test]
    fn a_head_without_end_is_bounded() {
        let mut decoder = StreamDecoder::new();
        let mut pushed = 0;
        let lost = loop {
            decoder.push(&[b'a'; 4096]);
            pushed += 4096;
            if let Some(item) = decoder.next() {
                break item;
            }
            assert!(pushed <= MAX_MESSAGE, "held {pushed} bytes");
        };
        assert_eq!(lost.unwrap_err().0.why, Why::TooLarge);
    }
}
