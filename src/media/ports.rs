//! Where media sockets are bound (rule R46): interfaces, random even ports, and how many legs that allows.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    ops::RangeInclusive,
    sync::Arc,
};

use rand::{Rng, rngs::StdRng};
use socket2::{Domain, Protocol, Socket, Type};

use super::sys;
use crate::model::media::Unopened;

/// Expedited forwarding (RFC 3246), as the traffic class octet.
const DSCP_EF: u32 = 46 << 2;

/// Pairs tried before a leg is refused; ours aren't tried twice, so only other programs' sockets cost a try.
const TRIES: usize = 64;

/// Bytes that may wait in a shared port.
const SHARED_BUFFER: usize = 4 << 20;

/// Descriptors that signalling, logs, the database and the media threads themselves need.
const RESERVED_FILES: u64 = 128;

/// One local address for media.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interface {
    /// Where sockets are bound; may be unspecified.
    pub listen: IpAddr,
    /// What SDP tells; without it the address that is bound or, for an unspecified one, that the kernel would send from.
    pub advertise: Option<IpAddr>,
}

/// Two sockets of one leg.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) rtp: Arc<UdpSocket>,
    pub(super) rtcp: UdpSocket,
    pub(super) slot: Slot,
    /// What SDP tells, with the port of RTP.
    pub(super) advertised: SocketAddr,
}

/// A port that many legs share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) socket: Arc<UdpSocket>,
    /// Nobody reads it yet.
    pub(super) is_new: bool,
    /// Which interface's it is.
    pub(super) interface: usize,
    /// What SDP tells.
    pub(super) advertised: SocketAddr,
}

/// Which pair of ports a leg holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Slot {
    interface: usize,
    pair: usize,
}

/// Hands out pairs of ports.
#[derive(Debug)]
pub(super) struct Ports {
    interfaces: Vec<Interface>,
    first: u16,
    /// Per interface, per pair: whether one of our legs holds it.
    taken: Vec<Vec<bool>>,
    /// By thread and interface: ports that many legs share. Opened with the first, and kept.
    shared: BTreeMap<(usize, usize), Arc<UdpSocket>>,
}

impl Ports {
    pub(super) fn new(interfaces: Vec<Interface>, range: &RangeInclusive<u16>) -> Self {
        let taken = interfaces.iter().map(|_| vec![false; pairs(range)]).collect();
        Self {
            interfaces,
            first: range.start().next_multiple_of(2),
            taken,
            shared: BTreeMap::new(),
        }
    }

    /// Binds a free pair on the interface that leads to `peer`.
    pub(super) fn open(&mut self, peer: IpAddr, rng: &mut StdRng) -> Result<Pair, Unopened> {
        let peer = peer.to_canonical();
        let interface = self.interface(peer).ok_or(Unopened::NoPorts)?;
        self.open_on(interface, self.advertised(interface, peer)?, rng)
    }

    /// The thread's shared port on the interface that leads to `peer`: an even port of the range, like any other.
    pub(super) fn share(&mut self, worker: usize, peer: IpAddr, rng: &mut StdRng) -> Result<Shared, Unopened> {
        let peer = peer.to_canonical();
        let interface = self.interface(peer).ok_or(Unopened::NoPorts)?;
        let advertise = self.advertised(interface, peer)?;
        let (socket, is_new) = match self.shared.get(&(worker, interface)) {
            Some(socket) => (Arc::clone(socket), false),
            None => {
                let socket = self.open_on(interface, advertise, rng)?.rtp;
                // As much as the system allows: many legs' packets wait here while the thread ticks.
                let _ = socket2::SockRef::from(&*socket).set_recv_buffer_size(SHARED_BUFFER);
                self.shared.insert((worker, interface), Arc::clone(&socket));
                (socket, true)
            }
        };
        let port = socket.local_addr().map_err(|_| Unopened::NoPorts)?.port();
        Ok(Shared {
            socket,
            is_new,
            interface,
            advertised: SocketAddr::new(advertise, port),
        })
    }

    /// What SDP tells of an interface.
    fn advertised(&self, interface: usize, peer: IpAddr) -> Result<IpAddr, Unopened> {
        let Interface { listen, advertise } = self.interfaces[interface];
        match advertise {
            Some(address) => Ok(address),
            None if listen.is_unspecified() => source_towards(peer).ok_or(Unopened::NoPorts),
            None => Ok(listen),
        }
    }

    fn open_on(&mut self, interface: usize, advertise: IpAddr, rng: &mut StdRng) -> Result<Pair, Unopened> {
        let listen = self.interfaces[interface].listen;
        let count = self.taken[interface].len();
        if count == 0 {
            return Err(Unopened::NoPorts);
        }
        let start = rng.random_range(0..count);
        let free = (0..count).map(|i| (start + i) % count).filter(|&pair| !self.taken[interface][pair]);
        let bound = free.take(TRIES).find_map(|pair| {
            let port = self.first + 2 * pair as u16;
            let rtp = bind(SocketAddr::new(listen, port)).ok()?;
            let rtcp = bind(SocketAddr::new(listen, port + 1)).ok()?;
            Some((pair, port, rtp, rtcp))
        });
        let (pair, port, rtp, rtcp) = bound.ok_or(Unopened::NoPorts)?;
        self.taken[interface][pair] = true;
        Ok(Pair {
            rtp: Arc::new(rtp),
            rtcp,
            slot: Slot { interface, pair },
            advertised: SocketAddr::new(advertise, port),
        })
    }

    /// Takes back a pair whose sockets are closed.
    pub(super) fn free(&mut self, slot: Slot) {
        self.taken[slot.interface][slot.pair] = false;
    }

    /// The interface of the peer's family; of several, the one from which the kernel would send to it.
    fn interface(&self, peer: IpAddr) -> Option<usize> {
        let mut family = (0..self.interfaces.len()).filter(|&i| self.interfaces[i].listen.is_ipv4() == peer.is_ipv4());
        let first = family.next()?;
        let Some(second) = family.next() else { return Some(first) };
        let source = source_towards(peer);
        [first, second]
            .into_iter()
            .chain(family)
            .find(|&i| Some(self.interfaces[i].listen) == source)
            .or(Some(first))
    }
}

fn pairs(range: &RangeInclusive<u16>) -> usize {
    let first = usize::from(*range.start()).next_multiple_of(2);
    (usize::from(*range.end()) + 1).saturating_sub(first) / 2
}

/// The local address from which the kernel would send to a peer; nothing is sent.
fn source_towards(peer: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = if peer.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((peer, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    if address.is_ipv4() {
        socket.set_tos_v4(DSCP_EF)?;
    } else {
        socket.set_only_v6(true)?;
        socket.set_tclass_v6(DSCP_EF)?;
    }
    sys::stamp(&socket)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// What bounds the number of legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// By pairs of ports, over all interfaces.
    pub by_ports: u64,
    /// By open files, once the soft limit is raised.
    pub by_files: u64,
}

impl Capacity {
    /// Legs that can exist at one time.
    pub fn legs(self) -> u64 {
        self.by_ports.min(self.by_files)
    }
}

/// How many legs the port range on so many interfaces and the limit on open files allow.
pub fn capacity(interfaces: usize, range: &RangeInclusive<u16>) -> io::Result<Capacity> {
    let (_, hard) = sys::open_file_limits()?;
    Ok(Capacity {
        by_ports: (interfaces * pairs(range)) as u64,
        by_files: hard.saturating_sub(RESERVED_FILES) / 2,
    })
}

/// Raises the soft limit on open files as far as allowed; gives it. To be called once, at start.
pub fn raise_open_file_limit() -> io::Result<u64> {
    sys::raise_open_file_limit()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// A loopback address of this process alone, so that test runs side by side don't take each other's ports.
    fn loopback() -> Interface {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        Interface {
            listen: Ipv4Addr::new(127, 77, high, low).into(),
            advertise: None,
        }
    }

    fn rng() -> StdRng {
        StdRng::seed_from_u64(3)
    }

    #[test]
    fn r46_even_ports_of_the_range_with_rtcp_beside() {
        let mut ports = Ports::new(vec![loopback()], &(20_001..=20_040));
        let pair = ports.open(Ipv4Addr::LOCALHOST.into(), &mut rng()).expect("a pair");
        let port = pair.rtp.local_addr().expect("address").port();
        assert!(port.is_multiple_of(2) && (20_002..=20_038).contains(&port), "{port}");
        assert_eq!(pair.rtcp.local_addr().expect("address").port(), port + 1);
        assert_eq!(pair.advertised, SocketAddr::new(loopback().listen, port));
        assert_eq!(socket2::SockRef::from(&*pair.rtp).tos_v4().expect("tos"), DSCP_EF);
    }

    #[test]
    fn r46_a_taken_range_is_no_ports_until_one_is_freed() {
        let (mut ports, mut rng, peer) = (Ports::new(vec![loopback()], &(20_100..=20_103)), rng(), Ipv4Addr::LOCALHOST.into());
        let pairs = [ports.open(peer, &mut rng).expect("one"), ports.open(peer, &mut rng).expect("two")];
        assert!(ports.open(peer, &mut rng).is_err());
        let slot = pairs[0].slot;
        drop(pairs);
        ports.free(slot);
        assert_eq!(ports.open(peer, &mut rng).expect("again").slot, slot);
    }

    #[test]
    fn r46_what_others_hold_is_stepped_over() {
        let held = UdpSocket::bind((loopback().listen, 20_201)).expect("bound");
        let mut ports = Ports::new(vec![loopback()], &(20_200..=20_203));
        let pair = ports.open(Ipv4Addr::LOCALHOST.into(), &mut rng()).expect("the other pair");
        assert_eq!(pair.rtp.local_addr().expect("address").port(), 20_202);
        drop(held);
    }

    #[test]
    fn r46_family_and_advertised_address_follow_the_peer() {
        let any = Interface {
            listen: Ipv4Addr::UNSPECIFIED.into(),
            advertise: None,
        };
        let outside = Interface {
            listen: Ipv6Addr::LOCALHOST.into(),
            advertise: Some("2001:db8::7".parse().expect("an address")),
        };
        let mut ports = Ports::new(vec![any, outside], &(20_300..=20_339));
        let mut open = |peer: &str| {
            ports
                .open(peer.parse().expect("an address"), &mut rng())
                .map(|p| p.advertised.ip().to_string())
        };
        assert_eq!(open("127.0.0.1"), Ok("127.0.0.1".into()), "the address the kernel would send from");
        assert_eq!(open("::ffff:127.0.0.1"), Ok("127.0.0.1".into()));
        assert_eq!(open("::1"), Ok("2001:db8::7".into()));
        let mut only_v4 = Ports::new(vec![any], &(20_300..=20_339));
        assert!(only_v4.open(Ipv6Addr::LOCALHOST.into(), &mut rng()).is_err());
    }

    #[test]
    fn r46_of_several_interfaces_the_one_that_leads_to_the_peer() {
        let other = Interface {
            listen: "127.0.0.9".parse().expect("an address"),
            advertise: None,
        };
        let home = Interface {
            listen: Ipv4Addr::LOCALHOST.into(),
            advertise: None,
        };
        let ports = Ports::new(vec![other, home], &(20_400..=20_401));
        assert_eq!(ports.interface(Ipv4Addr::LOCALHOST.into()), Some(1));
    }

    #[test]
    fn r46_capacity_counts_pairs_and_files() {
        let capacity = capacity(2, &(16_384..=32_767)).expect("limits");
        assert_eq!(capacity.by_ports, 2 * 8192);
        assert!(capacity.legs() <= capacity.by_files);
        assert_eq!((pairs(&(5..=6)), pairs(&(6..=7)), pairs(&(65_534..=65_535))), (0, 1, 1));
    }
}
