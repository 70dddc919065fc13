//! Our server, as it is shipped: reached by SIP calls over one socket.

use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::Stdio,
};

use cusax::app::child::{self, Supervised};

use crate::{
    Outcome,
    caller::Caller,
    machine,
    server::{Codec, OPUS_RATE, Server},
};

const CONFIG: &str = "[sip]\ndomain = 'conf.localhost'\nlisten = ['udp:127.0.0.1:0']\n\
     [media]\nlisten = ['127.0.0.1']\nports = '16384-32767'\n\
     [xmpp]\nserver = '127.0.0.1:1'\nrooms = 'rooms.localhost'\nphones = 'phones.localhost'\nsecret = 'none'\n\
     [store]\npath = 'cusax.db'\n[control]\nsocket = 'control.sock'\n[log]\nlevel = 'error'\n\
     [rooms]\nmax_people = 2000\n";

pub(crate) struct Ours {
    process: Supervised,
    caller: Caller,
    calls: usize,
}

impl Ours {
    /// Starts it with a room for each codec given, numbered from 0.
    pub(crate) fn start(folder: &Path, rooms: &[Codec]) -> Outcome<Self> {
        let rooms = rooms
            .iter()
            .enumerate()
            .map(|(n, codec)| format!("[[room]]\nname = 'r{n}'\nmixing_rate = {}\n", codec.room_rate()));
        fs::write(folder.join("cusax.toml"), CONFIG.to_owned() + &rooms.collect::<String>())?;
        let mut command = child::command("taskset", "util-linux")?;
        command
            .args(["-c", &machine::SERVER_CORE.to_string(), env!("CARGO_BIN_EXE_cusax")])
            .args(["serve", "--config", "cusax.toml"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut process = Supervised::start("cusax", command)?;
        let mut ready = String::new();
        BufReader::new(process.stdout().ok_or("no output")?).read_line(&mut ready)?;
        let address = ready.trim().strip_prefix("ready: udp:").ok_or("it isn't ready")?.parse()?;
        Ok(Self {
            process,
            caller: Caller::new(address)?,
            calls: 0,
        })
    }
}

impl Server for Ours {
    fn id(&self) -> u32 {
        self.process.id()
    }

    fn join(&mut self, room: usize, codec: Codec, port: u16) -> Outcome<SocketAddr> {
        let formats = match codec {
            Codec::Pcmu => "0\r\na=rtpmap:0 PCMU/8000\r\n".to_owned(),
            Codec::Opus => format!("111\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 maxaveragebitrate={OPUS_RATE};useinbandfec=1\r\n"),
        };
        self.calls += 1;
        let call = self
            .caller
            .offer(&format!("r{room}"), &format!("c{}", self.calls), port, &formats)?;
        Ok(call.media)
    }
}
