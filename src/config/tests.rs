//! Whole documents through the check: all mistakes with their lines, secrets from three places, and the reference's truth.

use std::{net::IpAddr, path::Path};

use super::{check::check, *};
use crate::model::{Affiliation, Aor, AudioAccess, Directory, KeyAction, Whois, entry::NumberTarget, srtp::Policy};

const SMALL: &str =
    "[sip]\ndomain = 'conf.example.com'\n[xmpp]\nrooms = 'rooms.example.com'\nphones = 'phones.example.com'\nsecret = 'S'\n";

fn nothing(_: &str) -> Option<String> {
    None
}

fn good(text: &str) -> Config {
    check(text, Path::new("/etc/cusax"), &nothing).expect("no mistake")
}

fn mistakes(text: &str) -> Vec<String> {
    let list = check(text, Path::new("/etc/cusax"), &nothing).expect_err("mistakes");
    list.iter().map(ToString::to_string).collect()
}

#[test]
fn few_keys_are_enough() {
    let config = good(SMALL);
    assert_eq!(config.sip.realm, "conf.example.com");
    assert_eq!(config.sip.listen.len(), 2);
    assert_eq!(config.media.ports, 16384..=32767);
    assert_eq!(config.xmpp.server, "127.0.0.1:5347");
    assert_eq!(config.rooms.own_domains[0].to_string(), "example.com");
    assert_eq!(config.rooms.kick_quarantine, Duration::from_secs(60));
    assert_eq!(config.store, Path::new("/var/lib/cusax/cusax.db"));
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn all_mistakes_are_told_at_once_with_key_and_line() {
    let text = "\
[sip]
domain = 'conf example'
listen = ['udp:0.0.0.0:5060', 'sctp:0.0.0.0:5060']
codec = ['opus']

[media]
ports = '100-90'
threads = -1
listen = ['10.0.0.1', '10.0.0.2']

[xmpp]
server = '10.0.0.9:5347'
rooms = 'rooms.example.com'
phones = 'rooms.example.com'

[rooms]
create = 'everybody'
history = '50'

[[room]]
name = '1234'
owners = ['example.com']
[[room]]
title = 'No name'

[[user]]
id = 'ann'
sip = 'ann'

[logs]
level = 'info'
";
    let expected = [
        "line 2: sip.domain: must be a domain name",
        "line 3: sip.listen: must be a transport, an address and a port, like \"udp:0.0.0.0:5060\"",
        "line 4: sip.codec: unknown key (known here: domain, listen, advertise, tls_name, tls_certificate, tls_key, tls_ca, tls_client_ca, tls_client, realm, digest, anonymous, codecs, notify_interval_s, websocket_origins, dns, hop_limit_s, factory)",
        "line 7: media.ports: must be a range of at least two ports from 1024 on, like \"16384-32767\"",
        "line 8: media.threads: must be a whole number from 0 to 1024",
        "line 9: media.listen: has two addresses of one family",
        "line 11: xmpp.secret: must be given, here, in the file that `secret_file` names, or as CUSAX_XMPP_SECRET",
        "line 12: xmpp.server: is not on this machine, and the component protocol is not encrypted: put an encrypted tunnel before it, or say in `plaintext_ok` why that is safe",
        "line 14: xmpp.phones: is the domain of the rooms too; it takes one of its own",
        "line 17: rooms.create: must be one of \"own-domains\", \"admins\", \"anyone\", \"nobody\"",
        "line 18: rooms.history: must be a whole number from 0 to 1000",
        "line 21: room[1].name: \"1234\" can't be a room's name: room names of digits only belong to the number map",
        "line 22: room[1].owners: must be a chat address without resource, like \"ann@example.com\"",
        "line 23: room[2].name: must be given",
        "line 28: user.ann.sip: nobody can sign in as them: give `secret`, `secret_file`, CUSAX_USER_ANN_SECRET, or both `ha1_md5` and `ha1_sha256`",
        "line 30: logs: unknown section (known here: sip, media, xmpp, rooms, keypad, room, numbers, user, trunk, store, control, recording, dial, prompts, log)",
    ];
    assert_eq!(mistakes(text), expected);
}

#[test]
fn mistakes_of_syntax_come_with_the_others() {
    let found = mistakes("[sip]\ndomain = conf.example.com\nanonymous = 3\n");
    assert!(found.iter().any(|m| m.starts_with("line 2: ")), "{found:?}");
    assert!(
        found.contains(&"line 3: sip.anonymous: must be true or false, not a number".to_owned()),
        "{found:?}"
    );
    assert!(found.contains(&"xmpp.rooms: must be given".to_owned()), "{found:?}");
}

#[test]
fn wrong_kinds_are_mistakes_not_panics() {
    assert_eq!(
        mistakes(&format!("room = 3\nuser = ['x']\nlog = 'info'\n{SMALL}")),
        [
            "line 1: room: must be a list of sections `[[room]]`, not a number",
            "line 2: user: must be a list of sections `[[user]]`; this is a text",
            "line 3: log: must be a section `[log]`, not a text",
        ]
    );
    assert_eq!(mistakes("\u{0}[[["), mistakes("\u{0}[[["));
}

#[test]
fn secrets_come_from_the_file_from_a_file_or_from_the_environment() {
    let folder = std::env::temp_dir().join(format!("cusax-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("writable");
    std::fs::write(folder.join("component.secret"), "from a file\n").expect("writable");
    let text = SMALL.replace("secret = 'S'", "secret_file = 'component.secret'");
    let from_file = check(&text, &folder, &nothing).expect("no mistake");
    let environment = |name: &str| (name == "CUSAX_XMPP_SECRET").then(|| "from the environment".to_owned());
    let from_environment = check(&text, &folder, &environment).expect("no mistake");
    let both = check(&format!("{text}secret = 'x'\n"), &folder, &nothing).expect_err("two secrets");
    let missing = check(&text, Path::new("/nonexistent"), &nothing).expect_err("no such file");
    std::fs::remove_dir_all(&folder).expect("removable");
    assert_eq!(good(SMALL).xmpp.rooms_secret.reveal(), "S");
    assert_eq!(from_file.xmpp.rooms_secret.reveal(), "from a file");
    assert_eq!(from_file.xmpp.phones_secret.reveal(), "from a file");
    assert_eq!(from_environment.xmpp.rooms_secret.reveal(), "from the environment");
    assert_eq!(both[0].to_string(), "line 6: xmpp.secret_file: `secret` is given too; one of them");
    assert!(
        missing[0]
            .to_string()
            .starts_with("line 6: xmpp.secret_file: /nonexistent/component.secret: "),
        "{missing:?}"
    );
}

#[test]
fn secrets_are_never_printed() {
    let text = format!("{SMALL}[[user]]\nid = 'ann'\nsip = 'ann'\nsecret = 'Zanzibar'\n[[room]]\nname = 'r'\npassword = 'Zanzibar'\n")
        .replace("'S'", "'Zanzibar'");
    let printed = format!("{:?}", good(&text));
    assert!(!printed.contains("Zanzibar"), "{printed}");
    let wrong = mistakes(&text.replace("'ann'\nsecret", "'a nn'\nsecret")).join("\n");
    assert!(!wrong.contains("Zanzibar"), "{wrong}");
}

#[test]
fn r34_a_server_off_loopback_needs_a_reason() {
    let remote = SMALL.replace("[xmpp]", "[xmpp]\nserver = '192.0.2.1:5347'");
    assert!(mistakes(&remote)[0].starts_with("line 4: xmpp.server: is not on this machine"));
    good(&remote.replace("[xmpp]", "[xmpp]\nplaintext_ok = 'own wire'"));
    good(&SMALL.replace("[xmpp]", "[xmpp]\nserver = '[::1]:5347'"));
    good(&SMALL.replace("[xmpp]", "[xmpp]\nserver = 'localhost:5347'"));
    assert_eq!(
        mistakes(&SMALL.replace("[xmpp]", "[xmpp]\nserver = 'localhost.example.com:5347'")).len(),
        1
    );
    assert_eq!(mistakes(&remote.replace("[xmpp]", "[xmpp]\nplaintext_ok = ''")).len(), 2);
}

#[test]
fn r46_what_is_advertised_is_apart_from_what_is_listened_at() {
    let text = SMALL.replace(
        "[xmpp]",
        "advertise = ['203.0.113.7', '10.0.0.5=203.0.113.8', '2001:db8::7']\n[xmpp]",
    );
    let advertise = good(&text).sip.advertise;
    let of = |a: &str| advertise.of(a.parse::<IpAddr>().expect("an address")).map(|a| a.to_string());
    assert_eq!(of("0.0.0.0").as_deref(), Some("203.0.113.7"));
    assert_eq!(of("10.0.0.5").as_deref(), Some("203.0.113.8"));
    assert_eq!(of("::").as_deref(), Some("2001:db8::7"));
    assert_eq!(Advertise::default().of("10.0.0.5".parse().expect("an address")), None);
    let wrong = SMALL.replace("[xmpp]", "advertise = ['0.0.0.0', '::1=10.0.0.5']\n[xmpp]");
    assert_eq!(
        mistakes(&wrong),
        [
            "line 3: sip.advertise: must be an address that others can reach",
            "line 3: sip.advertise: joins two address families"
        ]
    );
}

#[test]
fn rooms_of_the_file_are_complete_records() {
    let text = format!(
        "{SMALL}[rooms]\nhistory = 7\nmixing_rate = 8000\n[[room]]\nname = 'StandUp'\nowners = ['ann@example.com']\n\
         members = ['ann@example.com', 'bob@example.com']\nmoderated = true\nnon_anonymous = true\naudio = 'members'\nmax_people = 9\ntones = true\n\
         lobby = true\nlecture = true\nwait_for_moderator = true\nalone_min = 5\nunmoderated_min = 0\n"
    );
    let config = good(&text);
    let room = &config.declared[0];
    assert_eq!(room.name.as_str(), "standup");
    assert!(room.from_config && room.config.persistent && !room.locked_until_configured);
    assert_eq!(
        (room.config.audio, room.config.whois, room.config.moderated),
        (AudioAccess::Members, Whois::Anyone, true)
    );
    assert_eq!(
        (room.config.history_length, room.config.mixing_rate, room.config.max_people),
        (7, 8000, 9)
    );
    assert!(room.config.tones && !config.rooms.template.tones);
    assert!(room.config.lobby && room.config.lecture && room.config.wait_for_moderator && !config.rooms.template.lobby);
    let standing: Vec<_> = room.affiliations.iter().map(|(jid, a)| (jid.to_string(), *a)).collect();
    assert_eq!(
        standing,
        [
            ("ann@example.com".to_owned(), Affiliation::Owner),
            ("bob@example.com".to_owned(), Affiliation::Member)
        ]
    );
    assert_eq!(
        mistakes(&format!("{text}[[room]]\nname = 'standup'\n")),
        ["line 25: room.standup.name: two rooms of this name"]
    );
    assert_eq!(
        mistakes(&text.replace("rate = 8000", "rate = 8001")),
        ["line 9: rooms.mixing_rate: must be 8000, 16000 or 48000"]
    );
}

#[test]
fn users_of_the_file_are_the_directory() {
    let text = format!(
        "{SMALL}[[user]]\nid = 'ann'\nname = 'Ann'\nsip = 'Mufasa'\nsecret = 'Circle Of Life'\njid = 'ann@example.com'\n\
         [[user]]\nid = 'bob'\nsip = 'bob@Other.example'\nha1_md5 = '{}'\nha1_sha256 = '{}'\n",
        "A".repeat(32),
        "b".repeat(64)
    )
    .replace(
        "domain = 'conf.example.com'",
        "domain = 'conf.example.com'\nrealm = 'testrealm@host.com'",
    );
    let directory = good(&text).directory;
    let ann = directory.by_sip_user("Mufasa").expect("known");
    assert_eq!(ann.aor, Some(Aor::from_normalised("sip:Mufasa@conf.example.com".into())));
    assert_eq!(ann.jid.expect("given").to_string(), "ann@example.com");
    // RFC 2617 section 3.5: the example's H(A1).
    assert_eq!(ann.digest.expect("a secret is given").md5, "939e7578ed9e3c518a452acee763bce9");
    let bob = directory
        .by_aor(&Aor::from_normalised("sip:bob@other.example".into()))
        .expect("known");
    assert_eq!(bob.digest.expect("keys are given").md5, "a".repeat(32));
}

#[test]
fn r72_a_policy_that_shuts_most_phones_out_is_warned_of() {
    let with = |policy: &str| good(&format!("{SMALL}[media]\nsrtp = '{policy}'\n"));
    assert_eq!((good(SMALL).media.srtp, with("never").media.srtp), (Policy::Allowed, Policy::Never));
    assert!(with("allowed").warnings.is_empty());
    assert_eq!(
        with("required").warnings[0].to_string(),
        "line 8: media.srtp: keys that phones send in plain SIP do not count, and [sip] listen names no tls address: only phones with DTLS-SRTP can call"
    );
    assert_eq!(
        mistakes(&format!("{SMALL}[media]\nsrtp = 'yes'\n")),
        ["line 8: media.srtp: must be one of \"never\", \"allowed\", \"required\""]
    );
}

#[test]
fn r01_what_two_users_claim_is_warned_of() {
    let text = format!("{SMALL}[[user]]\nid = 'ann'\njid = 'a@x'\n[[user]]\nid = 'bob'\njid = 'a@x'\n");
    let config = good(&text);
    assert_eq!(
        config.warnings[0].to_string(),
        "line 12: user.bob.jid: another user has it too, so it proves nobody"
    );
    assert_eq!(
        mistakes(&text.replace("'bob'", "'ann'")),
        ["line 11: user.ann.id: two users of this id"]
    );
}

#[test]
fn the_readmes_first_configuration_is_good() {
    let readme = include_str!("../../README.md");
    let indented = |line: &&str| line.is_empty() || line.starts_with("       ");
    let block: Vec<&str> = readme.lines().skip_while(|l| *l != "       [sip]").take_while(indented).collect();
    let config = good(&block.join("\n"));
    assert_eq!(
        (config.sip.domain.as_str(), config.declared[0].name.as_str()),
        ("conf.example.com", "standup")
    );
    assert_eq!(config.directory.accounts().len(), 1);
    assert!(config.warnings.is_empty(), "{:?}", config.warnings);
}

#[test]
fn r82_recordings_need_a_folder_that_is_there() {
    let recording = |section: &str| format!("{SMALL}[recording]\n{section}\n");
    let here = env!("CARGO_MANIFEST_DIR");
    let config = good(&recording(&format!("folder = '{here}'\nformat = 'wav'\nrate = 48000")));
    let found = config.recording.expect("a folder is given");
    assert_eq!((found.format, found.rate), (RecordingFormat::Wav, 48_000));
    assert_eq!(good(SMALL).recording, None);
    assert_eq!(mistakes(&recording("folder = '/nonexistent'")).len(), 1);
    assert_eq!(mistakes(&recording(&format!("folder = '{here}'\nrate = 44100"))).len(), 1);
    assert_eq!(good(&recording("format = 'ogg'")).recording, None);
    assert_eq!(mistakes(&format!("{SMALL}[media]\nmusic = '/nonexistent'\n")).len(), 1);
}

/// The reference's lines, those of the form `#key = value` uncommented unless they have no default.
fn uncommented() -> String {
    const WITHOUT_DEFAULT: &[&str] = &[
        "music",
        "folder",
        "tls_certificate",
        "tls_key",
        "tls_ca",
        "tls_client_ca",
        "tls_name",
        "secret_file",
        "phones_secret",
        "phones_secret_file",
        "plaintext_ok",
        "password",
        "password_file",
        "ha1_md5",
        "ha1_sha256",
        "transport",
        "certificate",
        "caller_id",
        "caller_name",
        "prefixes",
        "proxy",
        "factory",
        "rooms",
        "keypad",
        "pin",
        "pin_file",
        "moderator_pin",
        "moderator_pin_file",
        "number",
        "\"+49305550100\"",
        "\"+49305550199\"",
    ];
    let line = |line: &str| match line.strip_prefix('#').filter(|l| !l.starts_with(' ')) {
        Some(rest) if !WITHOUT_DEFAULT.contains(&rest.split(' ').next().unwrap_or_default()) => rest.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    REFERENCE.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_reference_shows_the_defaults() {
    let (as_it_is, with_defaults) = (good(REFERENCE), good(&uncommented()));
    assert_eq!(format!("{as_it_is:?}"), format!("{with_defaults:?}"));
    assert_eq!(as_it_is.declared, with_defaults.declared);
    assert_eq!(as_it_is.directory, with_defaults.directory);
}

#[test]
fn the_reference_lists_every_key() {
    let mut listed: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in REFERENCE.lines() {
        if line.starts_with('[') {
            listed.push((line.trim_matches(['[', ']']), Vec::new()));
        } else if let Some((key, _)) = line.trim_start_matches('#').split_once(" = ").filter(|(key, _)| !key.contains(' '))
            && let Some((_, keys)) = listed.last_mut()
        {
            keys.push(key);
        }
    }
    // The keys of [numbers] are the operator's own.
    for (section, mut keys) in listed.into_iter().filter(|(section, _)| *section != "numbers") {
        let header = if matches!(section, "room" | "user" | "trunk") {
            format!("[[{section}]]")
        } else {
            format!("[{section}]")
        };
        let unknown = mistakes(&format!("{header}\nno_such_key = 1\n"))
            .into_iter()
            .find(|m| m.contains("no_such_key"))
            .expect("unknown");
        let known = unknown
            .split("(known here: ")
            .nth(1)
            .expect("they are listed")
            .trim_end_matches(')')
            .to_owned();
        let mut known: Vec<&str> = known.split(", ").collect();
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known, "[{section}]");
    }
}

#[test]
fn keys_of_a_room_begin_with_those_of_all_rooms() {
    let table = "[keypad]\nmute = '**'\nlock = ''\n[[room]]\nname = 'a'\nowners = ['o@x']\n[[room]]\nname = 'b'\nowners = ['o@x']\n[room.keypad]\nlock = '*1'\n";
    let config = good(&format!("{SMALL}{table}"));
    let own = config.declared[1].config.keypad.as_ref().expect("a table of its own");
    assert_eq!(config.declared[0].config.keypad, None);
    let keys = |keypad: &Keypad| [KeyAction::Mute, KeyAction::Lock].map(|action| keypad.keys(action).map(str::to_owned));
    assert_eq!(keys(&config.keypad), [Some("**".to_owned()), None]);
    assert_eq!(keys(own), [Some("**".to_owned()), Some("*1".to_owned())]);
    let wrong = "[keypad]\nmute = '*2'\nhelp = 'x'\n[[room]]\nname = 'a'\nowners = ['o@x']\nkeypad = { tune = '*3' }\n";
    assert_eq!(
        mistakes(&format!("{SMALL}{wrong}"))[..2],
        [
            "line 7: keypad.who: clashes with `mute`, which would always be found first",
            "line 9: keypad.help: must be one to four of 0123456789*#, like \"*6\"; empty to do without"
        ]
    );
}

#[test]
fn prompts_are_of_a_language_and_another_than_the_built_in_one_needs_a_folder() {
    let prompts = |section: &str| format!("{SMALL}[prompts]\n{section}\n");
    let folder = std::env::temp_dir().join(format!("cusax-prompts-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("pt-BR")).expect("a folder");
    let shown = folder.display();
    assert_eq!(good(SMALL).prompts, None);
    assert_eq!(good(&prompts("language = 'en'")).prompts, None);
    let config = good(&prompts(&format!("folder = '{shown}'\nlanguage = 'pt-BR'")));
    assert_eq!(config.prompts, Some(folder.join("pt-BR")));
    assert_eq!(mistakes(&prompts("language = 'de'")).len(), 1);
    assert_eq!(mistakes(&prompts(&format!("folder = '{shown}'"))).len(), 1, "no en in it");
    assert_eq!(mistakes(&prompts("language = '../en'")).len(), 1);
    std::fs::remove_dir_all(folder).expect("it was there");
}

#[test]
fn r14_pins_numbers_and_the_number_map_are_checked() {
    let room = |name: &str, more: &str| format!("[[room]]\nname = '{name}'\nowners = ['o@x']\n{more}\n");
    let rooms = room("a", "pin = '1234'\nmoderator_pin = '567890'\nnumber = '4711'") + &room("b", "");
    let config = good(&format!(
        "{SMALL}{rooms}[numbers]\n'+49 (30) 5550-100' = 'a'\n'+4930199' = 'menu'\n"
    ));
    let a = &config.declared[0].config;
    assert_eq!((a.audio, a.number.as_deref()), (AudioAccess::Pin, Some("4711")));
    assert_eq!(config.declared[1].config.audio, AudioAccess::Anyone);
    assert_eq!(config.numbers.get("+4930199"), Some(&NumberTarget::Menu));
    assert!(matches!(config.numbers.get("+49305550100"), Some(NumberTarget::Room(room)) if room.as_str() == "a"));
    let warned: Vec<String> = config.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warned,
        ["line 10: room.a.pin: has fewer than 6 digits, and is soon guessed by many callers together"]
    );

    let wrong = room("a", "audio = 'pin'\nnumber = '4711'")
        + &room("b", "pin = '123'\nnumber = '4711'")
        + &room("c", "pin = '123456'\nmoderator_pin = '123456'");
    let numbers = "[numbers]\n'call me' = 'a'\n'+491' = 'z'\n'+492' = 'menu'\n'+49-2' = 'a'\n";
    assert_eq!(
        mistakes(&format!("{SMALL}{wrong}{numbers}")),
        [
            "line 10: room.a.audio: needs `pin`, `pin_file` or CUSAX_ROOM_A_PIN",
            "line 15: room.b.pin: must be 4 to 16 digits",
            "line 16: room.b.number: another room has it",
            "line 21: room.c.moderator_pin: is everybody's PIN",
            "line 23: numbers.call me: must be a number, like \"+49305550100\"",
            "line 24: numbers.+491: there is no [[room]] \"z\"; a room's name, or \"menu\"",
            "line 26: numbers.+49-2: leads somewhere already",
        ]
    );
}
