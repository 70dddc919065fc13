//! What a referral's NOTIFY carries: the first line of a response, as `message/sipfrag` (RFC 3420, RFC 3515 section 2.4.5).

use crate::sip::{endpoint::Body, msg::reason_phrase};

/// The media type; RFC 3515 section 2.4.5 names the version too.
const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// How far what was asked for has come, as a SIP response would say it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Progress {
    /// 100 to 699.
    pub(super) status: u16,
    /// The reason phrase.
    pub(super) reason: String,
}

impl Progress {
    /// `reason`: empty for the usual phrase.
    pub(super) fn new(status: u16, reason: &str) -> Self {
        let status = status.clamp(100, 699);
        let reason = if reason.is_empty() { reason_phrase(status) } else { reason };
        // One line: what follows a line's end would be read as a header.
        let reason = reason.chars().filter(|c| !c.is_control()).collect();
        Self { status, reason }
    }

    pub(super) fn body(&self) -> Body {
        Body {
            content_type: SIPFRAG.to_owned(),
            bytes: format!("SIP/2.0 {} {}\r\n", self.status, self.reason).into_bytes(),
        }
    }

    /// The status that a body begins with; whatever follows is nothing to us.
    pub(super) fn status_of(body: &[u8]) -> Option<u16> {
        let digits = body.strip_prefix(b"SIP/2.0 ")?.get(..3)?;
        let status = std::str::from_utf8(digits).ok()?.parse().ok()?;
        (100..700).contains(&status).then_some(status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3515_2_4_5_the_body_is_a_status_line() {
        let body = Progress::new(180, "").body();
        assert_eq!(body.bytes, b"SIP/2.0 180 Ringing\r\n");
        assert_eq!(Progress::status_of(&body.bytes), Some(180));
        assert_eq!(Progress::new(603, "No\r\nVia: x").body().bytes, b"SIP/2.0 603 NoVia: x\r\n");
    }

    #[test]
    fn what_is_no_status_line_says_nothing() {
        for body in [
            "",
            "SIP/2.0",
            "SIP/2.0 ",
            "SIP/2.0 99",
            "SIP/2.0 +99 x",
            "SIP/2.0 700 x",
            "HTTP/1.1 200 OK",
            "SIP/2.0 2é",
        ] {
            assert_eq!(Progress::status_of(body.as_bytes()), None, "{body}");
        }
        assert_eq!(Progress::status_of(b"SIP/2.0 200"), Some(200));
        assert_eq!(Progress::status_of(b"SIP/2.0 486 Busy Here\r\nTo: <sip:a@b>\r\n"), Some(486));
    }
}
