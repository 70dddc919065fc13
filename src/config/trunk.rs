//! `[[trunk]]`: providers and PBXs, what they are known by and what they may.

use std::time::Duration;

use super::{
    parse::{self, choice},
    read::{Section, not_empty},
};
use crate::model::{
    Account, Pii, TrunkId,
    trunk::{AssertedIdentity, Network, RoomPattern, Trunk, TrunkCredentials},
};

const IDENTITY: &[(&str, AssertedIdentity)] = &[
    ("ignored", AssertedIdentity::Ignored),
    ("number", AssertedIdentity::Number),
    ("account", AssertedIdentity::Account),
];

pub(super) const TRANSPORT: &[(&str, &str)] = &[("udp", "udp"), ("tcp", "tcp"), ("tls", "tls")];

/// Reads all trunks, in the order in which they are tried. `accounts`: the users, whose names no trunk may have.
pub(super) fn trunks(sections: Vec<Section<'_>>, accounts: &[Account]) -> Vec<Trunk> {
    let mut trunks: Vec<Trunk> = Vec::new();
    for mut s in sections {
        let name = s.required("name", not_empty);
        if let Some(name) = &name {
            s.name = format!("trunk.{name}");
            if trunks.iter().any(|other| other.id.as_str() == name) {
                s.mistake("name", "two trunks of this name");
            }
        }
        trunks.extend(trunk(s, name, &trunks, accounts));
    }
    trunks.sort_by_key(|trunk| trunk.priority);
    trunks
}

fn trunk(mut s: Section<'_>, name: Option<String>, others: &[Trunk], accounts: &[Account]) -> Option<Trunk> {
    let transport = s.text("transport", choice(TRANSPORT));
    let server = s.text("server", server).map(|host| match transport {
        Some(transport) => format!("sip:{host};transport={transport}"),
        None => format!("sip:{host}"),
    });
    let credentials = credentials(&mut s);
    let login = s.flag("login").unwrap_or(false);
    if login && credentials.is_none() && !s.any_given(&["user"]) {
        s.mistake("login", "needs `user` and a secret beside it");
    }
    if login && let Some(TrunkCredentials { user, .. }) = &credentials {
        let is_theirs = |account: &Account| account.aor.as_ref().is_some_and(|aor| aor.user() == user);
        let is_same = |other: &&Trunk| other.login && other.credentials.as_ref().is_some_and(|c| c.user == *user);
        if accounts.iter().any(is_theirs) {
            s.mistake("user", "a [[user]] signs in by this name");
        } else if others.iter().any(|other| is_same(&other)) {
            s.mistake("user", "another trunk signs in by this name");
        }
    }
    let register = s.flag("register").unwrap_or(false);
    let expires = s.number("expires_s", 60..=86_400_u32).unwrap_or(600);
    let lacks = |s: &Section<'_>, there: bool, key| !there && !s.any_given(&[key]);
    if register && (lacks(&s, server.is_some(), "server") || lacks(&s, credentials.is_some(), "user")) {
        s.mistake("register", "needs `server`, `user` and a secret beside it");
    }
    let probe = s.number("probe_s", 0..=3600_u32).unwrap_or(30);
    let trunk = Trunk {
        id: TrunkId::new(name.as_deref().unwrap_or_default()),
        addresses: s.list("addresses", network).unwrap_or_default(),
        certificate: s.text("certificate", parse::sip_host),
        login,
        register: register.then(|| Duration::from_secs(expires.into())),
        probe: (probe > 0 && server.is_some()).then(|| Duration::from_secs(probe.into())),
        caller_id: s.text("caller_id", user),
        caller_name: s.text("caller_name", not_empty),
        trusted: s.flag("trusted").unwrap_or(false),
        identity: s.text("identity", choice(IDENTITY)).unwrap_or_default(),
        prefixes: s.list("prefixes", prefix).unwrap_or_default(),
        rooms: s.list("rooms", pattern).unwrap_or_else(|| vec![RoomPattern::all()]),
        priority: s.number("priority", 0..=u16::MAX).unwrap_or(0),
        credentials,
        server,
    };
    if !trunk.calls_in() && trunk.server.is_none() && !s.any_given(&["addresses", "certificate", "login", "server"]) {
        s.mistake(
            "name",
            "can neither call nor be called: give `server`, or `addresses`, `certificate` or `login`",
        );
    }
    if trunk.identity == AssertedIdentity::Account && trunk.certificate.is_none() && !trunk.login && !trunk.addresses.is_empty() {
        s.warning(
            "identity",
            "whoever can send from these addresses calls as any account; over UDP addresses can be forged",
        );
    }
    if trunk.server.is_none() && !trunk.prefixes.is_empty() && !s.any_given(&["server"]) {
        s.warning("prefixes", "is not used: there is no `server` to call through");
    }
    s.finish();
    name.map(|_| trunk)
}

fn credentials(s: &mut Section<'_>) -> Option<TrunkCredentials> {
    let (user, secret) = (s.text("user", user), s.secret("secret", "secret_file"));
    let has_secret = secret.is_some() || s.any_given(&["secret", "secret_file"]);
    if user.is_some() && !has_secret {
        let variable = s.variable("secret");
        s.mistake("user", format!("has no secret: give `secret`, `secret_file` or {variable}"));
    }
    if has_secret && user.is_none() && !s.any_given(&["user"]) {
        s.mistake("secret", "needs `user` beside it");
    }
    Some(TrunkCredentials {
        user: user?,
        secret: Pii(secret?.reveal().to_owned()),
    })
}

/// `sip.example.com`, `192.0.2.7:5070`, with `sip:` before it or not.
pub(super) fn server(text: &str) -> Result<String, String> {
    let wrong = || "must be a host, with a port if it isn't the usual one, like \"sip.example.com:5060\"".to_owned();
    let text = text.strip_prefix("sip:").unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') && !host.contains(':') | host.ends_with(']') => (host, Some(port)),
        Some(_) | None => (text, None),
    };
    if port.is_some_and(|p| p.parse::<u16>().map_or(true, |p| p == 0)) {
        return Err(wrong());
    }
    let host = parse::sip_host(host).map_err(|_| wrong())?;
    let host = match host.parse::<std::net::Ipv6Addr>() {
        Ok(_) => format!("[{host}]"),
        Err(_) => host,
    };
    Ok(port.map_or_else(|| host.clone(), |port| format!("{host}:{port}")))
}

/// A user name or number as it stands in a SIP URI.
fn user(text: &str) -> Result<String, String> {
    parse::sip_user("invalid")(text).map(|aor| aor.user().to_owned())
}

fn network(text: &str) -> Result<Network, String> {
    text.parse().map_err(str::to_owned)
}

pub(super) fn prefix(text: &str) -> Result<String, String> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let good = !text.is_empty() && digits.bytes().all(|b| b.is_ascii_digit() || b == b'*' || b == b'#');
    let wrong = "must be the beginning of a number, like \"+49\" or \"0\"";
    if good { Ok(text.to_owned()) } else { Err(wrong.to_owned()) }
}

fn pattern(text: &str) -> Result<RoomPattern, String> {
    RoomPattern::new(text).ok_or_else(|| "must be a room's name, or its beginning and a `*`".to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, check::check};

    const SMALL: &str =
        "[sip]\ndomain = 'conf.example.com'\n[xmpp]\nrooms = 'rooms.example.com'\nphones = 'phones.example.com'\nsecret = 'S'\n";

    fn read(trunks: &str) -> Result<Config, Vec<String>> {
        let text = format!("{SMALL}{trunks}");
        let list = check(&text, Path::new("/"), &|name| {
            (name == "CUSAX_TRUNK_PBX_SECRET").then(|| "from outside".to_owned())
        });
        list.map_err(|m| m.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn trunks_are_read_and_tried_in_order_of_priority() {
        let config = read(
            "[[trunk]]\nname = 'telco'\nserver = 'sip.telco.example'\ntransport = 'tls'\naddresses = ['192.0.2.0/24', '2001:db8::1']\n\
             user = '+49305550'\nsecret = 'hush'\nregister = true\nprefixes = ['+49']\nidentity = 'number'\npriority = 10\n\
             [[trunk]]\nname = 'pbx'\nserver = '[2001:db8::2]:5070'\nuser = 'pbx'\nlogin = true\nrooms = ['sales-*']\nprobe_s = 0\n",
        );
        let config = config.expect("no mistake");
        let [pbx, telco] = config.trunks.as_slice() else {
            panic!("two trunks")
        };
        assert_eq!(pbx.server.as_deref(), Some("sip:[2001:db8::2]:5070"));
        assert_eq!(pbx.credentials.as_ref().map(|c| c.secret.0.as_str()), Some("from outside"));
        assert_eq!((pbx.probe, pbx.register, pbx.carries("+491")), (None, None, false));
        assert_eq!(telco.server.as_deref(), Some("sip:sip.telco.example;transport=tls"));
        assert!(telco.carries("+49301") && !telco.carries("+43301"));
        assert_eq!(
            (telco.register.map(|t| t.as_secs()), telco.probe.map(|t| t.as_secs())),
            (Some(600), Some(30))
        );
        let shown = format!("{config:?}");
        assert!(!shown.contains("hush") && !shown.contains("from outside"), "{shown}");
    }

    #[test]
    fn all_mistakes_of_trunks_are_told_at_once() {
        let told = read(
            "[[user]]\nid = 'ann'\nsip = 'ann'\nsecret = 'x'\n\
             [[trunk]]\nname = 'a'\n\
             [[trunk]]\nname = 'b'\nserver = 'sip telco'\ntransport = 'sctp'\naddresses = ['192.0.2.0/40']\nprefixes = ['0x']\nrooms = ['a*b']\n\
             [[trunk]]\nname = 'c'\nuser = 'ann'\nsecret = 's'\nlogin = true\nregister = true\n\
             [[trunk]]\nname = 'd'\naddresses = ['192.0.2.1']\nuser = 'd'\n\
             [[trunk]]\nname = 'd'\naddresses = ['192.0.2.1']\nlogin = true\nsecret = 'x'\n",
        );
        let expected = [
            "line 12: trunk.a.name: can neither call nor be called: give `server`, or `addresses`, `certificate` or `login`",
            "line 15: trunk.b.server: must be a host, with a port if it isn't the usual one, like \"sip.example.com:5060\"",
            "line 16: trunk.b.transport: must be one of \"udp\", \"tcp\", \"tls\"",
            "line 17: trunk.b.addresses: must be an IP address or a network, like \"192.0.2.0/24\"",
            "line 18: trunk.b.prefixes: must be the beginning of a number, like \"+49\" or \"0\"",
            "line 19: trunk.b.rooms: must be a room's name, or its beginning and a `*`",
            "line 22: trunk.c.user: a [[user]] signs in by this name",
            "line 25: trunk.c.register: needs `server`, `user` and a secret beside it",
            "line 29: trunk.d.user: has no secret: give `secret`, `secret_file` or CUSAX_TRUNK_D_SECRET",
            "line 31: trunk.d.name: two trunks of this name",
            "line 33: trunk.d.login: needs `user` and a secret beside it",
            "line 34: trunk.d.secret: needs `user` beside it",
        ];
        assert_eq!(told.expect_err("mistakes"), expected);
    }
}
