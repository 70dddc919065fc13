//! Names that people are shown by: prepared, masked, and not to be taken for somebody else's (rules R13, R26).

use precis_core::profile::PrecisFastInvocation;
use precis_profiles::Nickname;
use unicode_security::confusable_detection::skeleton;

use super::Refusal;
use crate::model::Caller;

/// What every stand-in's nick ends in, and nobody else's.
pub(super) const SUFFIX: &str = " (phone)";
/// Longest nick of a stand-in, in characters.
const MAX_STAND_IN: usize = 40;
/// Longest nick of a chat user, in characters: four lines on a phone's screen.
const MAX_NICK: usize = 128;
/// Characters of a caller's name that are looked at: more than are ever shown, and few enough to compare.
const MAX_READ: usize = 64;
/// Digits of a name that is a number and nothing else, at least: extensions are short, but even these lead to one telephone.
const SHORTEST_WHOLE: usize = 3;
/// Digits of a number beside a name, at least: shorter ones are years, rooms and the like.
const SHORTEST_WITHIN: usize = 6;
/// Shown for a caller of whom nothing may or can be shown.
const NAMELESS: &str = "Caller";
const ANONYMOUS: &str = "Anonymous";

/// How a name looks whatever its case, by its skeleton (UTS 39 section 4). The skeletons of `I` and `i` differ, so it is taken of the name
/// as written and in lower case: two names with either in common can be confused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    written: String,
    folded: String,
}

impl Look {
    pub(super) fn of(name: &str) -> Self {
        Self {
            written: skeleton(name).collect::<String>().to_lowercase(),
            folded: skeleton(&name.to_lowercase()).collect(),
        }
    }

    pub(super) fn resembles(&self, other: &Self) -> bool {
        self.written == other.written || self.folded == other.folded
    }

    fn ends_in_suffix(&self) -> bool {
        let dense: String = self.folded.chars().filter(|c| !c.is_whitespace()).collect();
        let suffix: String = Self::of(SUFFIX).folded.chars().filter(|c| !c.is_whitespace()).collect();
        dense.ends_with(&suffix)
    }
}

/// Checks a nick that a chat user asks for, apart from who else has it.
pub(super) fn check(nick: &str) -> Result<Look, Refusal> {
    let look = Look::of(nick);
    let fits = !nick.trim().is_empty() && nick.chars().count() <= MAX_NICK;
    if fits && !nick.chars().any(is_hidden) && !look.ends_in_suffix() {
        Ok(look)
    } else {
        Err(Refusal::BadNick)
    }
}

/// What a caller is called when they have no nick: never empty, and without the stand-in's suffix.
pub(super) fn of_caller(caller: &Caller) -> String {
    match caller {
        Caller::Account { aor, name } => shown(name).or_else(|| shown(aor.user())),
        Caller::Claimed { uri, name } => name.as_deref().and_then(shown).or_else(|| shown(user_of(uri))),
        Caller::Anonymous => Some(ANONYMOUS.to_owned()),
        Caller::Trunk { number, name, .. } => name.as_deref().and_then(shown).or_else(|| shown(number)),
    }
    .unwrap_or_else(|| NAMELESS.to_owned())
}

/// The nick of a stand-in: `NAME (phone)`, or `NAME 2 (phone)` and so on when `taken` says that the name is somebody's.
pub(super) fn of_stand_in(name: &str, taken: impl Fn(&Look) -> bool) -> String {
    let mut number = 1_usize;
    loop {
        let ending = if number == 1 { String::new() } else { format!(" {number}") };
        let room = MAX_STAND_IN - SUFFIX.len() - ending.len();
        let short: String = name.chars().take(room).collect();
        let base = format!("{}{ending}", short.trim_end());
        if !taken(&Look::of(&base)) {
            return format!("{base}{SUFFIX}");
        }
        // Ends, because the names that are taken are finite.
        number += 1;
    }
}

/// The look of a nick without the stand-in's suffix.
pub(super) fn base_look(nick: &str) -> Look {
    Look::of(nick.strip_suffix(SUFFIX).unwrap_or(nick))
}

/// Prepares a name (RFC 8266), drops what can't be seen, masks it if it is a number; `None` if nothing is left.
fn shown(name: &str) -> Option<String> {
    let visible: String = name.chars().filter(|c| !is_hidden(*c)).take(MAX_READ).collect();
    let prepared = Nickname::enforce(visible.as_str()).map(std::borrow::Cow::into_owned).or_else(|_| {
        // One bad character shouldn't cost the whole name.
        let allowed: String = visible
            .chars()
            .filter(|c| *c == ' ' || Nickname::enforce(c.to_string()).is_ok())
            .collect();
        Nickname::enforce(allowed).map(std::borrow::Cow::into_owned)
    });
    let mut name = prepared.ok()?;
    while Look::of(&name).ends_in_suffix() {
        let cut = name.rfind(['(', '（']).unwrap_or(0);
        name.truncate(cut);
        name.truncate(name.trim_end().len());
    }
    (!name.is_empty()).then(|| mask(&name).chars().take(MAX_STAND_IN - SUFFIX.len()).collect())
}

/// `+49…12` for a number (rule R13); a name with a number in it keeps the name. Gateways put numbers and whole URIs where names belong.
fn mask(name: &str) -> String {
    let is_whole = dense(name).bytes().all(|b| b.is_ascii_digit() || b == b'+');
    let least = if is_whole { SHORTEST_WHOLE } else { SHORTEST_WITHIN };
    let mut masked = String::new();
    let mut rest = name;
    while let Some(start) = rest.find(|c: char| c == '+' || c.is_ascii_digit()) {
        let (before, from) = rest.split_at(start);
        let end = from
            .find(|c: char| c != '+' && !c.is_ascii_digit() && !is_separator(c))
            .unwrap_or(from.len());
        let number = from[..end].trim_end_matches(|c| c == '+' || is_separator(c));
        let (number, after) = from.split_at(number.len().max(1));
        masked.push_str(before);
        masked.push_str(&mask_number(number, least));
        rest = after;
    }
    masked + rest
}

fn mask_number(number: &str, least: usize) -> String {
    let dense = dense(number);
    let digits = dense.strip_prefix('+').unwrap_or(&dense);
    if digits.len() < least || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return number.to_owned();
    }
    // A short number's head and tail together would be all of it.
    let head = if digits.len() >= 8 { &dense[..3] } else { "" };
    format!("{head}…{}", &digits[digits.len() - 2..])
}

fn dense(name: &str) -> String {
    name.chars().filter(|c| !is_separator(*c)).collect()
}

fn is_separator(c: char) -> bool {
    matches!(c, ' ' | '-' | '.' | '/' | '(' | ')')
}

/// Control, format and bidirectional characters: they change how the rest reads.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The user part of a URI as given, which proves nothing and need not even be one.
fn user_of(uri: &str) -> &str {
    let rest = uri.split_once(':').map_or(uri, |(_, rest)| rest);
    let user = rest.split_once('@').map_or(rest, |(user, _)| user);
    user.split_once([';', '?', '>']).map_or(user, |(user, _)| user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Aor;

    fn claimed(uri: &str, name: Option<&str>) -> Caller {
        Caller::Claimed {
            uri: uri.to_owned(),
            name: name.map(str::to_owned),
        }
    }

    #[test]
    fn r13_numbers_are_masked() {
        assert_eq!(of_caller(&claimed("sip:+491701234512@gw.example", None)), "+49…12");
        assert_eq!(of_caller(&claimed("tel:+49-170-12345-12;phone-context=x", None)), "+49…12");
        assert_eq!(of_caller(&claimed("sip:x@y", Some("0170 / 123 45 12"))), "017…12");
        assert_eq!(
            of_caller(&claimed("sip:x@y", Some("１７００"))),
            "…00",
            "full-width digits are digits"
        );
        assert_eq!(
            of_caller(&Caller::Account {
                aor: Aor::from_normalised("sip:1004@a".into()),
                name: String::new()
            }),
            "…04"
        );
    }

    #[test]
    fn r13_a_number_beside_a_name_is_masked() {
        for (name, shown) in [
            ("+491701234512@gw.example", "+49…12@gw.example"),
            ("sip:+491701234512@gw.example;user=phone", "sip:+49…12@gw.example;user=phone"),
            ("Ann (0170 1234512)", "Ann (017…12)"),
            ("Ann 0170/123-45-12 mobile", "Ann 017…12 mobile"),
            ("Ann 2 (2024)", "Ann 2 (2024)"),
            ("Room 4711", "Room 4711"),
            ("C++", "C++"),
            ("(", "("),
        ] {
            assert_eq!(
                of_caller(&claimed("sip:x@y", Some(name))),
                shown.chars().take(32).collect::<String>()
            );
        }
    }

    #[test]
    fn r26_names_are_prepared_and_cut() {
        assert_eq!(of_caller(&claimed("sip:x@y", Some("  Ann\u{202e}  \u{7}Lee "))), "Ann Lee");
        assert_eq!(of_caller(&claimed("sip:x@y", Some("\u{202e}"))), "x");
        assert_eq!(of_caller(&claimed("sip:@y", Some("\u{1}"))), "Caller");
        assert_eq!(of_caller(&claimed("sip:x@y", Some("Bob (phone) (Phone)"))), "Bob");
        let endless = "(phone)".repeat(10_000);
        assert_eq!(
            of_caller(&claimed("sip:x@y", Some(&endless))).chars().count(),
            32,
            "read in part, shown in part"
        );
        let nick = of_stand_in(&"ä".repeat(90), |_| false);
        assert_eq!(nick.chars().count(), 40);
        assert!(nick.ends_with(SUFFIX));
        let second = of_stand_in(&"ä".repeat(90), |look| !look.written.ends_with('2'));
        assert_eq!(second.chars().count(), 40);
        assert!(second.ends_with(" 2 (phone)"));
    }

    #[test]
    fn r26_people_cannot_take_the_suffix() {
        for nick in [
            "Bob (phone)",
            "Bob(phone)",
            "Bob (PHONE)",
            "Bob (рhоnе)",
            "Bob  (phone) ",
            "(phone)",
        ] {
            assert_eq!(check(nick), Err(Refusal::BadNick), "{nick}");
        }
        assert!(check("Bob (mobile)").is_ok());
        assert_eq!(check(""), Err(Refusal::BadNick));
        assert_eq!(check(&"x".repeat(MAX_NICK + 1)), Err(Refusal::BadNick));
    }

    #[test]
    fn r26_look_alikes_are_found() {
        for (a, b) in [
            ("Alice", "alice"),
            ("Ivan", "lvan"),
            ("bob", "ВоЬ"),
            ("paypal", "раураl"),
            ("bob", "bob\u{301}"),
            ("Bern", "Bem"),
        ] {
            let alike = Look::of(a).resembles(&Look::of(b));
            assert_eq!(alike, b != "bob\u{301}", "{a} {b}");
        }
    }

    #[test]
    fn x6_anonymous_callers_have_no_name() {
        assert_eq!(of_caller(&Caller::Anonymous), "Anonymous");
    }
}
