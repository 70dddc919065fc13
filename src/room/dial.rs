//! Calls that the room makes (rule R47): asked for by somebody who may, shown while they are made, and let in like any other when they are answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::model::dial::Undialable;
use crate::model::origin::Asker;
use crate::model::{
    Actor, Caller, Correlation, DialFailure, DialId, DialState, DialTarget, Door, LegId, MediaOrder, Now, OccupantId, Origin, PersonId,
    Phrase, ReferId,
};

use rand::Rng;

use super::binding::{self, Key};
use super::doors::Knock;
use super::entry::Right;
use super::policy::{self, Asking};
use super::{Accepted, DialChange, DialOrder, DialView, Event, Refusal, Room, nick};

/// How long a call that came to nothing stays in view: as a departed one does (rule R52), and long enough to be read.
const FAILED_FOR: Duration = Duration::from_secs(30);
/// Rows of failed calls, at most; the oldest makes room.
const FAILED_MAX: usize = 50;

/// All of them, answered ones no longer.
#[derive(Debug, Default)]
pub(super) struct Dials {
    rows: BTreeMap<DialId, Dial>,
    last: u32,
}

#[derive(Debug)]
struct Dial {
    caller: Caller,
    name: String,
    state: DialState,
    /// When a failed one goes.
    until: Option<Instant>,
    asker: Option<OccupantId>,
    hidden_entity: String,
    correlation: Correlation,
    since_unix_ms: u64,
}

impl Dial {
    fn is_live(&self) -> bool {
        self.state.is_live()
    }
}

/// Somebody is to be called.
#[derive(Debug)]
pub(super) struct Wish {
    /// As typed.
    pub(super) target: String,
    pub(super) name: Option<String>,
    pub(super) confirmed: bool,
    pub(super) refer: Option<ReferId>,
}

/// Somebody whom we called has answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) leg: LegId,
    pub(super) ssrc: u32,
    pub(super) endpoint: String,
    pub(super) correlation: Correlation,
    pub(super) redirected: bool,
}

impl Room {
    /// Calls that are being made, and those that have just come to nothing, in the order in which they began.
    pub fn dials(&self) -> impl Iterator<Item = DialView> {
        self.dials.rows.iter().map(|(id, dial)| DialView {
            id: *id,
            name: dial.name.clone(),
            caller: dial.caller.clone(),
            person: Key::of_account(self.directory.as_ref(), &dial.caller).and_then(|key| self.roster.by_key(&key)),
            state: dial.state,
            hidden_entity: dial.hidden_entity.clone(),
            correlation: dial.correlation,
            since_unix_ms: dial.since_unix_ms,
        })
    }

    pub(super) fn dial(&mut self, now: Now, origin: &Origin, asking: &Asking, wish: Wish) -> Result<Accepted, Refusal> {
        let plan = &self.settings.dial;
        policy::dial(asking.power, plan.right)?;
        policy::invite(self.doors())?;
        let target = plan.read(&wish.target).map_err(refusal)?;
        // A phone can't be asked back: its holder is told.
        if target.leaves() && !wish.confirmed && origin.door != Door::Sip {
            return Err(Refusal::Unconfirmed);
        }
        if self.live_dials() + self.roster.dialed_out() >= plan.per_room {
            return Err(Refusal::TooManyDials);
        }
        if target.leaves()
            && let Asker::Leg(leg) = origin.by
        {
            // Checklist F-1.
            self.out.order(MediaOrder::Say(leg, vec![Phrase::CallLeaves]));
        }
        let caller = self.caller_of(&target, wish.name);
        let shown = nick::of_caller(&caller);
        let id = DialId(self.dials.last + 1);
        self.dials.last = id.0;
        let correlation = Correlation(self.rng.random());
        let order = DialOrder {
            target,
            correlation,
            asker: self.asker_key(asking),
            title: self.config.title.clone(),
            refer: wish.refer,
        };
        let asker = match origin.by {
            Asker::Occupant(occupant) => Some(occupant),
            Asker::Leg(_) | Asker::Jid(_) | Asker::Caller(_) | Asker::Operator => None,
        };
        let dial = Dial {
            caller,
            name: shown,
            state: DialState::DialingOut,
            until: None,
            asker,
            hidden_entity: binding::hidden_entity(&mut self.rng),
            correlation,
            since_unix_ms: now.unix_ms,
        };
        self.dials.rows.insert(id, dial);
        self.tell_dial(id, DialChange::Begun(Box::new(order)));
        Ok(Accepted::Dialing(id))
    }

    /// Takes back a call that isn't answered yet.
    pub(super) fn cancel_dial(&mut self, now: Now, asking: &Asking, id: DialId) -> Result<Accepted, Refusal> {
        policy::moderate(asking.power)?;
        if self.dials.rows.get(&id).is_none_or(|d| !d.is_live()) {
            return Err(Refusal::NoSuchTarget);
        }
        self.fail_dial(now, id, DialFailure::Cancelled);
        Ok(Accepted::Done)
    }

    /// They ring.
    pub(super) fn dial_alerts(&mut self, id: DialId) {
        if let Some(dial) = self.dials.rows.get_mut(&id).filter(|d| d.state == DialState::DialingOut) {
            dial.state = DialState::Alerting;
            self.tell_dial(id, DialChange::Alerting);
        }
    }

    /// It came to nothing: shown for a while, and told to whoever asked for it.
    pub(super) fn fail_dial(&mut self, now: Now, id: DialId, why: DialFailure) {
        let Some(dial) = self.dials.rows.get_mut(&id).filter(|d| d.is_live()) else {
            return;
        };
        dial.state = DialState::Failed { why, unix_ms: now.unix_ms };
        dial.until = Some(now.at + FAILED_FOR);
        let (text, asker) = (format!("{}: {why}", dial.name), dial.asker);
        self.tell_dial(id, DialChange::Failed(why));
        if why != DialFailure::Cancelled {
            let to = asker.filter(|occupant| self.roster.occupant(*occupant).is_some());
            self.out.tell(Event::Notice { to, text });
        }
        let failed = self.dials.rows.iter().filter(|(_, d)| !d.is_live());
        let surplus = failed.clone().count().saturating_sub(FAILED_MAX);
        for id in failed.take(surplus).map(|(id, _)| *id).collect::<Vec<_>>() {
            self.forget_dial(id);
        }
    }

    /// They answered, and come in by the rules of the door.
    pub(super) fn dial_answered(&mut self, now: Now, id: DialId, answer: Answer) -> Result<Accepted, Refusal> {
        let dial = self.dials.rows.get(&id).filter(|d| d.is_live()).ok_or(Refusal::NoSuchTarget)?;
        let caller = match &dial.caller {
            // Whoever answers elsewhere has proven nothing (rule R1).
            Caller::Account { aor, name } if answer.redirected => Caller::Claimed {
                uri: aor.as_str().to_owned(),
                name: Some(name.clone()),
            },
            Caller::Account { .. } | Caller::Claimed { .. } | Caller::Anonymous | Caller::Trunk { .. } => dial.caller.clone(),
        };
        let hidden_entity = dial.hidden_entity.clone();
        let knock = Knock {
            leg: answer.leg,
            caller,
            account: None,
            ssrc: answer.ssrc,
            endpoint: answer.endpoint,
            correlation: answer.correlation,
            invited: Some(hidden_entity),
            right: Right::None,
        };
        match self.join(now, knock, &crate::model::Entry::Nothing) {
            Ok(accepted) => {
                self.tell_dial(id, DialChange::Answered(answer.leg));
                self.dials.rows.remove(&id);
                Ok(accepted)
            }
            Err(refusal) => {
                self.fail_dial(now, id, DialFailure::NotAdmitted);
                Err(refusal)
            }
        }
    }

    pub(super) fn forget_failed_dials(&mut self, now: Now) {
        let due = |d: &Dial| d.until.is_some_and(|until| until <= now.at);
        let gone: Vec<DialId> = self.dials.rows.iter().filter(|(_, d)| due(d)).map(|(id, _)| *id).collect();
        for id in gone {
            self.forget_dial(id);
        }
    }

    pub(super) fn next_forgotten_dial(&self) -> Option<Instant> {
        self.dials.rows.values().filter_map(|d| d.until).min()
    }

    /// Calls end, or the room itself: nobody is called into it any more.
    pub(super) fn take_back_dials(&mut self) {
        let live: Vec<DialId> = self.dials.rows.iter().filter(|(_, d)| d.is_live()).map(|(id, _)| *id).collect();
        for id in live {
            self.tell_dial(id, DialChange::Failed(DialFailure::Cancelled));
            self.dials.rows.remove(&id);
        }
    }

    fn forget_dial(&mut self, id: DialId) {
        self.tell_dial(id, DialChange::Forgotten);
        self.dials.rows.remove(&id);
    }

    fn tell_dial(&mut self, dial: DialId, change: DialChange) {
        let row = self.dials.rows.get(&dial);
        let (name, correlation) = row.map_or_else(|| (String::new(), Correlation(0)), |d| (d.name.clone(), d.correlation));
        self.out.tell(Event::Dial {
            dial,
            name,
            correlation,
            change,
        });
    }

    fn live_dials(&self) -> usize {
        self.dials.rows.values().filter(|d| d.is_live()).count()
    }

    /// Who they will be when they answer: an account of ours is called at its own address, and nobody else has it.
    fn caller_of(&self, target: &DialTarget, name: Option<String>) -> Caller {
        if let DialTarget::Internal(uri) = target {
            let address = uri.split(';').next().unwrap_or(uri).to_owned();
            let account = self.directory.by_aor(&crate::model::Aor::from_normalised(address));
            if let Some((aor, name)) = account.and_then(|a| Some((a.aor?, a.name))) {
                return Caller::Account { aor, name };
            }
        }
        Caller::Claimed { uri: target.uri(), name }
    }

    /// What limits for each asker are kept by: their account, or else their row.
    fn asker_key(&self, asking: &Asking) -> String {
        let row = |id: PersonId| self.roster.person(id);
        match &asking.actor {
            Actor::Operator | Actor::Room => "operator".to_owned(),
            Actor::Account(jid) => jid.to_string(),
            Actor::Person { id, .. } => row(*id).map_or_else(String::new, |p| match &p.listed {
                Some(jid) => jid.to_string(),
                None => p.hidden_entity.clone(),
            }),
        }
    }
}

fn refusal(why: Undialable) -> Refusal {
    match why {
        Undialable::Unreadable => Refusal::BadTarget,
        Undialable::Emergency => Refusal::Emergency,
        Undialable::Premium => Refusal::Premium,
        Undialable::Class => Refusal::NotDialable,
    }
}
