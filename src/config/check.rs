//! From a document to a checked [`Config`]: the keys, their defaults, and what must hold between them.

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use md5::{Digest as _, Md5};
use sha2::Sha256;

use super::{
    Advertise, Config, ConfigDirectory, Create, Digest, Listen, Log, Media, Mistake, Recording, RecordingFormat, Rooms, Secret, Sip,
    Transport, Xmpp,
    keypad::{keypad, own_keypad},
    meeting, numbers,
    parse::{self, choice},
    read::{Reader, Section, not_empty},
    tls, trunk,
};
use crate::model::{
    Account, Affiliation, Aor, Keypad, RoomConfig, RoomName, RoomRecord, Whois, account::DigestKeys, media::Codec, srtp::Policy,
};

/// Checks a whole document. The environment is asked for secrets by name.
pub(super) fn check(text: &str, folder: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Config, Vec<Mistake>> {
    let reader = Reader::new(text, folder, environment);
    let config = document(&reader);
    let (mistakes, warnings) = reader.finish();
    match config {
        Some(config) if mistakes.is_empty() => Ok(Config { warnings, ..config }),
        Some(_) | None => Err(mistakes),
    }
}

/// `None` only beside a noted mistake.
fn document<'r>(r: &'r Reader<'r>) -> Option<Config> {
    let mut top = r.document();
    let sip = sip(r, top.section("sip"));
    let media = media(r, top.section("media"), sip.as_ref());
    let xmpp = xmpp(top.section("xmpp"));
    let rooms = rooms(top.section("rooms"), xmpp.as_ref());
    let keypad = keypad(top.section("keypad"), &Keypad::default());
    let declared = declared(top.sections("room"), &rooms.template, &keypad);
    let numbers = numbers::numbers(top.section("numbers"), &declared);
    // Users are looked at even if [sip] is wrong, so that their mistakes are told in the same run.
    let (domain, realm) = sip
        .as_ref()
        .map_or(("invalid", "invalid"), |s| (s.domain.as_str(), s.realm.as_str()));
    let accounts = users(top.sections("user"), domain, realm);
    let trunks = trunk::trunks(top.sections("trunk"), &accounts);
    let mut store = top.section("store");
    let path = store.text("path", parse::path);
    store.finish();
    let mut control = top.section("control");
    let socket = control.text("socket", parse::path);
    control.finish();
    let recording = recording(r, top.section("recording"));
    let dial = super::dial::dial(top.section("dial"), sip.as_ref().map(|s| s.domain.as_str()));
    let prompts = super::prompts::prompts(r, top.section("prompts"));
    let log = log(top.section("log"));
    top.finish();
    Some(Config {
        sip: sip?,
        media,
        xmpp: xmpp?,
        rooms,
        declared,
        directory: Arc::new(ConfigDirectory::new(accounts)),
        trunks,
        store: r.path(path.unwrap_or_else(|| "/var/lib/cusax/cusax.db".into())),
        control: r.path(socket.unwrap_or_else(|| "/run/cusax/control.sock".into())),
        recording,
        log,
        keypad,
        dial,
        prompts,
        numbers,
        warnings: Vec::new(),
    })
}

fn sip(r: &Reader<'_>, mut s: Section<'_>) -> Option<Sip> {
    let domain = s.required("domain", parse::sip_host);
    let listen = distinct(&mut s, "listen", parse::listen);
    let advertise = Advertise {
        entries: s.list("advertise", parse::advertise).unwrap_or_default(),
    };
    let tls_name = s.text("tls_name", parse::sip_host);
    let tls = tls::files(r, &mut s, [&domain, &tls_name]);
    let wants_tls = listen.iter().flatten().any(|l| l.transport.is_protected());
    if wants_tls && !s.any_given(&[tls::CERTIFICATE]) {
        s.mistake("listen", format!("TLS needs `{}` and `{}`", tls::CERTIFICATE, tls::KEY));
    }
    if tls.is_some() && listen.is_some() && !wants_tls {
        s.warning(tls::CERTIFICATE, "is not used: no address in `listen` is for TLS");
    }
    let realm = s.text("realm", not_empty);
    let digest = distinct(&mut s, "digest", choice(parse::DIGEST));
    let anonymous = s.flag("anonymous").unwrap_or(true);
    let codecs = distinct(&mut s, "codecs", choice(parse::CODECS));
    let notify_interval = seconds(s.number("notify_interval_s", 0..=60).unwrap_or(5));
    let websocket_origins = s.list("websocket_origins", parse::origin).unwrap_or_default();
    let dns = s.list("dns", parse::socket_address).unwrap_or_default();
    let hop_limit = seconds(s.number("hop_limit_s", 1..=32).unwrap_or(4));
    let factory = s.text("factory", parse::room_name);
    s.finish();
    let everywhere = |transport| Listen {
        transport,
        address: ([0, 0, 0, 0], parse::default_port(transport)).into(),
    };
    let by_default = || {
        let secure = tls.as_ref().map(|_| Transport::Tls);
        [Transport::Udp, Transport::Tcp].into_iter().chain(secure).map(everywhere).collect()
    };
    Some(Sip {
        realm: realm.or_else(|| domain.clone())?,
        domain: domain?,
        listen: listen.unwrap_or_else(by_default),
        advertise,
        tls,
        tls_name,
        websocket_origins,
        anonymous,
        digest: digest.unwrap_or_else(|| vec![Digest::Sha256, Digest::Md5]),
        codecs: codecs.unwrap_or_else(|| vec![Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma]),
        notify_interval,
        factory,
        dns,
        hop_limit,
    })
}

fn media(r: &Reader<'_>, mut s: Section<'_>, sip: Option<&Sip>) -> Media {
    let listen = distinct(&mut s, "listen", parse::ip).unwrap_or_else(|| vec![[0, 0, 0, 0].into()]);
    for family in [true, false] {
        if listen.iter().filter(|a| a.is_ipv4() == family).count() > 1 {
            s.mistake("listen", "has two addresses of one family");
        }
    }
    let music = s.text("music", parse::path).map(|path| r.path(path));
    if let Some(path) = &music
        && let Err(error) = std::fs::File::open(path)
    {
        s.mistake("music", format!("{} can't be read: {error}", path.display()));
    }
    let media = Media {
        listen,
        advertise: Advertise {
            entries: s.list("advertise", parse::advertise).unwrap_or_default(),
        },
        ports: s.text("ports", parse::ports).unwrap_or(16384..=32767),
        threads: s.number("threads", 0..=1024).map_or(0, usize_of),
        music,
        timeout: seconds(s.number("timeout_s", 2..=86_400).unwrap_or(60)),
        srtp: s.text("srtp", choice(parse::SRTP)).unwrap_or_default(),
        gain_control: s.flag("gain_control").unwrap_or(false),
        noise_suppression: s.flag("noise_suppression").unwrap_or(false),
    };
    let hidden = sip.is_none_or(|sip| sip.listen.iter().any(|l| l.transport.is_protected()));
    if media.srtp == Policy::Required && !hidden {
        let problem =
            "keys that phones send in plain SIP do not count, and [sip] listen names no tls address: only phones with DTLS-SRTP can call";
        s.warning("srtp", problem);
    }
    s.finish();
    media
}

fn recording(r: &Reader<'_>, mut s: Section<'_>) -> Option<Recording> {
    let folder = s.text("folder", parse::path).map(|path| r.path(path));
    let format = s.text("format", choice(parse::RECORDING)).unwrap_or(RecordingFormat::Ogg);
    let rate = s.number("rate", 8000..=48_000).map_or(16_000, |rate| rate as u32);
    if ![8000, 16_000, 48_000].contains(&rate) {
        s.mistake("rate", "is none of 8000, 16000, 48000");
    }
    if let Some(missing) = folder.as_ref().filter(|folder| !folder.is_dir()) {
        s.mistake("folder", format!("there is no folder {}", missing.display()));
    }
    s.finish();
    Some(Recording {
        folder: folder?,
        format,
        rate,
    })
}

fn xmpp(mut s: Section<'_>) -> Option<Xmpp> {
    let server = s.text("server", parse::server).unwrap_or_else(|| "127.0.0.1:5347".to_owned());
    let rooms = s.required("rooms", parse::jid_domain);
    let phones = s.required("phones", parse::jid_domain);
    let (secret, given) = (s.secret("secret", "secret_file"), s.any_given(&["secret", "secret_file"]));
    let phones_secret = s.secret("phones_secret", "phones_secret_file").or_else(|| secret.clone());
    let plaintext_ok = s.text("plaintext_ok", not_empty);
    let name = s.text("name", not_empty).unwrap_or_else(|| "Conference rooms".to_owned());
    let join_uri = s.flag("join_uri").unwrap_or(true);
    if secret.is_none() && !given {
        let variable = s.variable("secret");
        s.mistake(
            "secret",
            format!("must be given, here, in the file that `secret_file` names, or as {variable}"),
        );
    }
    if rooms.is_some() && rooms == phones {
        s.mistake("phones", "is the domain of the rooms too; it takes one of its own");
    }
    if !parse::is_loopback(&server) && plaintext_ok.is_none() {
        let problem = "is not on this machine, and the component protocol is not encrypted: \
                       put an encrypted tunnel before it, or say in `plaintext_ok` why that is safe";
        s.mistake("server", problem);
    }
    s.finish();
    Some(Xmpp {
        server,
        rooms: rooms?,
        phones: phones?,
        phones_secret: phones_secret?,
        rooms_secret: secret?,
        name,
        join_uri,
    })
}

fn rooms(mut s: Section<'_>, xmpp: Option<&Xmpp>) -> Rooms {
    let parent = xmpp
        .and_then(|x| x.rooms.domain().as_str().split_once('.'))
        .and_then(|(_, parent)| parse::jid_domain(parent).ok());
    let rooms = Rooms {
        create: s.text("create", choice(parse::CREATE)).unwrap_or(Create::OwnDomains),
        own_domains: s
            .list("own_domains", parse::jid_domain)
            .unwrap_or_else(|| parent.into_iter().collect()),
        admins: s.list("admins", parse::account).unwrap_or_default(),
        limit: s.number("limit", 1..=1_000_000).map_or(10_000, usize_of),
        kick_quarantine: seconds(s.number("kick_quarantine_s", 0..=86_400).unwrap_or(60)),
        phone_occupants: s.number("phone_occupants", 0..=10_000).map_or(200, usize_of),
        phone_delay: seconds(s.number("phone_delay_s", 0..=3600).unwrap_or(20)),
        template: sizes(&mut s, RoomConfig::default()),
    };
    if rooms.create == Create::Admins && rooms.admins.is_empty() {
        s.warning("create", "only admins may create rooms, and there are none");
    }
    s.finish();
    rooms
}

/// The keys that `[rooms]` and `[[room]]` share.
fn sizes(s: &mut Section<'_>, base: RoomConfig) -> RoomConfig {
    let max_people = s.number("max_people", 1..=100_000).unwrap_or(base.max_people);
    let history_length = s.number("history", 0..=1000).unwrap_or(base.history_length);
    let given = s.number("mixing_rate", 8000..=48_000);
    let mixing_rate = given
        .filter(|rate| [8000, 16_000, 48_000].contains(rate))
        .unwrap_or(base.mixing_rate);
    if given.is_some_and(|rate| rate != mixing_rate) {
        s.mistake("mixing_rate", "must be 8000, 16000 or 48000");
    }
    let tones = s.flag("tones").unwrap_or(base.tones);
    let sized = RoomConfig {
        max_people,
        history_length,
        mixing_rate,
        tones,
        ..base
    };
    meeting::meeting(s, sized)
}

fn declared(sections: Vec<Section<'_>>, template: &RoomConfig, keypad: &Keypad) -> Vec<RoomRecord> {
    let mut records: Vec<RoomRecord> = Vec::new();
    for mut s in sections {
        let name = s.required("name", parse::room_name);
        if let Some(name) = &name {
            s.name = format!("room.{name}");
            if records.iter().any(|other| other.name == *name) {
                s.mistake("name", "two rooms of this name");
            }
        }
        records.extend(room(s, name, template, keypad, &records));
    }
    records
}

fn room(mut s: Section<'_>, name: Option<RoomName>, template: &RoomConfig, keypad: &Keypad, others: &[RoomRecord]) -> Option<RoomRecord> {
    let mut affiliations = BTreeMap::new();
    // The greatest standing last, so that it stays when somebody is listed twice.
    for (key, affiliation) in [
        ("members", Affiliation::Member),
        ("admins", Affiliation::Admin),
        ("owners", Affiliation::Owner),
    ] {
        let list = s.list(key, parse::account).unwrap_or_default();
        affiliations.extend(list.into_iter().map(|jid| (jid, affiliation)));
    }
    if !affiliations.values().any(|a| *a >= Affiliation::Admin) {
        s.warning("name", "has neither owners nor admins: nobody in the chat can moderate it");
    }
    let sized = sizes(&mut s, template.clone());
    let flag = |s: &mut Section<'_>, key, default| s.flag(key).unwrap_or(default);
    let config = RoomConfig {
        title: s.text("title", parse::any).unwrap_or_default(),
        description: s.text("description", parse::any).unwrap_or_default(),
        public: flag(&mut s, "public", sized.public),
        persistent: true,
        members_only: flag(&mut s, "members_only", sized.members_only),
        moderated: flag(&mut s, "moderated", sized.moderated),
        whois: if flag(&mut s, "non_anonymous", false) {
            Whois::Anyone
        } else {
            Whois::Moderators
        },
        password: s.secret("password", "password_file").map(|p| p.reveal().to_owned()),
        chat_voice_governs_audio: flag(&mut s, "chat_voice_governs_audio", sized.chat_voice_governs_audio),
        membership_governs_audio: flag(&mut s, "membership_governs_audio", sized.membership_governs_audio),
        keypad: own_keypad(&mut s, keypad),
        ..sized
    };
    let audio = s.text("audio", choice(parse::AUDIO));
    let config = numbers::entry(&mut s, audio, config);
    numbers::distinct(&s, config.number.as_ref(), others);
    s.finish();
    Some(RoomRecord {
        name: name?,
        config,
        locked_until_configured: false,
        from_config: true,
        affiliations,
        voice: BTreeMap::new(),
        subject: None,
        history: Vec::new(),
    })
}

fn users(sections: Vec<Section<'_>>, domain: &str, realm: &str) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for mut s in sections {
        let id = s.required("id", not_empty);
        if let Some(id) = &id {
            s.name = format!("user.{id}");
            if accounts.iter().any(|other| other.id == *id) {
                s.mistake("id", "two users of this id");
            }
        }
        accounts.extend(user(s, id, domain, realm, &accounts));
    }
    accounts
}

fn user(mut s: Section<'_>, id: Option<String>, domain: &str, realm: &str, others: &[Account]) -> Option<Account> {
    let name = s.text("name", not_empty);
    let (aor, jid) = (s.text("sip", parse::sip_user(domain)), s.text("jid", parse::account));
    if !s.any_given(&["sip", "jid"]) {
        s.mistake("id", "has neither `sip` nor `jid`");
    }
    // Rule R1: what two claim proves neither.
    if aor.is_some() && others.iter().any(|other| other.aor == aor) {
        s.warning("sip", "another user has it too, so it proves nobody");
    }
    if jid.is_some() && others.iter().any(|other| other.jid == jid) {
        s.warning("jid", "another user has it too, so it proves nobody");
    }
    let digest = digest(&mut s, aor.as_ref(), realm);
    s.finish();
    Some(Account {
        name: name.or_else(|| id.clone())?,
        id: id?,
        aor,
        jid,
        digest,
    })
}

fn digest(s: &mut Section<'_>, aor: Option<&Aor>, realm: &str) -> Option<DigestKeys> {
    let secret = s.secret("secret", "secret_file");
    let (md5, sha256) = (s.text("ha1_md5", parse::hex(32)), s.text("ha1_sha256", parse::hex(64)));
    let given = s.any_given(&["secret", "secret_file", "ha1_md5", "ha1_sha256"]);
    let aor = aor?;
    match (secret, md5, sha256) {
        (Some(secret), None, None) => Some(keys(aor.user(), realm, &secret)),
        (None, Some(md5), Some(sha256)) => Some(DigestKeys { md5, sha256 }),
        (None, None, None) if !given => {
            let variable = s.variable("secret");
            s.mistake(
                "sip",
                format!("nobody can sign in as them: give `secret`, `secret_file`, {variable}, or both `ha1_md5` and `ha1_sha256`"),
            );
            None
        }
        (None, None, None) => None,
        (Some(_), _, _) | (None, Some(_), None) | (None, None, Some(_)) => {
            s.mistake("sip", "give either a secret, or both `ha1_md5` and `ha1_sha256`");
            None
        }
    }
}

/// `H(user:realm:secret)` (RFC 7616 section 3.4.2).
fn keys(user: &str, realm: &str, secret: &Secret) -> DigestKeys {
    let text = format!("{user}:{realm}:{}", secret.reveal());
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    DigestKeys {
        md5: hex(&Md5::digest(&text)),
        sha256: hex(&Sha256::digest(&text)),
    }
}

fn log(mut s: Section<'_>) -> Log {
    let log = Log {
        level: s.text("level", choice(parse::LEVELS)).unwrap_or(tracing::Level::INFO),
        json: s.text("format", choice(parse::FORMATS)).unwrap_or(false),
    };
    s.finish();
    log
}

/// A list that is neither empty nor says anything twice.
fn distinct<T: PartialEq>(s: &mut Section<'_>, key: &'static str, parse: impl Fn(&str) -> Result<T, String>) -> Option<Vec<T>> {
    let list = s.list(key, parse)?;
    if list.is_empty() {
        s.mistake(key, "names nothing usable");
    }
    if list.iter().enumerate().any(|(n, item)| list[..n].contains(item)) {
        s.mistake(key, "says the same twice");
    }
    Some(list)
}

fn seconds(n: u32) -> Duration {
    Duration::from_secs(n.into())
}

fn usize_of(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
