//! The harness's own Prosody: it starts, lets components in by secret, and comes back on the same ports.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use super::peers::{self, Folder};

/// Opens a component's stream and returns the server's header.
fn component_header(address: SocketAddr, domain: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the port answers");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket option");
    write!(
        stream,
        "<stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' to='{domain}'>"
    )
    .expect("writable");
    let mut text = String::new();
    let mut buffer = [0; 1024];
    while !text.contains(" id=") {
        let n = stream.read(&mut buffer).expect("an answer in time");
        assert_ne!(n, 0, "the stream ended: {text}");
        text.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    text
}

#[test]
fn prosody_serves_components_and_returns_on_its_ports() {
    let folder = Folder::new("prosody");
    let mut prosody = peers::prosody(&folder, &["ann", "bob"]);
    assert!(component_header(prosody.component_address(), "rooms.localhost").contains("from='rooms.localhost'"));
    assert!(component_header(prosody.component_address(), "phones.localhost").contains("from='phones.localhost'"));
    let before = (prosody.client_address(), prosody.component_address(), prosody.id());
    prosody.kill();
    assert!(TcpStream::connect(before.0).is_err(), "killed, so nobody listens");
    prosody.restart().expect("it starts again");
    assert_eq!((prosody.client_address(), prosody.component_address()), (before.0, before.1));
    assert_ne!(prosody.id(), before.2);
    component_header(prosody.component_address(), "rooms.localhost");
}
