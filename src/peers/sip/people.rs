//! People as SIP addresses them: whom a URI of a conference document, or somebody's own address, means (rule R13, RFC 4579 section 5.11).

use crate::model::{Caller, DialId, LegId};
use crate::room::{Room, Target, View};
use crate::sip::msg::Uri;

use super::state;

/// Whom a URI means: one call if it names one, else all of a person. `None`: nobody, or not one alone.
pub(super) fn find(room: &Room, uri: &str) -> Option<Target> {
    let asked = Uri::parse(uri).ok()?;
    let number = |name: &str| asked.as_sip()?.params.get(name)?.parse::<u64>().ok();
    let is = |candidate: &str| Uri::parse(candidate).is_ok_and(|uri| uri.equivalent(&asked));
    if let Some(dial) = number("dial") {
        let dial = room.dials().find(|d| u64::from(d.id.0) == dial)?;
        let person = dial.person.and_then(|id| room.person(id));
        let hers = person.is_some_and(|p| VIEWS.iter().any(|view| is(&state::entity(&p, *view))));
        return (hers || is(&dial.hidden_entity) || is_caller(&dial.caller, &is)).then_some(Target::Dial(DialId(dial.id.0)));
    }
    let named = |p: &crate::room::PersonView| {
        VIEWS.iter().any(|view| is(&state::entity(p, *view)))
            || is(&p.hidden_entity)
            || p.caller.as_ref().is_some_and(|c| is_caller(c, &is))
    };
    if let Some(leg) = number("leg") {
        let person = room.person(room.person_of_leg(LegId(leg))?).filter(named)?;
        return person.legs.iter().find(|l| l.id == LegId(leg)).map(|l| Target::Leg(l.id));
    }
    let mut people = room.people().filter(named).map(|p| Target::Person(p.id));
    let calls = || {
        let mut legs = room
            .people()
            .flat_map(|p| p.legs)
            .filter(|l| is(&l.endpoint))
            .map(|l| Target::Leg(l.id));
        legs.next().filter(|_| legs.next().is_none())
    };
    let dials = || {
        let mut dials = room
            .dials()
            .filter(|d| d.is_live() && (is(&d.hidden_entity) || is_caller(&d.caller, &is)))
            .map(|d| Target::Dial(d.id));
        dials.next().filter(|_| dials.next().is_none())
    };
    match (people.next(), people.next()) {
        (Some(person), None) => Some(person),
        (Some(_), Some(_)) => None,
        (None, _) => calls().or_else(dials),
    }
}

const VIEWS: [View; 3] = [View::Other, View::Member, View::Moderator];

fn is_caller(caller: &Caller, is: &impl Fn(&str) -> bool) -> bool {
    match caller {
        Caller::Account { aor, .. } => is(aor.as_str()),
        Caller::Claimed { uri, .. } => is(uri),
        Caller::Trunk { number, .. } => is(&format!("tel:{number}")),
        Caller::Anonymous => false,
    }
}
