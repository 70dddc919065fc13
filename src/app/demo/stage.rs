//! What the demo happens on: a chat server, our server, a bot that plays and a listener who records; all on loopback.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{sync::broadcast, task::JoinHandle};

use super::{DemoError, Teller, chat::ChatUser, chat::spoken, sound};
use crate::{
    app::{
        logging,
        phone::{CallArgs, Phone},
        prosody::{Prosody, Setup},
        serve::Server,
    },
    config::Config,
    hub::Line,
    media::{self, softphone::Source},
    model::{media::Codec, srtp::Policy},
    sip::auth::Credentials,
};

/// Everybody with a chat account; the password is the name.
pub(super) const PEOPLE: [&str; 3] = ["ann", "bob", "carol"];
/// The room.
pub(super) const ROOM: &str = "standup";
/// Its address in the chat.
pub(super) const ROOM_JID: &str = "standup@rooms.localhost";
/// The bot's account and nick.
const BOT: &str = "bot";
/// Whom the bot is seen as.
const BOT_NICK: &str = "Bot";
/// SIP's domain: an address, so that nothing has to be resolved.
const SIP_DOMAIN: &str = "127.0.0.1";
/// SIP's port, if nobody else has it.
const SIP_PORT: u16 = 5060;
/// Everything on the way to a running room answers within this time, also on a machine that is busy building.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// Components connect within some 10 ms.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Goodbyes go through at once or not at all.
const GOODBYE_WITHIN: Duration = Duration::from_secs(1);
/// Lines that may wait to be shown.
const LINES: usize = 1024;

/// Everything that runs.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) prosody: Prosody,
    pub(super) listener: Phone,
    server: Server,
    bot: Phone,
    sip: SocketAddr,
    control: PathBuf,
    follower: JoinHandle<()>,
}

impl Stage {
    /// Starts all of it below a folder.
    pub(super) async fn start(dir: &Path, teller: &Teller) -> Result<Self, DemoError> {
        let prosody_dir = dir.join("prosody");
        let people: Vec<&str> = PEOPLE.into_iter().chain([BOT]).collect();
        let setup = Setup::localhost(&people);
        let prosody = tokio::task::spawn_blocking(move || Prosody::start(setup, &prosody_dir))
            .await
            .map_err(|_| DemoError::Aborted)??;
        teller.say(&format!("prosody {} runs at {}", prosody.id(), prosody.client_address()));

        let sip = sip_address().map_err(DemoError::Port)?;
        let file = dir.join("cusax.toml");
        std::fs::write(&file, config_text(sip, &prosody)).map_err(|source| DemoError::File {
            path: file.clone(),
            source,
        })?;
        let config = Config::load(&file)?;
        logging::start(&config.log);
        media::raise_open_file_limit().map_err(DemoError::Files)?;
        let (lines, followed) = broadcast::channel(LINES);
        let server = Server::start(&config, Some(lines))?;
        teller.say(&format!("cusax takes calls at {sip}, udp and tcp"));

        // The rooms are there once the server has let our components in, which the first chat user waits for.
        let scribe = enter_when_up(&prosody).await?;
        let follower = tokio::spawn(follow(scribe, followed, teller.clone()));
        let caller = |from: &str, name: &str, source| CallArgs {
            to: room_uri(sip),
            server: sip,
            proof: None,
            from: format!("sip:{from}@{SIP_DOMAIN}"),
            name: name.to_owned(),
            credentials: None,
            codecs: vec![Codec::Pcmu],
            source,
            srtp: Policy::Allowed,
        };
        let mut bot = Phone::call(CallArgs {
            credentials: Some(Credentials::new(BOT, &sip_secret(BOT))),
            ..caller(BOT, BOT_NICK, Source::Loop(sound::melody(8000)))
        })?;
        let mut listener = Phone::call(caller("listener", "Listener", Source::Silence))?;
        bot.wait_answered(READY_WITHIN).await?;
        listener.wait_answered(READY_WITHIN).await?;
        Ok(Self {
            prosody,
            listener,
            server,
            bot,
            sip,
            control: config.control,
            follower,
        })
    }

    /// How somebody who has an account and a phone calls the room.
    pub(super) fn caller(&self, name: &str, source: Source) -> CallArgs {
        CallArgs {
            to: room_uri(self.sip),
            server: self.sip,
            proof: None,
            from: format!("sip:{name}@{SIP_DOMAIN}"),
            name: name.to_owned(),
            credentials: Some(Credentials::new(name, &sip_secret(name))),
            codecs: vec![Codec::Opus, Codec::Pcmu],
            source,
            srtp: Policy::Allowed,
        }
    }

    /// What somebody dials.
    pub(super) fn uri(&self) -> String {
        room_uri(self.sip)
    }

    /// What the room's description in the chat has to say.
    pub(super) fn advertised(&self) -> String {
        format!("sip:{ROOM}@{SIP_DOMAIN}")
    }

    /// How to come in, and how to look in.
    pub(super) fn ways_in(&self) -> String {
        let chat = self.prosody.client_address();
        let uri = self.uri();
        let program = std::env::current_exe().map_or_else(|_| "cusax".to_owned(), |path| path.display().to_string());
        let control = self.control.display();
        format!(
            "by phone    {uri}\n\
             \x20           for instance: baresip -e \"/dial {uri}\"\n\
             \x20           as bob, seen by his name: user bob, domain {SIP_DOMAIN}, password {secret}\n\
             by chat     {ROOM_JID}, with any XMPP client and without encryption:\n\
             \x20           server {host}, port {port}; accounts {accounts}@localhost, the password is the name; ann owns the room\n\
             by command  {program} room show {ROOM} --socket {control}\n\
             \x20           {program} room mute|unmute|kick {ROOM} NICK --socket {control}\n\
             ",
            secret = sip_secret("bob"),
            host = chat.ip(),
            port = chat.port(),
            accounts = PEOPLE.join(", "),
        )
    }

    /// Says goodbye and stops everything; gives what the listener heard.
    pub(super) async fn stop(mut self) -> media::wav::Wav {
        self.listener.hang_up();
        self.bot.hang_up();
        // Whoever doesn't come through is cut off with the server.
        let _ = self.listener.wait_ended(GOODBYE_WITHIN).await;
        let _ = self.bot.wait_ended(GOODBYE_WITHIN).await;
        self.server.stop().await;
        self.follower.abort();
        media::wav::Wav {
            rate: self.listener.rate(),
            samples: self.listener.heard_since(0),
        }
    }
}

/// The bot's chat half enters as soon as the server is connected to the chat server; until then there is no such domain.
async fn enter_when_up(prosody: &Prosody) -> Result<ChatUser, DemoError> {
    let until = tokio::time::Instant::now() + READY_WITHIN;
    loop {
        let tried = ChatUser::enter(prosody.client_address(), BOT, ROOM_JID, BOT_NICK, READY_WITHIN).await;
        match tried {
            Ok(user) => return Ok(user),
            Err(error) if tokio::time::Instant::now() >= until => return Err(DemoError::Chat(error.to_string())),
            Err(_) => tokio::time::sleep(TRY_AGAIN_AFTER).await,
        }
    }
}

/// Shows what happens in the room and what is said there.
async fn follow(mut scribe: ChatUser, mut lines: broadcast::Receiver<Line>, teller: Teller) {
    loop {
        tokio::select! {
            line = lines.recv() => match line {
                Ok(line) => teller.say(&format!("{}: {}", line.room, line.text)),
                Err(broadcast::error::RecvError::Lagged(missed)) => teller.say(&format!("({missed} lines are lost)")),
                Err(broadcast::error::RecvError::Closed) => break,
            },
            stanza = scribe.next() => match stanza {
                Some(stanza) => if let Some((nick, body)) = spoken(&stanza) {
                    teller.say(&format!("{ROOM}: <{nick}> {body}"));
                },
                None => break,
            },
        }
    }
    scribe.leave().await;
}

/// 5060 if it is free, else any port that is free for both transports; it may be taken before the server has it, which is told.
fn sip_address() -> std::io::Result<SocketAddr> {
    let free = |port: u16| -> std::io::Result<SocketAddr> {
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = tcp.local_addr()?;
        UdpSocket::bind(address)?;
        Ok(address)
    };
    free(SIP_PORT).or_else(|_| free(0)).or_else(|_| free(0))
}

fn room_uri(sip: SocketAddr) -> String {
    format!("sip:{ROOM}@{sip}")
}

/// What phones sign in with, as the configuration says; only for loopback.
fn sip_secret(name: &str) -> String {
    format!("{name}-by-phone")
}

/// The configuration, as an operator would write it.
fn config_text(sip: SocketAddr, prosody: &Prosody) -> String {
    let users: String = PEOPLE
        .iter()
        .chain([&BOT])
        .map(|name| {
            format!(
                "\n[[user]]\nid = \"{name}\"\nsip = \"{name}\"\nsecret = \"{}\"\njid = \"{name}@localhost\"\n",
                sip_secret(name)
            )
        })
        .collect();
    format!(
        "# The demo's configuration: everything on loopback, everything temporary.\n\
         [sip]\n\
         domain = \"{SIP_DOMAIN}\"\n\
         # MD5 alone: Debian's baresip gives up when SHA-256 is offered as well, in any order.\n\
         digest = [\"md5\"]\n\
         listen = [\"udp:{sip}\", \"tcp:{sip}\"]\n\n\
         [media]\n\
         listen = [\"127.0.0.1\"]\n\n\
         [xmpp]\n\
         server = \"{component}\"\n\
         rooms = \"rooms.localhost\"\n\
         phones = \"phones.localhost\"\n\
         secret = \"{secret}\"\n\n\
         [[room]]\n\
         name = \"{ROOM}\"\n\
         title = \"Stand-up\"\n\
         owners = [\"ann@localhost\"]\n\
         {users}\n\
         [store]\n\
         path = \"cusax.db\"\n\n\
         [control]\n\
         socket = \"control.sock\"\n\n\
         [log]\n\
         level = \"error\"\n",
        component = prosody.component_address(),
        secret = prosody.setup().secret,
    )
}
