//! Datagrams by the batch: `recvmmsg` into fixed buffers, `sendmmsg` out of them. Neither allocates after it was made.
#![allow(unsafe_code)]

use std::{
    mem,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6},
    os::fd::{AsFd, AsRawFd, RawFd},
    time::{Duration, SystemTime},
};

use super::sys;

/// Packets read from one socket at a time; the rest waits, so that one flooded leg can't starve the others.
pub(super) const READ_BUDGET: usize = 16;

/// Bytes of a datagram that are kept: more than an Ethernet frame carries, so what is cut is no audio.
const READ_SIZE: usize = 2048;

/// Bytes that a datagram of ours may have.
pub(super) const WRITE_SIZE: usize = 1500;

/// Longest time that a datagram may have waited: more means that the system's clock was set meanwhile.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Bytes of the control message that tells when a datagram came.
// SAFETY: only computes a size.
const CONTROL_SIZE: usize = unsafe { libc::CMSG_SPACE(size_of::<libc::timespec>() as libc::c_uint) } as usize;

/// Aligned as a control message has to be.
type Control = [u64; CONTROL_SIZE / size_of::<u64>()];

/// Datagrams gathered before they are sent.
const WRITE_SLOTS: usize = 64;

type Address = libc::sockaddr_storage;

fn no_address() -> Address {
    // SAFETY: sockaddr_storage is plain numbers, for which zeros are valid.
    unsafe { mem::zeroed() }
}

/// Buffers for reading. Made on the thread that uses it.
pub(super) struct Inbox {
    buffers: Box<[[u8; READ_SIZE]; READ_BUDGET]>,
    addresses: Box<[Address; READ_BUDGET]>,
    headers: Box<[libc::mmsghdr; READ_BUDGET]>,
    /// Pointed to by `headers`, as `_controls`.
    _slices: Box<[libc::iovec; READ_BUDGET]>,
    _controls: Box<[Control; READ_BUDGET]>,
    /// The system's time, since 1970.
    clock: Duration,
}

impl Inbox {
    pub(super) fn new() -> Self {
        let mut buffers = Box::new([[0; READ_SIZE]; READ_BUDGET]);
        let mut addresses = Box::new([no_address(); READ_BUDGET]);
        let mut slices: Box<[libc::iovec; READ_BUDGET]> = Box::new(std::array::from_fn(|i| libc::iovec {
            iov_base: buffers[i].as_mut_ptr().cast(),
            iov_len: READ_SIZE,
        }));
        let mut controls = Box::new([Control::default(); READ_BUDGET]);
        let headers = Box::new(std::array::from_fn(|i| {
            // SAFETY: mmsghdr is plain numbers and pointers, for which zeros are valid.
            let mut header: libc::mmsghdr = unsafe { mem::zeroed() };
            header.msg_hdr.msg_name = (&raw mut addresses[i]).cast();
            header.msg_hdr.msg_iov = &raw mut slices[i];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = (&raw mut controls[i]).cast();
            header
        }));
        Self {
            buffers,
            addresses,
            headers,
            _slices: slices,
            _controls: controls,
            clock: Duration::ZERO,
        }
    }

    /// Reads the system's clock, for [`Self::waited`].
    pub(super) fn set_clock(&mut self) {
        self.clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    }

    /// Reads what is there, up to `most` datagrams (at most [`READ_BUDGET`]), without waiting; they are then at [`Self::datagram`].
    pub(super) fn receive(&mut self, socket: &impl AsFd, most: usize) -> usize {
        let most = most.min(READ_BUDGET);
        for header in &mut self.headers[..most] {
            header.msg_hdr.msg_namelen = size_of::<Address>() as libc::socklen_t;
            header.msg_hdr.msg_controllen = CONTROL_SIZE as _;
        }
        let (headers, fd) = (self.headers.as_mut_ptr(), socket.as_fd().as_raw_fd());
        // SAFETY: each header points to one buffer, one address and one control message, boxed and owned by `self`, of the sizes told.
        let count = unsafe { libc::recvmmsg(fd, headers, most as libc::c_uint, libc::MSG_DONTWAIT as _, std::ptr::null_mut()) };
        count.max(0) as usize
    }

    /// How long a datagram of the last [`Self::receive`] had waited in its socket when the clock was read; zero if the socket doesn't tell.
    pub(super) fn waited(&self, index: usize) -> Duration {
        let header = &self.headers[index].msg_hdr;
        // SAFETY: the control message is owned by `self`, and the kernel has told how much of it it has written.
        let stamp = unsafe {
            let message = libc::CMSG_FIRSTHDR(header);
            if message.is_null() || ((*message).cmsg_level, (*message).cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
                return Duration::ZERO;
            }
            libc::CMSG_DATA(message).cast::<libc::timespec>().read_unaligned()
        };
        let came = Duration::from_secs(stamp.tv_sec.try_into().unwrap_or(0)) + Duration::from_nanos(stamp.tv_nsec.try_into().unwrap_or(0));
        self.clock.saturating_sub(came).min(MAX_WAIT)
    }

    /// A datagram of the last [`Self::receive`] and its source; `None` if it was cut or has no IP source.
    pub(super) fn datagram(&mut self, index: usize) -> Option<(SocketAddr, &mut [u8])> {
        let header = &self.headers[index];
        if header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
            return None;
        }
        Some((
            read_address(&self.addresses[index])?,
            &mut self.buffers[index][..(header.msg_len as usize).min(READ_SIZE)],
        ))
    }
}

impl std::fmt::Debug for Inbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

/// Datagrams to send, in order.
pub(super) struct Outbox {
    slots: Box<[[u8; WRITE_SIZE]; WRITE_SLOTS]>,
    targets: Box<[Target; WRITE_SLOTS]>,
    len: usize,
    failed: u64,
}

#[derive(Clone, Copy)]
struct Target {
    fd: RawFd,
    address: Address,
    address_len: libc::socklen_t,
    len: usize,
}

impl Outbox {
    pub(super) fn new() -> Self {
        let none = Target {
            fd: -1,
            address: no_address(),
            address_len: 0,
            len: 0,
        };
        Self {
            slots: Box::new([[0; WRITE_SIZE]; WRITE_SLOTS]),
            targets: Box::new([none; WRITE_SLOTS]),
            len: 0,
            failed: 0,
        }
    }

    /// Adds a datagram that `fill` writes, giving its length, or 0 for none; sends what was gathered when all slots are taken.
    pub(super) fn push(&mut self, socket: &impl AsFd, to: SocketAddr, fill: impl FnOnce(&mut [u8; WRITE_SIZE]) -> usize) {
        if self.len == WRITE_SLOTS {
            self.flush();
        }
        let target = &mut self.targets[self.len];
        target.len = fill(&mut self.slots[self.len]).min(WRITE_SIZE);
        if target.len == 0 {
            return;
        }
        target.fd = sys::number(socket);
        target.address_len = write_address(to, &mut target.address);
        self.len += 1;
    }

    /// Sends everything, without waiting. What the kernel doesn't take is lost and counted, as on the wire.
    pub(super) fn flush(&mut self) {
        let mut at = 0;
        while at < self.len {
            let run = self.targets[at..self.len]
                .iter()
                .take_while(|t| t.fd == self.targets[at].fd)
                .count();
            let sent = if run == 1 { self.send_one(at) } else { self.send_run(at, run) };
            self.failed += (run - sent) as u64;
            at += run;
        }
        self.len = 0;
    }

    /// Forgets what was gathered.
    pub(super) fn clear(&mut self) {
        self.len = 0;
    }

    /// Datagrams that the kernel refused, since the last call.
    pub(super) fn take_failed(&mut self) -> u64 {
        mem::take(&mut self.failed)
    }

    fn send_one(&self, at: usize) -> usize {
        let target = &self.targets[at];
        let (data, address) = (self.slots[at].as_ptr().cast(), (&raw const target.address).cast());
        // SAFETY: the slot holds `len` bytes and the address `address_len`, both owned by `self`.
        let sent = unsafe { libc::sendto(target.fd, data, target.len, libc::MSG_DONTWAIT, address, target.address_len) };
        usize::from(sent >= 0)
    }

    /// Sends datagrams of one socket by one call; a leg has several in one flush when it catches up.
    fn send_run(&mut self, at: usize, run: usize) -> usize {
        // SAFETY: iovec and mmsghdr are plain numbers and pointers, for which zeros are valid.
        let (mut slices, mut headers): ([libc::iovec; WRITE_SLOTS], [libc::mmsghdr; WRITE_SLOTS]) = unsafe { mem::zeroed() };
        for i in 0..run {
            let target = &mut self.targets[at + i];
            slices[i] = libc::iovec {
                iov_base: self.slots[at + i].as_mut_ptr().cast(),
                iov_len: target.len,
            };
            headers[i].msg_hdr.msg_name = (&raw mut target.address).cast();
            headers[i].msg_hdr.msg_namelen = target.address_len;
            headers[i].msg_hdr.msg_iov = &raw mut slices[i];
            headers[i].msg_hdr.msg_iovlen = 1;
        }
        let fd = self.targets[at].fd;
        // SAFETY: `run` headers are filled; what they point to is owned by `self` or this frame, and lives over the call.
        let sent = unsafe { libc::sendmmsg(fd, headers.as_mut_ptr(), run as libc::c_uint, libc::MSG_DONTWAIT as _) };
        sent.max(0) as usize
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("len", &self.len)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

fn read_address(address: &Address) -> Option<SocketAddr> {
    match libc::c_int::from(address.ss_family) {
        libc::AF_INET => {
            // SAFETY: by its family this storage, large and aligned enough for every kind, holds a sockaddr_in.
            let v4 = unsafe { &*(&raw const *address).cast::<libc::sockaddr_in>() };
            Some(SocketAddrV4::new(Ipv4Addr::from(u32::from_be(v4.sin_addr.s_addr)), u16::from_be(v4.sin_port)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: as above, for sockaddr_in6.
            let v6 = unsafe { &*(&raw const *address).cast::<libc::sockaddr_in6>() };
            // The flow label isn't part of who the peer is.
            Some(
                SocketAddrV6::new(
                    Ipv6Addr::from(v6.sin6_addr.s6_addr),
                    u16::from_be(v6.sin6_port),
                    0,
                    v6.sin6_scope_id,
                )
                .into(),
            )
        }
        _ => None,
    }
}

fn write_address(from: SocketAddr, into: &mut Address) -> libc::socklen_t {
    match from {
        SocketAddr::V4(v4) => {
            // SAFETY: the storage is large and aligned enough for a sockaddr_in, whose every bit pattern is valid.
            let to = unsafe { &mut *(&raw mut *into).cast::<libc::sockaddr_in>() };
            to.sin_family = libc::AF_INET as libc::sa_family_t;
            to.sin_port = v4.port().to_be();
            to.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            size_of::<libc::sockaddr_in>() as libc::socklen_t
        }
        SocketAddr::V6(v6) => {
            // SAFETY: as above, for sockaddr_in6.
            let to = unsafe { &mut *(&raw mut *into).cast::<libc::sockaddr_in6>() };
            to.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            to.sin6_port = v6.port().to_be();
            to.sin6_addr.s6_addr = v6.ip().octets();
            to.sin6_flowinfo = 0;
            to.sin6_scope_id = v6.scope_id();
            size_of::<libc::sockaddr_in6>() as libc::socklen_t
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{net::UdpSocket, time::Instant};

    use super::*;

    fn write(text: &[u8]) -> impl FnOnce(&mut [u8; WRITE_SIZE]) -> usize {
        move |slot| {
            slot[..text.len()].copy_from_slice(text);
            text.len()
        }
    }

    fn receive(inbox: &mut Inbox, socket: &UdpSocket, until: usize) -> Vec<Option<(SocketAddr, Vec<u8>)>> {
        let (deadline, mut all) = (Instant::now() + Duration::from_secs(5), Vec::new());
        while all.len() < until && Instant::now() < deadline {
            let count = inbox.receive(socket, READ_BUDGET);
            all.extend((0..count).map(|i| inbox.datagram(i).map(|(from, bytes)| (from, bytes.to_vec()))));
        }
        all
    }

    #[test]
    fn datagrams_go_out_in_order_over_both_families() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let (a, b) = (UdpSocket::bind(host).expect("bound"), UdpSocket::bind(host).expect("bound"));
            let (from_a, from_b) = (a.local_addr().expect("address"), b.local_addr().expect("address"));
            let target = UdpSocket::bind(host).expect("bound");
            let to = target.local_addr().expect("address");
            let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
            outbox.push(&a, to, write(b"one"));
            outbox.push(&a, to, write(b"two"));
            outbox.push(&b, to, write(b"three"));
            outbox.flush();
            let got: Vec<_> = receive(&mut inbox, &target, 3).into_iter().flatten().collect();
            assert_eq!(
                got,
                [(from_a, b"one".to_vec()), (from_a, b"two".to_vec()), (from_b, b"three".to_vec())]
            );
            assert_eq!(outbox.take_failed(), 0);
        }
    }

    #[test]
    fn more_than_the_slots_goes_out_and_reads_keep_their_budget() {
        let (a, target) = (
            UdpSocket::bind("127.0.0.1:0").expect("bound"),
            UdpSocket::bind("127.0.0.1:0").expect("bound"),
        );
        let (mut inbox, mut outbox) = (Inbox::new(), Outbox::new());
        for i in 0..WRITE_SLOTS + 5 {
            outbox.push(&a, target.local_addr().expect("address"), write(&[i as u8]));
        }
        outbox.flush();
        assert_eq!(inbox.receive(&target, READ_BUDGET), READ_BUDGET);
        let rest = receive(&mut inbox, &target, WRITE_SLOTS + 5 - READ_BUDGET);
        assert_eq!(
            rest.last().and_then(|d| d.clone()).map(|d| d.1),
            Some(vec![(WRITE_SLOTS + 4) as u8])
        );
    }

    #[test]
    fn a_datagram_tells_how_long_it_waited_if_its_socket_does() {
        let (a, target) = (
            UdpSocket::bind("127.0.0.1:0").expect("bound"),
            UdpSocket::bind("127.0.0.1:0").expect("bound"),
        );
        let (mut inbox, to) = (Inbox::new(), target.local_addr().expect("address"));
        let mut waited = |wait: Duration| {
            a.send_to(&[1], to).expect("sent");
            let sent = Instant::now();
            while sent.elapsed() < wait {
                std::thread::yield_now();
            }
            inbox.set_clock();
            assert_eq!(inbox.receive(&target, 1), 1);
            inbox.waited(0)
        };
        let wait = Duration::from_millis(10);
        assert_eq!(waited(wait), Duration::ZERO);
        sys::stamp(&target).expect("a socket option");
        // The kernel takes its time until it begins to stamp.
        let deadline = Instant::now() + Duration::from_secs(5);
        while waited(wait) < wait {
            assert!(Instant::now() < deadline, "never told");
        }
        assert!(waited(wait) < MAX_WAIT);
    }

    #[test]
    fn a_datagram_that_was_cut_is_none() {
        let (a, target) = (
            UdpSocket::bind("127.0.0.1:0").expect("bound"),
            UdpSocket::bind("127.0.0.1:0").expect("bound"),
        );
        a.send_to(&[1; READ_SIZE + 1], target.local_addr().expect("address")).expect("sent");
        a.send_to(&[2; READ_SIZE], target.local_addr().expect("address")).expect("sent");
        let got = receive(&mut Inbox::new(), &target, 2);
        assert_eq!(
            got.iter().map(|d| d.as_ref().map(|d| d.1.len())).collect::<Vec<_>>(),
            [None, Some(READ_SIZE)]
        );
    }

    #[test]
    fn what_the_kernel_refuses_is_counted() {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
        let mut outbox = Outbox::new();
        outbox.push(&socket, "[::1]:9".parse().expect("an address"), write(b"x"));
        outbox.flush();
        assert_eq!(outbox.take_failed(), 1);
    }
}
