//! `[dial]`: whom rooms may call, at whose wish, and how much of it (rule R47).

use std::time::Duration;

use super::{
    parse::{self, choice},
    read::Section,
    trunk::{TRANSPORT, prefix, server},
};
use crate::model::dial::{DialPlan, DialRight};

/// Calls that rooms make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// Whom, and at whose wish.
    pub plan: DialPlan,
    /// Where calls to our own people and to telephones are sent, as a SIP URI without a user; none: by their own domain, and by trunks.
    pub proxy: Option<String>,
    /// How long somebody's phone rings.
    pub no_answer: Duration,
    /// At once, on the whole server.
    pub at_once: usize,
    /// Begun in a minute.
    pub per_minute: usize,
    /// Begun in a minute at one person's wish.
    pub per_asker: usize,
    /// Minutes of calls that leave our own domain, each day.
    pub minutes_per_day: u64,
}

/// What may be called, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Internal,
    Numbers,
    Foreign,
}

const RIGHT: &[(&str, DialRight)] = &[
    ("operator", DialRight::Operator),
    ("moderators", DialRight::Moderators),
    ("participants", DialRight::Participants),
];

const CLASS: &[(&str, Class)] = &[
    ("internal", Class::Internal),
    ("numbers", Class::Numbers),
    ("foreign", Class::Foreign),
];

/// Special rates of North America, of international services and satellites, and of some countries of Europe; and as they are dialled at home.
const PREMIUM: &[&str] = &[
    "+1900", "+1976", "+979", "+870", "+881", "+882", "+883", "+49900", "+49137", "+43900", "+43930", "+41900", "+41901", "+41906", "+449",
    "+3389", "+39899", "+34803", "+34806", "+34807", "+31900", "+31906", "+31909", "1900", "0900",
];

const EMERGENCY: &[&str] = &["112", "911", "999", "110", "000", "113", "118", "119"];

/// Reads the section; `domain`: that of the rooms.
pub(super) fn dial(mut s: Section<'_>, domain: Option<&str>) -> Dial {
    let classes = s.list("allow", choice(CLASS)).unwrap_or_else(|| vec![Class::Internal]);
    let given = |list: Option<Vec<String>>, usual: &[&str]| list.unwrap_or_else(|| usual.iter().map(|n| (*n).to_owned()).collect());
    let mut domains: Vec<String> = domain.map(str::to_owned).into_iter().collect();
    domains.extend(s.list("domains", parse::sip_host).unwrap_or_default());
    let transport = s.text("transport", choice(TRANSPORT));
    let proxy = s.text("proxy", server).map(|host| match transport {
        Some(transport) => format!("sip:{host};transport={transport}"),
        None => format!("sip:{host}"),
    });
    if transport.is_some() && proxy.is_none() && !s.any_given(&["proxy"]) {
        s.warning("transport", "is not used: there is no `proxy`");
    }
    let count = |s: &mut Section<'_>, key, usual: u32| s.number(key, 0..=100_000).unwrap_or(usual);
    let usize_of = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
    let dial = Dial {
        plan: DialPlan {
            right: s.text("who", choice(RIGHT)).unwrap_or_default(),
            domains,
            internal: classes.contains(&Class::Internal),
            numbers: classes.contains(&Class::Numbers),
            foreign: classes.contains(&Class::Foreign),
            premium: given(s.list("premium", prefix), PREMIUM),
            emergency: given(s.list("emergency", prefix), EMERGENCY),
            per_room: usize_of(count(&mut s, "per_room", 10)),
        },
        proxy,
        no_answer: Duration::from_secs(s.number("no_answer_s", 5..=180).unwrap_or(60)),
        at_once: usize_of(count(&mut s, "at_once", 50)),
        per_minute: usize_of(count(&mut s, "per_minute", 30)),
        per_asker: usize_of(count(&mut s, "per_asker", 5)),
        minutes_per_day: s.number("minutes_per_day", 0..=1_000_000).unwrap_or(600),
    };
    s.finish();
    dial
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Config, check::check};
    use crate::model::dial::{DialRight, Undialable};

    const SMALL: &str =
        "[sip]\ndomain = 'conf.example.com'\n[xmpp]\nrooms = 'rooms.example.com'\nphones = 'phones.example.com'\nsecret = 'S'\n";

    fn read(dial: &str) -> Result<Config, Vec<String>> {
        let list = check(&format!("{SMALL}[dial]\n{dial}"), Path::new("/"), &|_| None);
        list.map_err(|m| m.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn f2_nothing_that_may_cost_money_is_called_unless_the_operator_says_so() {
        let plan = read("").expect("no mistake").dial.plan;
        assert_eq!(plan.right, DialRight::Moderators);
        assert!(plan.read("bob@conf.example.com").is_ok());
        assert_eq!(plan.read("+4930123456"), Err(Undialable::Class));
        assert_eq!(plan.read("bob@elsewhere.example"), Err(Undialable::Class));
        assert_eq!(plan.read("112"), Err(Undialable::Emergency));
        assert_eq!(plan.read("+1 900 5550123"), Err(Undialable::Premium));
    }

    #[test]
    fn what_may_be_called_and_how_is_read() {
        let dial = read(
            "allow = ['internal', 'numbers']\nwho = 'participants'\ndomains = ['Example.com']\nproxy = 'pbx.example.com:5070'\ntransport = 'tls'\n\
             premium = ['+4930']\nemergency = []\nno_answer_s = 20\nper_room = 2\n",
        );
        let dial = dial.expect("no mistake").dial;
        assert_eq!(dial.proxy.as_deref(), Some("sip:pbx.example.com:5070;transport=tls"));
        assert_eq!((dial.no_answer.as_secs(), dial.plan.per_room), (20, 2));
        assert_eq!(dial.plan.domains, ["conf.example.com", "example.com"]);
        assert_eq!(dial.plan.read("+4930123456"), Err(Undialable::Premium));
        assert!(dial.plan.read("+4940123456").is_ok());
        assert!(
            dial.plan.read("112").is_ok(),
            "an extension of that number, where the operator says so"
        );
    }

    #[test]
    fn mistakes_are_told() {
        let told = read("allow = ['everything']\nwho = 'all'\nproxy = 'sip pbx'\npremium = ['0900x']\nno_answer_s = 1\n");
        assert_eq!(
            told.expect_err("mistakes"),
            [
                "line 8: dial.allow: must be one of \"internal\", \"numbers\", \"foreign\"",
                "line 9: dial.who: must be one of \"operator\", \"moderators\", \"participants\"",
                "line 10: dial.proxy: must be a host, with a port if it isn't the usual one, like \"sip.example.com:5060\"",
                "line 11: dial.premium: must be the beginning of a number, like \"+49\" or \"0\"",
                "line 12: dial.no_answer_s: must be a whole number from 5 to 180",
            ]
        );
    }
}
