//! The whole media plane over loopback sockets.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{Receiver, channel, error::TryRecvError};

use super::{Interface, Plane, PlaneConfig, ThreadStats};
use crate::{
    model::{
        Correlation, Direction, LegId, LegMedia, LegStats, MediaOrder, MediaReport, RoomName, Seat,
        media::{Codec, Levels, MediaPlane, OpenLeg, Opening, OpusClass, PortKind},
        srtp::Security,
    },
    rtp::{
        Header, Packet,
        packet::{HEADER_LEN, is_rtcp},
        rtcp::{Part, parts},
    },
};

mod aside;
mod browser;
mod hot;
mod quality;
mod recording;
mod secure;
mod threads;
mod voice;
mod wire;

/// Everything here happens within a few ticks; only a machine at a standstill takes so long.
const DEADLINE: Duration = Duration::from_secs(10);

/// A plane and what it has reported.
struct World {
    plane: Plane,
    reports: Receiver<MediaReport>,
    seen: Vec<MediaReport>,
    legs: u64,
}

impl World {
    fn new(threads: usize) -> Self {
        Self::with(threads, |_| {})
    }

    fn with(threads: usize, configure: impl FnOnce(&mut PlaneConfig)) -> Self {
        let (sender, reports) = channel(256);
        let interface = |listen| Interface { listen, advertise: None };
        let interfaces = vec![interface(Ipv4Addr::LOCALHOST.into()), interface(Ipv6Addr::LOCALHOST.into())];
        let mut config = PlaneConfig {
            threads,
            ..PlaneConfig::new(interfaces, std::process::id().into())
        };
        configure(&mut config);
        Self {
            plane: Plane::start(config, sender).expect("threads start"),
            reports,
            seen: Vec::new(),
            legs: 0,
        }
    }

    /// Opens a leg whose peer is on loopback.
    fn open(&mut self) -> (LegId, OpenLeg) {
        self.open_towards(Ipv4Addr::LOCALHOST.into())
    }

    fn open_towards(&mut self, peer: IpAddr) -> (LegId, OpenLeg) {
        self.legs += 1;
        let leg = LegId(self.legs);
        let opening = Opening {
            leg,
            correlation: Correlation(self.legs),
            peer,
            port: PortKind::Own,
            room: Some(name("any")),
        };
        (leg, self.plane.open(&opening).expect("a pair of ports"))
    }

    fn place(&mut self, leg: LegId, room: &str, rate: u32) {
        self.plane.order(MediaOrder::Place(leg, Some(Seat { room: name(room), rate })));
    }

    fn has_seen(&mut self, wanted: impl Fn(&MediaReport) -> bool) -> bool {
        loop {
            match self.reports.try_recv() {
                Ok(report) => self.seen.push(report),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return self.seen.iter().any(wanted),
            }
        }
    }

    fn expect(&mut self, what: &str, wanted: impl Fn(&MediaReport) -> bool) {
        wait_for(what, || self.has_seen(&wanted));
    }

    /// Closes a leg, and gives its numbers.
    fn close(&mut self, leg: LegId) -> LegStats {
        self.plane.order(MediaOrder::Close(leg));
        self.closed(leg)
    }

    fn closed(&mut self, leg: LegId) -> LegStats {
        self.expect("the end of a leg", |r| matches!(r, MediaReport::Closed(l, _) if *l == leg));
        let stats = self.seen.iter().find_map(|r| {
            if let MediaReport::Closed(l, stats) = r {
                (*l == leg).then_some(stats)
            } else {
                None
            }
        });
        *stats.cloned().expect("just seen")
    }
}

fn name(room: &str) -> RoomName {
    RoomName::new(room).expect("a room name")
}

fn wait_for(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !met() {
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

/// What a phone at this address would negotiate.
fn media(rtp: SocketAddr, codec: Codec) -> LegMedia {
    let payload_type = match codec {
        Codec::Pcmu => 0,
        Codec::Pcma => 8,
        Codec::G722 => 9,
        Codec::Opus => 111,
    };
    LegMedia {
        codec,
        payload_type_out: payload_type,
        payload_type_in: payload_type,
        ptime_ms: 20,
        dtmf_in: Some(101),
        comfort_noise: false,
        dtx: false,
        fec: false,
        opus: OpusClass::Full,
        levels: Levels::default(),
        rtp,
        rtcp: SocketAddr::new(rtp.ip(), rtp.port() + 1),
        rtcp_mux: false,
        security: Security::Plain,
        signalled_from: rtp.ip(),
        direction: Direction::SendRecv,
        on_hold: false,
        ice: None,
    }
}
