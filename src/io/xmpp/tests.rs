//! Links against scripted servers on loopback.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    model::Pii,
    xmpp::{
        stanza,
        stream::{KeepAlive, Told},
    },
};

const HEADER: &str = "<?xml version='1.0'?><stream:stream xmlns:stream='http://etherx.jabber.org/streams' \
                      xmlns='jabber:component:accept' id='1' from='rooms.example'>";

/// Longer than anything here takes, on a machine that is busy building.
const LIMIT: Duration = Duration::from_secs(20);

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    timeout(LIMIT, future)
        .await
        .unwrap_or_else(|_| panic!("no {what} within {LIMIT:?}"))
}

struct Server {
    listener: TcpListener,
}

impl Server {
    async fn new() -> Self {
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.expect("a loopback port"),
        }
    }

    fn link(&self) -> LinkSettings {
        LinkSettings {
            server: self.listener.local_addr().expect("bound").to_string(),
            stream: Settings {
                domain: "rooms.example".into(),
                secret: Pii("test".into()),
                told: Told::Everybody,
                keep_alive: KeepAlive::default(),
            },
            pace: Pace {
                first: Duration::from_millis(5),
                longest: Duration::from_millis(20),
            },
        }
    }

    async fn accept(&self) -> TcpStream {
        within("connection", self.listener.accept()).await.expect("accepted").0
    }

    /// Lets the component in.
    async fn online(&self) -> TcpStream {
        let mut stream = self.accept().await;
        stream.write_all(HEADER.as_bytes()).await.expect("written");
        read_until(&mut stream, "</handshake>").await;
        stream.write_all(b"<handshake/>").await.expect("written");
        stream
    }
}

async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 64 * 1024];
    while !text.ends_with(end) {
        let n = within(end, stream.read(&mut buffer)).await.expect("readable");
        assert_ne!(n, 0, "ended after {text}");
        text.push_str(std::str::from_utf8(&buffer[..n]).expect("ASCII in these tests"));
    }
    text
}

fn presence(id: &str) -> Element {
    stanza::element(
        "presence",
        stanza::NS,
        &[
            ("from", Some("blue@rooms.example")),
            ("id", Some(id)),
            ("to", Some("ann@a.example")),
        ],
    )
}

async fn next(inbound: &mut mpsc::Receiver<XmppInbound>) -> XmppInbound {
    within("message", inbound.recv()).await.expect("the link lives")
}

#[tokio::test]
async fn r30_down_and_up_again_after_a_server_restart() {
    let server = Server::new().await;
    let (tell, mut inbound) = mpsc::channel::<XmppInbound>(4);
    let (links, outgoing) = Links::start(vec![server.link()], &tell, 1);
    assert_eq!(outgoing.send(&presence("0")), Err(NotSent::Down));
    for round in ["1", "2"] {
        let mut stream = server.online().await;
        assert_eq!(next(&mut inbound).await, XmppInbound::Up("rooms.example".into()));
        assert_eq!(outgoing.send(&presence(round)), Ok(()));
        let sent = read_until(&mut stream, "/>").await;
        assert_eq!(
            sent,
            format!("<presence from='blue@rooms.example' id='{round}' to='ann@a.example'/>")
        );
        stream
            .write_all(b"<message from='a@b' to='rooms.example'/>")
            .await
            .expect("written");
        assert!(matches!(next(&mut inbound).await, XmppInbound::Stanza(s) if s.is("message", stanza::NS)));
        drop(stream);
        assert_eq!(next(&mut inbound).await, XmppInbound::Down("rooms.example".into()));
        assert_eq!(outgoing.send(&presence("lost")), Err(NotSent::Down));
    }
    let counts = outgoing.counts("rooms.example").expect("our domain");
    assert_eq!((counts.sent, counts.received, counts.lost), (2, 2, 0));
    within("end", links.close()).await;
}

#[tokio::test]
async fn a_refused_secret_is_tried_again_and_never_up() {
    let server = Server::new().await;
    let (tell, mut inbound) = mpsc::channel::<XmppInbound>(4);
    let (links, _outgoing) = Links::start(vec![server.link()], &tell, 1);
    for _ in 0..3 {
        let mut stream = server.accept().await;
        let refusal = "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>";
        stream.write_all(format!("{HEADER}{refusal}").as_bytes()).await.expect("written");
        let mut rest = Vec::new();
        within("end", stream.read_to_end(&mut rest)).await.expect("closed by us");
    }
    let mut stream = server.online().await;
    assert_eq!(
        next(&mut inbound).await,
        XmppInbound::Up("rooms.example".into()),
        "nothing before it"
    );
    let closing = tokio::spawn(links.close());
    assert_eq!(read_until(&mut stream, ">").await, "</stream:stream>");
    stream.write_all(b"</stream:stream>").await.expect("written");
    within("end", closing).await.expect("closed");
}

#[tokio::test]
async fn closing_flushes_the_queue_first() {
    let server = Server::new().await;
    let (tell, mut inbound) = mpsc::channel::<XmppInbound>(4);
    let (links, outgoing) = Links::start(vec![server.link()], &tell, 1);
    let mut stream = server.online().await;
    assert_eq!(next(&mut inbound).await, XmppInbound::Up("rooms.example".into()));
    for n in 0..5_000 {
        assert_eq!(outgoing.send(&presence(&n.to_string())), Ok(()));
    }
    let closing = tokio::spawn(links.close());
    let text = read_until(&mut stream, "</stream:stream>").await;
    assert_eq!(text.matches("<presence ").count(), 5_000);
    assert_eq!(outgoing.send(&presence("late")), Err(NotSent::Down));
    stream.write_all(b"</stream:stream>").await.expect("written");
    within("end", closing).await.expect("closed");
}

#[tokio::test]
async fn closing_does_not_wait_for_a_server_that_hangs() {
    let server = Server::new().await;
    let (tell, mut inbound) = mpsc::channel::<XmppInbound>(4);
    let (links, _outgoing) = Links::start(vec![server.link(), server.link()], &tell, 1);
    let _silent = (server.online().await, server.accept().await);
    assert_eq!(next(&mut inbound).await, XmppInbound::Up("rooms.example".into()));
    within("end", links.close()).await;
}

#[tokio::test]
async fn r30_a_server_that_does_not_read_overflows_the_queue_and_is_told() {
    let server = Server::new().await;
    let (tell, mut inbound) = mpsc::channel::<XmppInbound>(4);
    let (links, outgoing) = Links::start(vec![server.link()], &tell, 1);
    let _stuck = server.online().await;
    assert_eq!(next(&mut inbound).await, XmppInbound::Up("rooms.example".into()));
    let long = "x".repeat(400_000);
    while outgoing.send(&stanza::with(presence("1"), [stanza::text("status", stanza::NS, &long)])) != Err(NotSent::Full) {}
    assert_eq!(next(&mut inbound).await, XmppInbound::Overflow("rooms.example".into()));
    assert_eq!(
        outgoing.send(&presence("2")),
        Ok(()),
        "with the backlog dropped there is room again"
    );
    let counts = outgoing.counts("rooms.example").expect("our domain");
    assert!(counts.lost > 1 && counts.queued_bytes < 1_000_000, "{counts:?}");
    within("end", links.close()).await;
}

#[tokio::test]
async fn a_link_that_nobody_listens_to_ends() {
    let server = Server::new().await;
    let (tell, inbound) = mpsc::channel::<XmppInbound>(4);
    let (links, _outgoing) = Links::start(vec![server.link()], &tell, 1);
    drop(inbound);
    let mut stream = server.online().await;
    let mut rest = Vec::new();
    within("end", stream.read_to_end(&mut rest)).await.expect("closed by us");
    within("end", links.close()).await;
}
