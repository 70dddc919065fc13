//! What two ends agree about the life of a session (RFC 4028). The clock itself runs in the call.

use std::time::Duration;

use crate::sip::msg::{Headers, Refresher, SessionExpires};

/// RFC 4028 section 5: nothing is shorter, whoever says so. It keeps a peer from having us send without a pause.
pub(crate) const ABSOLUTE_MIN: u32 = 90;

/// What a request says about session timers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked {
    /// `Session-Expires`.
    pub(crate) expires: Option<SessionExpires>,
    /// `Min-SE`, in seconds.
    pub(crate) min_se: Option<u32>,
    /// `Supported: timer`.
    pub(crate) supported: bool,
}

impl Asked {
    /// Reads them; what can't be read counts as absent.
    pub(crate) fn of(headers: &Headers) -> Self {
        Self {
            expires: headers.session_expires().ok().flatten(),
            min_se: headers.min_se().ok().flatten(),
            supported: headers.offers_option("timer"),
        }
    }
}

/// What holds from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agreed {
    /// In seconds.
    pub(crate) interval: u32,
    /// In terms of the request that negotiated it.
    pub(crate) refresher: Refresher,
    /// Whether the peer knows of it: the response then says `Require: timer`.
    pub(crate) require: bool,
}

/// The interval is shorter than we take: 422 with our Min-SE (RFC 4028 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooSmall;

/// Answers a request as UAS (RFC 4028 section 9, table 2).
pub(crate) fn answer(asked: Asked, ours: u32, min_se: u32) -> Result<Agreed, TooSmall> {
    let floor = min_se.max(asked.min_se.unwrap_or(0));
    let interval = match asked.expires {
        // A peer without the extension got this header from a proxy on the way, and couldn't act on a 422.
        Some(theirs) if theirs.seconds < min_se && asked.supported => return Err(TooSmall),
        // We may lower the value down to the floor, never raise it.
        Some(theirs) => theirs.seconds.min(ours.max(floor)).max(ABSOLUTE_MIN),
        None => ours.max(floor),
    };
    let named = asked.expires.and_then(|theirs| theirs.refresher);
    let refresher = if asked.supported {
        named.unwrap_or(Refresher::Uac)
    } else {
        Refresher::Uas
    };
    Ok(Agreed {
        interval,
        refresher,
        require: asked.supported,
    })
}

impl Agreed {
    /// Our response's `Session-Expires`.
    pub(crate) fn header(self) -> SessionExpires {
        SessionExpires {
            seconds: self.interval,
            refresher: Some(self.refresher),
        }
    }
}

/// The clock of one call's session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// In seconds.
    pub(crate) interval: u32,
    /// Whether it is us who refresh.
    pub(crate) we_refresh: bool,
}

impl SessionTimer {
    /// When we send a refresh, counted from the last one (RFC 4028 section 10: half of the interval).
    pub(crate) fn refresh_after(self) -> Option<Duration> {
        self.we_refresh.then(|| Duration::from_secs(u64::from(self.interval) / 2))
    }

    /// When we give the session up (RFC 4028 section 10: a little before the interval is over, so that the BYE still finds its way).
    pub(crate) fn expire_after(self) -> Duration {
        let interval = u64::from(self.interval);
        Duration::from_secs(interval - 32.min(interval / 3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: u32 = 1800;
    const MIN: u32 = 90;

    fn asked(expires: Option<(u32, Option<Refresher>)>, supported: bool) -> Asked {
        let expires = expires.map(|(seconds, refresher)| SessionExpires { seconds, refresher });
        Asked {
            expires,
            min_se: None,
            supported,
        }
    }

    #[test]
    fn r45_the_table_of_rfc_4028_section_9() {
        use Refresher::{Uac, Uas};
        let table = [
            // what they ask, whether they know timers, -> interval, refresher
            (None, false, OURS, Uas),
            (None, true, OURS, Uac),
            (Some((600, None)), false, 600, Uas),
            (Some((600, None)), true, 600, Uac),
            (Some((600, Some(Uas))), true, 600, Uas),
            (Some((600, Some(Uac))), true, 600, Uac),
            (Some((7200, Some(Uac))), true, OURS, Uac),
        ];
        for (expires, supported, interval, refresher) in table {
            let agreed = answer(asked(expires, supported), OURS, MIN);
            assert_eq!(
                agreed,
                Ok(Agreed {
                    interval,
                    refresher,
                    require: supported
                }),
                "{expires:?} {supported}"
            );
        }
    }

    #[test]
    fn r45_too_small_an_interval_is_refused_only_to_who_understands() {
        assert_eq!(answer(asked(Some((60, None)), true), OURS, MIN), Err(TooSmall));
        assert_eq!(answer(asked(Some((1, None)), false), OURS, MIN).map(|a| a.interval), Ok(90));
    }

    #[test]
    fn r45_their_min_se_is_a_floor_of_ours() {
        let wish = Asked {
            min_se: Some(3600),
            ..asked(Some((4000, None)), true)
        };
        assert_eq!(answer(wish, OURS, MIN).map(|a| a.interval), Ok(3600));
    }

    #[test]
    fn clocks() {
        let timer = SessionTimer {
            interval: 90,
            we_refresh: true,
        };
        assert_eq!(timer.refresh_after(), Some(Duration::from_secs(45)));
        assert_eq!(timer.expire_after(), Duration::from_secs(60));
        assert_eq!(
            SessionTimer {
                interval: 1800,
                we_refresh: false
            }
            .refresh_after(),
            None
        );
        assert_eq!(
            SessionTimer {
                interval: 1800,
                we_refresh: false
            }
            .expire_after(),
            Duration::from_secs(1768)
        );
    }
}
