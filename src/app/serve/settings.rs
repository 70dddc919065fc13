//! From the checked configuration to what each part is told.

use std::io::{self, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mixer::Rate;
use sha2::{Digest, Sha256};

use super::StartError;
use crate::config::{self, Config, Create};
use crate::hub::{NumberBook, RoomFactory};
use crate::io::xmpp::{LinkSettings, Pace};
use crate::media::{Clip, Format, Interface, PlaneConfig, RecordingConfig, Voice};
use crate::model::dtls::Fingerprint;
use crate::model::{Directory, Pii};
use crate::peers::muc::{Creation, MucSettings, ServiceSettings};
use crate::peers::sip::{DialSettings, FactoryRight, FactorySettings, FrontSettings, MediaSettings, SipRoomSettings};
use crate::room::RoomSettings;
use crate::sip::auth::Algorithm;
use crate::sip::endpoint::{Listener, Transport};
use crate::sip::msg::Uri;
use crate::xmpp::stream::{KeepAlive, Settings as StreamSettings, Told};

/// Bytes of a file that is played, at most: more than half an hour at 16000 Hz.
const CLIP_MAX: u64 = 64 * 1024 * 1024;

pub(super) fn listen_addresses(config: &Config) -> Vec<(Transport, SocketAddr)> {
    let transport = |t| match t {
        config::Transport::Udp => Transport::Udp,
        config::Transport::Tcp => Transport::Tcp,
        config::Transport::Tls => Transport::Tls,
        config::Transport::Ws => Transport::Ws,
        config::Transport::Wss => Transport::Wss,
    };
    config.sip.listen.iter().map(|l| (transport(l.transport), l.address)).collect()
}

/// What peers are told of the bound addresses (rule R46): over TLS a name, if there is one. An address that says "everywhere" is told as the one
/// that the kernel would send from.
pub(super) fn listeners(config: &Config, bound: Vec<(Transport, SocketAddr)>) -> Vec<Listener> {
    let listener = |(transport, local): (Transport, SocketAddr)| {
        let mut listener = Listener::plain(transport, local);
        match (&config.sip.tls_name, config.sip.advertise.of(local.ip())) {
            (Some(name), _) if transport.is_protected() => listener.host.clone_from(name),
            (_, Some(public)) => listener.host = plain_host(public),
            (_, None) if local.ip().is_unspecified() => listener.host = plain_host(outward_ip(local.ip())),
            (_, None) => {}
        }
        listener
    };
    bound.into_iter().map(listener).collect()
}

/// An address as it stands in a URI.
fn plain_host(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}

/// The address that the kernel sends from towards the world; loopback on a machine without a route.
fn outward_ip(unspecified: IpAddr) -> IpAddr {
    // Documentation addresses (RFC 5737, RFC 3849): connecting a datagram socket sends nothing.
    let (world, loopback): (SocketAddr, IpAddr) = match unspecified {
        IpAddr::V4(_) => (SocketAddr::from(([192, 0, 2, 1], 9)), Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(_) => (SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 9)), Ipv6Addr::LOCALHOST.into()),
    };
    let routed = UdpSocket::bind(SocketAddr::new(unspecified, 0)).and_then(|s| s.connect(world).and_then(|()| s.local_addr()));
    routed.map_or(loopback, |a| a.ip())
}

pub(super) fn link_settings(config: &Config) -> Vec<LinkSettings> {
    let link = |domain: String, secret: &config::Secret, told| LinkSettings {
        server: config.xmpp.server.clone(),
        stream: StreamSettings {
            domain,
            secret: Pii(secret.reveal().to_owned()),
            told,
            keep_alive: KeepAlive::default(),
        },
        pace: Pace::default(),
    };
    vec![
        link(config.xmpp.rooms.to_string(), &config.xmpp.rooms_secret, Told::Everybody),
        link(config.xmpp.phones.to_string(), &config.xmpp.phones_secret, Told::Askers),
    ]
}

pub(super) fn room_factory(config: &Config, accounts: Arc<dyn Directory>, seed: u64) -> RoomFactory {
    let service_key = service_key(config);
    let mut room = RoomSettings::new(config.xmpp.phones.clone());
    room.kick_quarantine = config.rooms.kick_quarantine;
    room.phone_occupant_delay = config.rooms.phone_delay;
    room.max_phone_occupants = config.rooms.phone_occupants;
    room.silence_limit_s = u32::try_from(config.media.timeout.as_secs()).unwrap_or(u32::MAX);
    room.records = config.recording.is_some();
    room.music = config.media.music.is_some();
    room.keypad = config.keypad.clone();
    room.dial = Arc::new(config.dial.plan.clone());
    room.numbers = Some(Arc::new(NumberBook::default()));
    RoomFactory {
        room,
        muc: Arc::new(MucSettings {
            rooms_domain: config.xmpp.rooms.clone(),
            sip_host: config.sip.domain.clone(),
            service_key,
        }),
        sip: SipRoomSettings {
            domain: config.sip.domain.clone(),
            rooms_domain: config.xmpp.rooms.to_string(),
            join_uri: config.xmpp.join_uri,
            notify_interval: config.sip.notify_interval,
            max_watchers: config.rooms.template.max_people as usize,
        },
        accounts,
        service_key,
        seed,
    }
}

/// Names of phone occupants have to be the same after a restart (rule R26), so the key comes from a secret that stays.
fn service_key(config: &Config) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"cusax names of phone occupants\0");
    hash.update(config.xmpp.rooms_secret.reveal().as_bytes());
    hash.finalize().into()
}

fn algorithm(digest: config::Digest) -> Algorithm {
    match digest {
        config::Digest::Md5 => Algorithm::Md5,
        config::Digest::Sha256 => Algorithm::Sha256,
    }
}

/// What calls may be addressed to, as it stands in a URI. The domain is first: it is how we name ourselves.
fn hosts(domain: &str, listeners: &[Listener]) -> Vec<String> {
    let addresses = listeners.iter().flat_map(|l| [l.host.clone(), plain_host(l.local.ip())]);
    let mut hosts: Vec<String> = addresses.filter(|h| h != domain).collect();
    hosts.sort();
    hosts.dedup();
    hosts.insert(0, domain.to_owned());
    hosts
}

pub(super) fn front_settings(config: &Config, listeners: &[Listener], fingerprint: Fingerprint) -> FrontSettings {
    FrontSettings {
        hosts: hosts(&config.sip.domain, listeners),
        realm: config.sip.realm.clone(),
        digest: config.sip.digest.iter().map(|d| algorithm(*d)).collect(),
        unproven_callers: config.sip.anonymous,
        media: MediaSettings {
            codecs: config.sip.codecs.clone(),
            comfort_noise: false,
            srtp: config.media.srtp,
            fingerprint: Some(fingerprint),
        },
        numbers: config.numbers.clone(),
        retry_after: Duration::from_secs(30),
        trunks: config.trunks.clone(),
        dial: dial_settings(&config.dial),
        factory: config.sip.factory.as_ref().map(|user| FactorySettings {
            user: user.to_string(),
            right: match config.rooms.create {
                Create::OwnDomains => FactoryRight::Accounts,
                Create::Admins => FactoryRight::Admins(config.rooms.admins.clone()),
                Create::Anyone => FactoryRight::Anyone,
                Create::Nobody => FactoryRight::Nobody,
            },
            template: config.rooms.template.clone(),
            max_rooms: config.rooms.limit,
        }),
    }
}

fn dial_settings(dial: &config::Dial) -> DialSettings {
    DialSettings {
        plan: Arc::new(dial.plan.clone()),
        // The check has built it of a host and a transport.
        proxy: dial.proxy.as_deref().and_then(|uri| Uri::parse(uri).ok()),
        no_answer: dial.no_answer,
        at_once: dial.at_once,
        per_minute: dial.per_minute,
        per_asker: dial.per_asker,
        minutes_per_day: dial.minutes_per_day,
    }
}

pub(super) fn service_settings(config: &Config) -> ServiceSettings {
    ServiceSettings {
        rooms_domain: config.xmpp.rooms.clone(),
        phones_domain: config.xmpp.phones.clone(),
        name: config.xmpp.name.clone(),
        creation: match config.rooms.create {
            Create::OwnDomains => Creation::OwnDomains,
            Create::Admins => Creation::Admins,
            Create::Anyone => Creation::Anyone,
            Create::Nobody => Creation::Nobody,
        },
        own_domains: config.rooms.own_domains.clone(),
        admins: config.rooms.admins.clone(),
        default_config: config.rooms.template.clone(),
        max_rooms: config.rooms.limit,
    }
}

pub(super) fn plane_config(config: &Config, seed: u64) -> Result<PlaneConfig, StartError> {
    let interface = |listen: &IpAddr| Interface {
        listen: *listen,
        advertise: config.media.advertise.of(*listen),
    };
    let mut plane = PlaneConfig::new(config.media.listen.iter().map(interface).collect(), seed);
    plane.ports = config.media.ports.clone();
    plane.silence_limit = config.media.timeout;
    plane.gain_control = config.media.gain_control;
    plane.noise_suppression = config.media.noise_suppression;
    if config.media.threads > 0 {
        plane.threads = config.media.threads;
    }
    plane.recording = config.recording.as_ref().map(|recording| RecordingConfig {
        folder: recording.folder.clone(),
        format: match recording.format {
            config::RecordingFormat::Ogg => Format::Ogg,
            config::RecordingFormat::Wav => Format::Wav,
        },
        rate: Rate::from_hz(recording.rate).unwrap_or(Rate::Wide),
    });
    plane.music = music(config)?;
    plane.voice = voice(config)?;
    Ok(plane)
}

/// The music for who is alone.
pub(super) fn music(config: &Config) -> Result<Option<Clip>, StartError> {
    let Some(path) = &config.media.music else { return Ok(None) };
    let told = |source| StartError::Music {
        path: path.display().to_string(),
        source,
    };
    clip(path).map(Some).map_err(told)
}

/// What speaks to callers.
pub(super) fn voice(config: &Config) -> Result<Voice, StartError> {
    let Some(folder) = &config.prompts else {
        return Ok(Voice::built_in());
    };
    Voice::load(folder).map_err(|bad| StartError::Prompts {
        folder: folder.display().to_string(),
        bad: bad.into_iter().map(|(name, why)| format!("\n  {name}: {why}")).collect(),
    })
}

/// Reads a file that is to be played.
pub(super) fn clip(path: &Path) -> io::Result<Clip> {
    let file = std::fs::File::open(path)?;
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("not a file"));
    }
    if about.len() > CLIP_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut bytes = Vec::new();
    file.take(CLIP_MAX).read_to_end(&mut bytes)?;
    Clip::parse(&bytes).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r46_hosts_are_written_as_uris_have_them() {
        let at = |address: &str| Listener::plain(Transport::Udp, address.parse().expect("an address"));
        let listeners = [at("[::1]:5060"), at("192.0.2.1:5060"), at("192.0.2.1:5070")];
        assert_eq!(hosts("conf.example.com", &listeners), ["conf.example.com", "192.0.2.1", "[::1]"]);
    }
}
