//! Ports for peers that can't be told to choose one themselves.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    sync::atomic::{AtomicU32, Ordering},
};

/// Below the range from which the kernel takes the ports of connections (32768 on Linux): between our look and the peer's bind, no connection of another test can take it. Above those that the server under test (10000 to 19999) and baresip (20000 to 27999) have for media.
const FIRST: u32 = 28_000;
/// SIPp takes for media the port that it is given and the next three; baresip listens by TLS at the next one.
const BLOCK: u32 = 4;
const BLOCKS: u32 = 1_190;

/// A loopback port that is free by UDP and by TCP, as are the next three; this process gives none of them to anybody else.
pub(crate) fn free_port() -> u16 {
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Test processes that run side by side start at different places.
    let start = std::process::id().wrapping_mul(997);
    for _ in 0..BLOCKS {
        let block = start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % BLOCKS;
        let ports = (0..BLOCK).map(|n| u16::try_from(FIRST + block * BLOCK + n).expect("a port"));
        if ports.clone().all(is_free) {
            return ports.min().expect("four");
        }
    }
    panic!("all of {BLOCKS} blocks of ports are taken");
}

fn is_free(port: u16) -> bool {
    let address = (Ipv4Addr::LOCALHOST, port);
    UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok()
}
