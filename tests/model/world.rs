//! The room under test, the reference beside it, and everybody who acts on both.

mod checks;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cusax::model::origin::Asker;
use cusax::model::{
    Account, Affiliation, Aor, BareJid, Caller, Correlation, Directory, Door, LegId, Now, OccupantId, Origin, RoomConfig, RoomName,
    RoomRecord,
};
use cusax::room::{
    Accepted, LegCause, OccupantCause, OccupantKind, OccupantView, PersonView, Refusal, Report, Request, Room, RoomSettings, Target,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::action::{ACCOUNTS, Action, By, PHONE_ONLY, Setting, Whom};
use super::ledger::Ledger;
use super::reference::{Doer, Reference, Who};

fn jid(user: &str) -> BareJid {
    BareJid::new(&format!("{user}@x.org")).expect("a JID of the test")
}

fn aor(user: &str) -> Aor {
    Aor::from_normalised(format!("sip:{user}@x.org"))
}

#[derive(Debug)]
struct Book;

impl Directory for Book {
    fn by_sip_user(&self, _: &str) -> Option<Account> {
        None
    }

    fn by_aor(&self, aor: &Aor) -> Option<Account> {
        let user = aor.user();
        let jid = ACCOUNTS.contains(&user).then(|| jid(user));
        Some(Account {
            id: user.to_owned(),
            name: user.to_owned(),
            aor: Some(aor.clone()),
            jid,
            digest: None,
        })
    }

    fn by_jid(&self, _: &BareJid) -> Option<Account> {
        None
    }
}

#[derive(Debug)]
pub(crate) struct World {
    room: Room,
    reference: Reference,
    pub(crate) ledger: Ledger,
    dice: StdRng,
    now: Now,
    seed: u64,
    max_stand_ins: usize,
    next_leg: u64,
    next_occupant: u32,
    legs: BTreeMap<LegId, Who>,
    nicks: BTreeMap<OccupantId, Who>,
    done: Vec<Action>,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut dice = StdRng::seed_from_u64(seed);
        let config = RoomConfig {
            persistent: true,
            moderated: dice.random_bool(0.5),
            chat_voice_governs_audio: dice.random_bool(0.8),
            membership_governs_audio: dice.random_bool(0.3),
            tones: dice.random_bool(0.5),
            ..RoomConfig::default()
        };
        let reference = Reference {
            moderated: config.moderated,
            chat_voice_governs: config.chat_voice_governs_audio,
            membership_governs: config.membership_governs_audio,
            affiliations: BTreeMap::from([(ACCOUNTS[0].to_owned(), Affiliation::Owner)]),
            ..Reference::default()
        };
        let record = RoomRecord {
            name: RoomName::new("model").expect("a room name"),
            config,
            locked_until_configured: false,
            from_config: false,
            affiliations: BTreeMap::from([(jid(ACCOUNTS[0]), Affiliation::Owner)]),
            voice: BTreeMap::new(),
            subject: None,
            history: Vec::new(),
        };
        let mut settings = RoomSettings::new(BareJid::new("phones.x.org").expect("a domain"));
        settings.max_phone_occupants = dice.random_range(1..8);
        (settings.records, settings.music) = (true, true);
        let max_stand_ins = settings.max_phone_occupants;
        let now = Now {
            at: Instant::now(),
            unix_ms: 0,
        };
        Self {
            room: Room::new(record, settings, Arc::new(Book), [1; 32], seed, now),
            reference,
            ledger: Ledger::default(),
            dice,
            now,
            seed,
            max_stand_ins,
            next_leg: 0,
            next_occupant: 0,
            legs: BTreeMap::new(),
            nicks: BTreeMap::new(),
            done: Vec::new(),
        }
    }

    pub(crate) fn step(&mut self) {
        let action = Action::random(&mut self.dice);
        self.done.push(action);
        self.act(action);
        self.reference.settle();
        self.compare();
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Enter(index) => self.enter(ACCOUNTS[index]),
            Action::Call(index) => self.call(index),
            Action::Leave(index) => {
                let Some((id, who)) = nth(&self.nicks, index) else { return };
                let cause = [OccupantCause::Left, OccupantCause::Unreachable, OccupantCause::Flooded][index % 3];
                self.report(Report::OccupantGone(id, cause));
                self.reference.leave(&who);
            }
            Action::HangUp(index) => {
                let Some((id, who)) = nth(&self.legs, index) else { return };
                let ends = [Report::LegGone(id, LegCause::Departed), Report::LegGone(id, LegCause::Failed)];
                self.report(ends[index % 2].clone());
                self.reference.hang_up(&who);
            }
            Action::Mute(by, whom) => self.moderate(by, whom, |target| Request::Mute { target, why: None }, |r, d, w| r.mute(d, w)),
            Action::Unmute(by, whom) => self.moderate(by, whom, |target| Request::Unmute { target }, |r, d, w| r.unmute(d, w)),
            Action::Role(by, whom, role) => {
                self.moderate(
                    by,
                    whom,
                    |target| Request::SetRole { target, role, why: None },
                    |r, d, w| r.role(d, w, role),
                );
            }
            Action::Ban(by, whom) => self.moderate(by, whom, |target| Request::Ban { target, why: None }, |r, d, w| r.ban(d, w)),
            Action::Kick(by, whom) => {
                let one_leg = matches!(whom, Whom::Leg(_));
                let expect = move |r: &mut Reference, d: &Doer, w: &str| if one_leg { r.kick_leg(d, w) } else { r.kick(d, w) };
                self.moderate(by, whom, |target| Request::Kick { target, why: None }, expect);
            }
            Action::Affiliate(by, index, affiliation) => {
                let Some((asker, doer)) = self.asker(by) else { return };
                let request = Request::SetAffiliation {
                    jid: jid(ACCOUNTS[index]),
                    affiliation,
                    why: None,
                };
                let expected = self.reference.affiliate(&doer, ACCOUNTS[index], affiliation);
                self.ask(asker, request, expected);
            }
            Action::Lock(by, locked) => {
                let Some((asker, doer)) = self.asker(by) else { return };
                let expected = self.reference.lock(&doer, locked);
                self.ask(asker, Request::Lock(locked), expected);
            }
            Action::Record(by, on) => {
                let Some((asker, doer)) = self.asker(by) else { return };
                let expected = self.reference.record(&doer, on);
                self.ask(asker, Request::Record(on), expected);
            }
            Action::RecordingEnds => self.recording_ends(),
            Action::Toggle(by, setting) => {
                let Some((asker, doer)) = self.asker(by) else { return };
                let mut config = self.room.config().clone();
                let field = match setting {
                    Setting::Moderated => &mut config.moderated,
                    Setting::MembersOnly => &mut config.members_only,
                    Setting::ChatVoiceGoverns => &mut config.chat_voice_governs_audio,
                    Setting::MembershipGoverns => &mut config.membership_governs_audio,
                };
                *field = !*field;
                let expected = self.reference.toggle(&doer, setting);
                self.ask(asker, Request::Configure(Box::new(config)), expected);
            }
            Action::Hold(index, held) => {
                if let Some((id, _)) = nth(&self.legs, index) {
                    self.report(Report::LegHeld(id, held));
                }
            }
            Action::Speak(index, speaking) => {
                if let Some((id, _)) = nth(&self.legs, index) {
                    self.report(Report::Speaking(id, speaking));
                }
            }
            Action::Stale => self.stale(),
            Action::Wait(seconds) => {
                self.now.at += Duration::from_secs(seconds);
                self.reference.second += seconds;
                self.room.handle_timeout(self.now);
                assert!(
                    self.room.poll_timeout().is_none_or(|(at, _)| at > self.now.at),
                    "what was due is done"
                );
            }
        }
    }

    fn enter(&mut self, user: &str) {
        self.next_occupant += 1;
        let occupant = OccupantId(self.next_occupant);
        // The room's bound on nicks is no rule of the reference.
        if self.reference.rows.get(user).is_some_and(|r| r.nicks >= 10) {
            return;
        }
        let nick = format!("{user} {}", self.next_occupant);
        let request = Request::Enter {
            occupant,
            jid: jid(user),
            nick,
            password: None,
            correlation: Correlation(1),
        };
        let expected = self.reference.enter(user);
        if self.ask(Asker::Jid(jid(user)), request, expected) {
            self.nicks.insert(occupant, user.to_owned());
        }
    }

    fn call(&mut self, index: usize) {
        self.next_leg += 1;
        let leg = LegId(self.next_leg);
        let account = |user: &str| {
            (
                Caller::Account {
                    aor: aor(user),
                    name: user.to_owned(),
                },
                user.to_owned(),
            )
        };
        let (caller, who) = match index.checked_sub(ACCOUNTS.len()) {
            None => account(ACCOUNTS[index]),
            Some(0) => account(PHONE_ONLY),
            // A kicked number stays out for a while; here each call has its own.
            Some(1) => (
                Caller::Claimed {
                    uri: format!("sip:+4930{}@gw", 1_000_000 + leg.0),
                    name: None,
                },
                format!("#{}", leg.0),
            ),
            Some(_) => (Caller::Anonymous, format!("#{}", leg.0)),
        };
        if self.reference.rows.get(&who).is_some_and(|r| r.legs >= 10) {
            return;
        }
        let expected = self.reference.call(&who);
        let request = Request::Join {
            leg,
            account: None,
            caller: caller.clone(),
            ssrc: 1,
            endpoint: "sip:a@b".to_owned(),
            correlation: Correlation(1),
            entry: cusax::model::Entry::Nothing,
        };
        if self.ask(Asker::Caller(caller), request, expected) {
            self.legs.insert(leg, who);
            if self.dice.random_bool(0.8) {
                self.report(Report::LegConfirmed(leg));
            }
        }
    }

    /// Who asks now, if there is somebody of that kind.
    fn asker(&self, by: By) -> Option<(Asker, Doer)> {
        Some(match by {
            By::Operator => (Asker::Operator, Doer::Operator),
            By::Account(index) => (Asker::Jid(jid(ACCOUNTS[index])), Doer::Is(ACCOUNTS[index].to_owned())),
            By::Leg(index) => nth(&self.legs, index).map(|(id, who)| (Asker::Leg(id), Doer::Is(who)))?,
            By::Nick(index) => nth(&self.nicks, index).map(|(id, who)| (Asker::Occupant(id), Doer::Is(who)))?,
        })
    }

    /// Somebody present: nicks include stand-ins.
    fn target(&self, whom: Whom) -> Option<(Target, Who)> {
        match whom {
            Whom::Leg(index) => nth(&self.legs, index).map(|(id, who)| (Target::Leg(id), who)),
            Whom::Nick(index) => {
                let occupants: Vec<_> = self.room.occupants().collect();
                let view = occupants.get(index % occupants.len().max(1))?;
                let who = match view.kind {
                    OccupantKind::Chat | OccupantKind::Service => self.nicks.get(&view.id).cloned()?,
                    OccupantKind::Phone => {
                        let leg = self.room.person(view.person)?.legs.first()?.id;
                        self.legs.get(&leg).cloned()?
                    }
                };
                Some((Target::Occupant(view.id), who))
            }
        }
    }

    fn moderate(
        &mut self,
        by: By,
        whom: Whom,
        request: impl FnOnce(Target) -> Request,
        expect: impl FnOnce(&mut Reference, &Doer, &str) -> bool,
    ) {
        let (Some((asker, doer)), Some((target, who))) = (self.asker(by), self.target(whom)) else {
            return;
        };
        let expected = expect(&mut self.reference, &doer, &who);
        self.ask(asker, request(target), expected);
    }

    /// Asks, and says whether it was granted: a refusal changes nothing that can be read.
    fn ask(&mut self, by: Asker, request: Request, expected: bool) -> bool {
        let before = self.picture();
        let answer = self.room.request(
            self.now,
            &Origin {
                door: Door::Chat,
                by: by.clone(),
            },
            request.clone(),
        );
        assert_eq!(answer.is_ok(), expected, "{by:?} asks {request:?}: {answer:?}\n{}", self.context());
        if answer.is_err() || answer == Ok(Accepted::Unchanged) {
            assert!(self.picture() == before, "refused, yet changed: {request:?}\n{}", self.context());
        }
        assert_ne!(answer, Err(Refusal::Closing));
        expected
    }

    fn recording_ends(&mut self) {
        self.drain();
        let Some(failed) = self.ledger.recording_ends() else { return };
        let error = failed.then(|| "disk full".to_owned());
        self.report(Report::RecordingEnded { lost_ms: 0, error });
        self.reference.recorded &= !failed;
    }

    /// All that can be read.
    fn picture(&self) -> (Vec<PersonView>, Vec<OccupantView>, RoomConfig, [bool; 2]) {
        (
            // A refused unmute is a wish to speak (rule R32).
            self.room.people().map(|p| PersonView { hand_raised: false, ..p }).collect(),
            self.room.occupants().collect(),
            self.room.config().clone(),
            [self.room.is_locked(), self.room.recording().is_some()],
        )
    }

    fn report(&mut self, report: Report) {
        self.room.report(self.now, report);
    }

    /// Late and repeated reports.
    fn stale(&mut self) {
        self.drain();
        let before = self.picture();
        let told = self.ledger.events();
        for id in 1..=self.next_leg {
            if !self.legs.contains_key(&LegId(id)) {
                self.report(Report::LegGone(LegId(id), LegCause::Departed));
                self.report(Report::LegHeld(LegId(id), true));
                self.report(Report::LegQuiet(LegId(id), 60));
            }
        }
        for id in 1..=self.next_occupant {
            if !self.nicks.contains_key(&OccupantId(id)) {
                self.report(Report::OccupantGone(OccupantId(id), OccupantCause::Left));
            }
        }
        self.drain();
        assert!(self.picture() == before && self.ledger.events() == told, "{}", self.context());
    }
}

/// Some entry, by a number that need not be in range.
fn nth<K: Copy>(map: &BTreeMap<K, Who>, index: usize) -> Option<(K, Who)> {
    map.iter().nth(index % map.len().max(1)).map(|(id, who)| (*id, who.clone()))
}
