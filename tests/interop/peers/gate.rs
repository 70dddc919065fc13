//! A TCP relay in front of a server, that a test can shut: whoever knocks then is sent away at once.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// An open or shut relay; relayed connections last until one of their ends is closed.
#[derive(Debug)]
pub(crate) struct Gate {
    address: SocketAddr,
    is_open: Arc<AtomicBool>,
}

impl Gate {
    /// An open one.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("bound");
        let is_open = Arc::new(AtomicBool::new(true));
        let open = Arc::clone(&is_open);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let server = open.load(Ordering::SeqCst).then(|| TcpStream::connect(server));
                if let Some(Ok(server)) = server {
                    join(&client, &server).expect("descriptors");
                }
            }
        });
        Self { address, is_open }
    }

    /// Where to knock.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nobody new in.
    pub(crate) fn shut(&self) {
        self.is_open.store(false, Ordering::SeqCst);
    }

    /// Lets them in again.
    pub(crate) fn open(&self) {
        self.is_open.store(true, Ordering::SeqCst);
    }
}

fn join(client: &TcpStream, server: &TcpStream) -> io::Result<()> {
    for (mut from, mut to) in [
        (client.try_clone()?, server.try_clone()?),
        (server.try_clone()?, client.try_clone()?),
    ] {
        thread::spawn(move || {
            let _the_other_end_is_told_alike = io::copy(&mut from, &mut to);
            let _it_may_be_closed = to.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}
