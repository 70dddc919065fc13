//! Symmetric RTP (rule R61): whose packets are a leg's, and where its own are sent.
//!
//! Strangers are shut out before the first packet and after it (RTP bleed): nobody is heard on arriving first. Doesn't authenticate.

use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use super::packet::Header;

/// Packets in sequence that prove a source.
const PROOF: u8 = 3;

/// Silence after which the same stream may go on from another port.
const MOVE_AFTER: Duration = Duration::from_secs(1);

/// Sequence numbers that a stream may have lost while its source moved (RFC 3550 appendix A.1, MAX_DROPOUT).
const MAX_DROPOUT: u16 = 3000;

/// Sources that are tried at one time; more strangers are turned away until one of these has proven itself or grown old.
const MAX_PROBES: usize = 4;

/// Without a packet for so long a source under trial makes room for another.
const PROBE_LIFE: Duration = Duration::from_secs(2);

/// Who may become a leg's source, from its last offer and answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidates {
    /// Where the SDP says to send RTP.
    pub sdp: SocketAddr,
    /// Where the signalling came from.
    pub signalled_from: IpAddr,
}

impl Candidates {
    /// Whether packets of this address may prove themselves. Strangers may only if the SDP names a private address that the
    /// signalling didn't come from: then somebody between has translated it.
    fn admit(&self, source: IpAddr) -> bool {
        let sdp = self.sdp.ip().to_canonical();
        self.name(source) || (is_private(sdp) && sdp != self.signalled_from.to_canonical())
    }

    /// Whether the SDP or the signalling named this host.
    fn name(&self, host: IpAddr) -> bool {
        host == self.sdp.ip().to_canonical() || host == self.signalled_from.to_canonical()
    }
}

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the leg's.
    Accept,
    /// It may be: its source is on trial.
    Hold,
    /// It isn't.
    Refuse,
}

/// The source of one leg.
#[derive(Debug, Clone)]
pub struct Latch {
    candidates: Candidates,
    latched: Option<Latched>,
    /// A new offer and answer lets the source move without silence.
    may_move: bool,
    probes: [Option<Probe>; MAX_PROBES],
}

#[derive(Debug, Clone, Copy)]
struct Latched {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    heard: Instant,
}

#[derive(Debug, Clone, Copy)]
struct Probe {
    source: SocketAddr,
    ssrc: u32,
    next: u16,
    seen: u8,
    heard: Instant,
}

impl Latch {
    /// Starts unlatched.
    pub fn new(candidates: Candidates) -> Self {
        Self {
            candidates,
            latched: None,
            may_move: false,
            probes: [None; MAX_PROBES],
        }
    }

    /// Takes the result of a new offer and answer. A changed SDP address is obeyed; an unchanged one keeps the source until
    /// another proves itself.
    pub fn renew(&mut self, candidates: Candidates) {
        if candidates.sdp != self.candidates.sdp {
            self.latched = None;
        }
        self.candidates = candidates;
        self.may_move = true;
        self.probes = [None; MAX_PROBES];
    }

    /// Where to send RTP, if anywhere: the latched source, else the SDP's address.
    pub fn target(&self) -> Option<SocketAddr> {
        let target = self.latched.map_or(self.candidates.sdp, |l| l.source);
        (!target.ip().is_unspecified() && target.port() != 0).then_some(target)
    }

    /// Whether a source has proven itself.
    pub fn is_latched(&self) -> bool {
        self.latched.is_some()
    }

    /// Whether a packet might be the leg's, before it is known to be authentic: strangers are not worth looking at their tags.
    pub fn might_be(&self, now: Instant, source: SocketAddr, header: &Header) -> bool {
        self.latched.as_ref().is_some_and(|l| l.source == source) || self.may_try(now, source, header)
    }

    /// Judges a packet with a negotiated payload type; of SRTP only what is authentic.
    pub fn handle(&mut self, now: Instant, source: SocketAddr, header: &Header) -> Verdict {
        if let Some(latched) = &mut self.latched
            && latched.source == source
        {
            if latched.ssrc != header.ssrc || header.sequence.wrapping_sub(latched.sequence) < 1 << 15 {
                latched.sequence = header.sequence;
            }
            latched.ssrc = header.ssrc;
            latched.heard = now;
            return Verdict::Accept;
        }
        if !self.may_try(now, source, header) {
            return Verdict::Refuse;
        }
        if self.proves(now, source, header) {
            self.latched = Some(Latched {
                source,
                ssrc: header.ssrc,
                sequence: header.sequence,
                heard: now,
            });
            self.may_move = false;
            self.probes = [None; MAX_PROBES];
            return Verdict::Accept;
        }
        // The very address that the SDP named needs no proof to be heard, only to be latched.
        if self.latched.is_none() && source == self.candidates.sdp {
            Verdict::Accept
        } else {
            Verdict::Hold
        }
    }

    fn may_try(&self, now: Instant, source: SocketAddr, header: &Header) -> bool {
        let Some(latched) = &self.latched else {
            return self.candidates.admit(source.ip());
        };
        if self.may_move {
            return self.candidates.admit(source.ip());
        }
        let goes_on = (1..=MAX_DROPOUT).contains(&header.sequence.wrapping_sub(latched.sequence));
        source.ip() == latched.source.ip() && header.ssrc == latched.ssrc && goes_on && now.duration_since(latched.heard) >= MOVE_AFTER
    }

    fn proves(&mut self, now: Instant, source: SocketAddr, header: &Header) -> bool {
        let next = header.sequence.wrapping_add(1);
        if let Some(probe) = self.probes.iter_mut().flatten().find(|p| p.source == source) {
            let in_sequence = probe.ssrc == header.ssrc && probe.next == header.sequence;
            let seen = if in_sequence { probe.seen + 1 } else { 1 };
            *probe = Probe {
                source,
                ssrc: header.ssrc,
                next,
                seen,
                heard: now,
            };
            return seen >= PROOF;
        }
        let named = self.candidates.name(source.ip());
        let mut oldest = self.probes.iter_mut().min_by_key(|p| p.map(|p| p.heard));
        if let Some(slot) = oldest.take_if(|p| named || p.is_none_or(|p| now.duration_since(p.heard) >= PROBE_LIFE)) {
            *slot = Some(Probe {
                source,
                ssrc: header.ssrc,
                next,
                seen: 1,
                heard: now,
            });
        }
        false
    }

    /// Whether RTCP from this address is the leg's: it comes from the latched host, or before that from one that may latch by name.
    pub fn admits_rtcp(&self, source: SocketAddr) -> bool {
        match &self.latched {
            Some(latched) => source.ip() == latched.source.ip(),
            None => self.candidates.name(source.ip()),
        }
    }
}

/// Whether an address means nothing outside its own network (RFC 1918, RFC 6598, RFC 3927, RFC 4193).
fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_link_local() || (ip.octets()[0] == 100 && ip.octets()[1] & 0xc0 == 64),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDP: &str = "203.0.113.7:4000";

    fn addr(s: &str) -> SocketAddr {
        s.parse().expect("an address")
    }

    struct Setup {
        latch: Latch,
        start: Instant,
    }

    impl Setup {
        fn new(sdp: &str, signalled_from: &str) -> Self {
            Self {
                latch: Latch::new(candidates(sdp, signalled_from)),
                start: Instant::now(),
            }
        }

        fn packet(&mut self, ms: u64, source: &str, ssrc: u32, sequence: u16) -> Verdict {
            let header = Header {
                payload_type: 0,
                marker: false,
                sequence,
                timestamp: 0,
                ssrc,
            };
            self.latch.handle(self.start + Duration::from_millis(ms), addr(source), &header)
        }

        fn three(&mut self, ms: u64, source: &str, ssrc: u32, first: u16) -> [Verdict; 3] {
            [0, 1, 2].map(|i| self.packet(ms + u64::from(i) * 20, source, ssrc, first.wrapping_add(i)))
        }

        fn target(&self) -> String {
            self.latch.target().map(|t| t.to_string()).unwrap_or_default()
        }
    }

    fn candidates(sdp: &str, signalled_from: &str) -> Candidates {
        Candidates {
            sdp: addr(sdp),
            signalled_from: signalled_from.parse().expect("an address"),
        }
    }

    use Verdict::{Accept, Hold, Refuse};

    #[test]
    fn r61_sends_to_the_sdp_address_until_latched() {
        let mut s = Setup::new(SDP, "203.0.113.7");
        assert_eq!(s.target(), SDP);
        assert_eq!(s.three(0, "203.0.113.7:4002", 1, 65534), [Hold, Hold, Accept]);
        assert_eq!(s.target(), "203.0.113.7:4002");
    }

    #[test]
    fn r61_the_sdp_address_itself_is_heard_at_once() {
        let mut s = Setup::new(SDP, "203.0.113.7");
        assert_eq!(s.packet(0, SDP, 1, 10), Accept);
        assert!(!s.latch.is_latched());
        assert_eq!(s.packet(20, SDP, 1, 11), Accept);
        assert_eq!(s.packet(40, SDP, 1, 12), Accept);
        assert!(s.latch.is_latched());
    }

    #[test]
    fn r61_packets_out_of_sequence_do_not_latch() {
        let mut s = Setup::new(SDP, "203.0.113.7");
        for i in 0..50 {
            assert_eq!(s.packet(i * 20, "203.0.113.7:5000", 1, (i * 2) as u16), Hold);
        }
        assert_eq!(s.packet(1000, "203.0.113.7:5000", 2, 99), Hold);
        assert_eq!(s.target(), SDP);
    }

    #[test]
    fn r61_the_signalling_source_may_latch() {
        let mut s = Setup::new(SDP, "198.51.100.2");
        assert_eq!(s.three(0, "198.51.100.2:7000", 1, 1), [Hold, Hold, Accept]);
    }

    #[test]
    fn r61_strangers_never_latch_on_a_public_sdp_address_before_the_first_packet() {
        let mut s = Setup::new(SDP, "203.0.113.7");
        assert_eq!(s.three(0, "192.0.2.66:9", 1, 1), [Refuse; 3]);
        assert_eq!(s.target(), SDP);
        assert_eq!(s.packet(100, SDP, 1, 10), Accept);
    }

    #[test]
    fn r61_others_may_latch_only_behind_a_private_sdp_address() {
        let mut s = Setup::new("192.168.1.20:4000", "198.51.100.2");
        assert_eq!(s.three(0, "198.51.100.9:7000", 1, 1), [Hold, Hold, Accept]);
        // Nobody translates a phone in our own network: the signalling came from the same private address.
        let mut s = Setup::new("192.168.1.20:4000", "192.168.1.20");
        assert_eq!(s.three(0, "192.168.1.66:7000", 1, 1), [Refuse; 3]);
    }

    #[test]
    fn r61_bleed_after_the_first_packet_is_refused() {
        let mut s = Setup::new("192.168.1.20:4000", "198.51.100.2");
        s.three(0, "198.51.100.2:7000", 1, 1);
        assert_eq!(s.three(100, "192.0.2.66:9", 1, 4), [Refuse; 3]);
        assert_eq!(s.three(100, "198.51.100.2:7002", 1, 4), [Refuse; 3]);
        assert_eq!(s.target(), "198.51.100.2:7000");
    }

    #[test]
    fn r61_moves_after_a_second_of_silence_in_sequence_from_the_same_ip() {
        let mut s = Setup::new(SDP, "203.0.113.7");
        s.three(0, SDP, 7, 100);
        assert_eq!(s.three(900, "203.0.113.7:4100", 7, 150), [Refuse; 3]);
        assert_eq!(s.three(1100, "203.0.113.8:4100", 7, 150), [Refuse; 3], "another address");
        assert_eq!(s.three(1100, "203.0.113.7:4100", 8, 150), [Refuse; 3], "another stream");
        assert_eq!(s.three(1100, "203.0.113.7:4100", 7, 90), [Refuse; 3], "an old sequence number");
        assert_eq!(s.three(1100, "203.0.113.7:4100", 7, 150), [Hold, Hold, Accept]);
        assert_eq!(s.target(), "203.0.113.7:4100");
    }

    #[test]
    fn r61_moves_after_a_new_offer_and_answer() {
        let mut s = Setup::new(SDP, "203.0.113.7");
        s.three(0, "203.0.113.7:4100", 7, 100);
        s.latch.renew(candidates(SDP, "203.0.113.7"));
        assert_eq!(s.target(), "203.0.113.7:4100", "the source stays until another proves itself");
        assert_eq!(s.packet(60, "203.0.113.7:4100", 7, 103), Accept);
        assert_eq!(s.three(80, "203.0.113.7:4200", 9, 1), [Hold, Hold, Accept]);
        assert_eq!(s.target(), "203.0.113.7:4200");
        s.latch.renew(candidates("203.0.113.50:6000", "203.0.113.7"));
        assert_eq!(s.target(), "203.0.113.50:6000", "a new SDP address is obeyed");
    }

    #[test]
    fn r61_a_crowd_of_sources_on_trial_is_bounded_and_grows_old() {
        let mut s = Setup::new("10.0.0.2:4000", "198.51.100.2");
        for i in 0..100 {
            assert_eq!(s.packet(0, &format!("192.0.2.{i}:9"), 1, 1), Hold);
        }
        assert_eq!(s.three(10, "198.51.100.9:7000", 1, 1), [Hold; 3], "no trial is free");
        let mut later = Setup {
            latch: s.latch.clone(),
            start: s.start,
        };
        assert_eq!(later.three(2100, "198.51.100.9:7000", 1, 10), [Hold, Hold, Accept]);
        assert_eq!(
            s.three(60, "198.51.100.2:7000", 1, 10),
            [Hold, Hold, Accept],
            "a named host goes first"
        );
    }

    #[test]
    fn nothing_is_sent_to_no_address() {
        assert_eq!(Setup::new("0.0.0.0:4000", "203.0.113.7").latch.target(), None);
        assert_eq!(Setup::new("203.0.113.7:0", "203.0.113.7").latch.target(), None);
    }

    #[test]
    fn rtcp_belongs_to_the_host_of_the_rtp() {
        let mut s = Setup::new(SDP, "198.51.100.2");
        assert!(s.latch.admits_rtcp(addr("198.51.100.2:5")));
        assert!(s.latch.admits_rtcp(addr("203.0.113.7:4001")));
        assert!(!s.latch.admits_rtcp(addr("192.0.2.66:4001")));
        s.three(0, SDP, 1, 1);
        assert!(!s.latch.admits_rtcp(addr("198.51.100.2:5")));
        assert!(s.latch.admits_rtcp(addr("203.0.113.7:9001")));
    }
}
