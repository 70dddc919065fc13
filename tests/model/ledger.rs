//! What a room has said, and what must hold of it whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use cusax::model::{LegId, MediaOrder, OccupantId, PersonId, StoreOp};
use cusax::room::{Event, Numbered, OccupantKind, Room};

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    last_event: u64,
    muted: BTreeMap<LegId, bool>,
    placed: BTreeSet<LegId>,
    closed: BTreeSet<LegId>,
    legs: BTreeMap<LegId, PersonId>,
    ended: BTreeSet<LegId>,
    nicks: BTreeSet<OccupantId>,
    left: BTreeSet<OccupantId>,
    rows: BTreeSet<PersonId>,
    recording: bool,
    /// Recordings whose end the media plane still owes.
    unended: u32,
    said_recording: bool,
    music: bool,
    story: Vec<String>,
}

impl Ledger {
    pub(crate) fn order(&mut self, order: &MediaOrder) {
        match order {
            MediaOrder::Mute(leg, muted) => {
                assert_ne!(
                    self.muted.insert(*leg, *muted).unwrap_or(false),
                    *muted,
                    "{leg:?} is told what it knows"
                );
            }
            MediaOrder::Place(leg, seat) => {
                assert!(seat.is_some() && self.placed.insert(*leg), "{leg:?} is placed once");
            }
            MediaOrder::Close(leg) => assert!(self.closed.insert(*leg), "{leg:?} is closed once"),
            MediaOrder::Configure(..) => panic!("the room negotiates nothing"),
            MediaOrder::Record { on, .. } => {
                let before = std::mem::replace(&mut self.recording, *on);
                assert_ne!(before, *on, "what is so already is not ordered");
                assert!(!on || self.calls() > 0, "nobody is recorded");
                self.unended += u32::from(*on);
            }
            MediaOrder::Say(..) | MediaOrder::Wait(..) | MediaOrder::Volume(..) | MediaOrder::InBandKeys(..) => {}
            MediaOrder::Prompt(..) => assert!(self.calls() > 0, "nobody would hear it"),
            MediaOrder::Music(_, on) => {
                let before = std::mem::replace(&mut self.music, *on);
                assert_ne!(before, *on, "what is so already is not ordered");
            }
        }
        self.story.push(format!("{order:?}"));
    }

    pub(crate) fn event(&mut self, Numbered { seq, event }: &Numbered) {
        assert_eq!(*seq, self.last_event + 1, "numbers rise by one");
        self.last_event = *seq;
        match event {
            Event::LegJoined { person, leg } => {
                assert!(self.placed.contains(leg), "audio acts before anybody is told");
                assert_eq!(self.legs.insert(*leg, *person), None);
            }
            Event::LegLeft { person, leg, .. } => {
                assert!(self.closed.contains(leg), "audio acts before anybody is told");
                assert!(self.ended.insert(*leg), "{leg:?} leaves once");
                assert_eq!(self.legs.get(leg), Some(person));
            }
            Event::OccupantEntered(id) => assert!(self.nicks.insert(*id), "{id:?} is not used twice"),
            Event::OccupantLeft { occupant, .. } => {
                assert!(
                    self.nicks.contains(occupant) && self.left.insert(*occupant),
                    "{occupant:?} leaves once"
                );
            }
            Event::RecordingChanged { on, .. } => {
                let before = std::mem::replace(&mut self.said_recording, *on);
                assert_ne!(before, *on, "what was told is not told again");
            }
            Event::Renamed { .. }
            | Event::StandingChanged { .. }
            | Event::AbsentAffiliation { .. }
            | Event::AudioChanged { .. }
            | Event::LockChanged(_)
            | Event::Audit(_)
            | Event::ConfigChanged { .. }
            | Event::Notice { .. }
            | Event::Lobby { .. }
            | Event::Said(_)
            | Event::Dial { .. }
            | Event::CodeIssued { .. }
            | Event::Closed { .. } => {}
        }
        self.story.push(format!("{event:?}"));
    }

    pub(crate) fn kept(&mut self, op: &StoreOp) {
        self.story.push(format!("{op:?}"));
    }

    /// The media plane ends the recording that began first, if there is one; gives whether it had to.
    pub(crate) fn recording_ends(&mut self) -> Option<bool> {
        self.unended = self.unended.checked_sub(1)?;
        Some(self.recording && self.unended == 0)
    }

    fn calls(&self) -> usize {
        self.placed.len() - self.closed.len()
    }

    pub(crate) fn story(&self) -> String {
        self.story.join("\n")
    }

    pub(crate) fn events(&self) -> u64 {
        self.last_event
    }

    /// What has been said and what can be read are one.
    pub(crate) fn compare(&mut self, room: &Room) {
        let mut legs = BTreeSet::new();
        let mut nicks = BTreeSet::new();
        for person in room.people() {
            assert!(
                !person.legs.is_empty() || !person.occupants.is_empty(),
                "no row without a half: {person:?}"
            );
            let newest = self.rows.last().is_none_or(|last| person.id > *last);
            assert!(self.rows.contains(&person.id) || newest, "{:?} was used before", person.id);
            self.rows.insert(person.id);
            for leg in &person.legs {
                legs.insert(leg.id);
                assert_eq!(
                    self.muted.get(&leg.id).copied().unwrap_or(false),
                    person.mutes.is_muted(),
                    "{person:?}"
                );
                assert_eq!(room.person_of_leg(leg.id), Some(person.id));
            }
            let views: Vec<_> = person.occupants.iter().map(|id| room.occupant(*id).expect("listed")).collect();
            let stand_ins = views.iter().filter(|o| o.kind == OccupantKind::Phone).count();
            assert!(
                stand_ins == 0 || (stand_ins == 1 && views.len() == 1),
                "never both at once (rule R27): {views:?}"
            );
            assert!(stand_ins == 0 || !person.legs.is_empty(), "nobody stands in for nobody");
            for view in &views {
                assert_eq!(
                    (view.person, view.role, view.affiliation),
                    (person.id, person.role, person.affiliation),
                    "rule R8"
                );
                assert_eq!(view.nick.ends_with(" (phone)"), view.kind == OccupantKind::Phone, "rule R26");
                nicks.insert(view.id);
            }
            assert!(!(person.speaking && person.mutes.is_muted()));
        }
        let live: BTreeSet<_> = self.placed.difference(&self.closed).copied().collect();
        let present: BTreeSet<_> = self.nicks.difference(&self.left).copied().collect();
        assert_eq!((&legs, &nicks), (&live, &present));
        assert_eq!(self.closed, self.ended);
        let recorded = room.recording().is_some();
        assert_eq!((recorded, recorded), (self.recording, self.said_recording), "rule R82");
        assert_eq!(self.music, live.len() == 1 && !recorded, "music is for whoever is alone");
        let names: BTreeSet<_> = room.occupants().map(|o| o.nick).collect();
        assert_eq!(names.len(), room.occupants().count(), "every nick is one occupant's here");
    }
}
