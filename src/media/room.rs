//! One room on its media thread: its mixer, and what its ticks tell.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mixer::{
    CodecFailed, Command, Effort, Event, JitterStats, Keys, Leg as Number, LegAudio, Mixer, Player, Rate, Refused, Sound, Step, Stock,
    Talker,
};

use super::{
    batch::Outbox,
    counters::Cost,
    leg::Leg,
    load::Service,
    order::RoomKey,
    pace::PHASES,
    recording::Tape,
    slab::Slab,
    sounds::{MUSIC, Waiting},
};
use crate::{model::RoomName, rtp::extension::MAX_SOURCES};

/// Legs that one room's mixer holds. Memory for their voices is touched only as they come.
const ROOM_LEGS: usize = 2000;

/// Legs of one thread that wait in its vestibule at one time: as many as a mixer can hold.
const VESTIBULE_LEGS: usize = 10_000;

const TICK: Duration = Duration::from_millis(mixer::TICK_MS as u64);

/// Mixes for the legs that sit in it. The mixer knows them by their index in the slab.
#[derive(Debug)]
pub(super) struct Room {
    /// `None` is the vestibule.
    pub(super) name: Option<(RoomKey, RoomName)>,
    /// Closed legs that leave after the next tick.
    pub(super) closing: Vec<usize>,
    /// To end once nobody sits here.
    pub(super) ending: bool,
    phase: u64,
    /// Ticks of the present second, and what they took.
    ticks: u32,
    spent: Duration,
    cost: Arc<Cost>,
    /// When the last tick was due.
    pub(super) ticked: Instant,
    mixer: Mixer,
    /// What it is recorded on.
    tape: Option<Box<Tape>>,
    #[cfg(test)]
    pub(super) panics: bool,
}

impl Room {
    /// A room in which everybody hears everybody else, mixed at no higher rate than that.
    pub(super) fn new(key: RoomKey, name: RoomName, cap: Rate, cost: Arc<Cost>) -> Result<Self, CodecFailed> {
        Ok(Self::with(Some((key, name)), Mixer::new(cap, ROOM_LEGS)?, cost))
    }

    /// A room in which everybody gets silence (rule R60), unless they wait.
    pub(super) fn vestibule(waiting: &Waiting) -> Result<Self, CodecFailed> {
        let mut mixer = Mixer::vestibule(VESTIBULE_LEGS)?;
        let unplayed = mixer.play(MUSIC, waiting.player()).is_err();
        debug_assert!(!unplayed, "nothing else plays yet");
        Ok(Self::with(None, mixer, Arc::default()))
    }

    fn with(name: Option<(RoomKey, RoomName)>, mixer: Mixer, cost: Arc<Cost>) -> Self {
        Self {
            name,
            closing: Vec::new(),
            ending: false,
            phase: 0,
            ticks: 0,
            spent: Duration::ZERO,
            cost,
            ticked: Instant::now(),
            mixer,
            tape: None,
            #[cfg(test)]
            panics: false,
        }
    }

    pub(super) fn key(&self) -> Option<RoomKey> {
        self.name.as_ref().map(|(key, _)| *key)
    }

    /// Serves its legs as the load of its thread allows.
    pub(super) fn serve(&mut self, service: Service) {
        let usual = Effort::default();
        self.mixer.set_effort(Effort {
            complexity: service.complexity,
            voices: service.voices.unwrap_or(usual.voices),
        });
    }

    /// Takes a place among its thread's rooms: neighbours tick one after the other (rule R68).
    pub(super) fn take_turn(&mut self, place: usize) {
        self.phase = place as u64 % PHASES;
    }

    /// Notes what a tick took, and tells it once a second.
    pub(super) fn spend(&mut self, time: Duration) {
        self.spent += time;
        self.ticks += 1;
        if self.ticks == 1000 / mixer::TICK_MS {
            self.cost.publish(std::mem::take(&mut self.spent));
            self.ticks = 0;
        }
    }

    pub(super) fn is_due(&self, slot: u64) -> bool {
        slot % PHASES == self.phase
    }

    /// Whether it can be given up.
    pub(super) fn is_over(&self) -> bool {
        self.ending && self.mixer.is_empty() && self.closing.is_empty()
    }

    /// Lets a leg sit down, as it was negotiated and ordered; gives its audio back if there is no place for it.
    pub(super) fn seat(&mut self, index: usize, leg: &mut Leg, audio: Box<LegAudio>) -> Result<(), Option<Box<LegAudio>>> {
        match self.mixer.handle(Command::Add(Number(index as u64), audio)) {
            Ok(_) => {}
            Err(refused) => return Err(audio_of(refused)),
        }
        leg.handle_move();
        self.direct(index, leg);
        if leg.muted || leg.awaits_tick {
            self.mute(index, leg.muted);
        }
        Ok(())
    }

    /// Tells the mixer which way audio flows, and what was ordered for the leg.
    pub(super) fn direct(&mut self, index: usize, leg: &Leg) {
        let number = Number(index as u64);
        let volume = Command::Volume {
            leg: number,
            hear: Step::new(leg.volume.hear),
            speak: Step::new(leg.volume.speak),
        };
        let ways = [Command::Hear(number, leg.hears()), Command::Send(number, leg.sends())];
        for command in ways.into_iter().chain([volume, Command::Wait(number, leg.waits)]) {
            let refused = self.mixer.handle(command).is_err();
            debug_assert!(!refused, "a seated leg is known to its mixer");
        }
    }

    pub(super) fn mute(&mut self, index: usize, on: bool) {
        let refused = self.mixer.handle(Command::Mute(Number(index as u64), on)).is_err();
        debug_assert!(!refused, "a seated leg is known to its mixer");
    }

    /// Tells the mixer how many per cent of the packets to a leg get lost.
    pub(super) fn lose(&mut self, index: usize, percent: u8) {
        let refused = self.mixer.handle(Command::Lose(Number(index as u64), percent)).is_err();
        debug_assert!(!refused, "a seated leg is known to its mixer");
    }

    /// Exchanges a leg's audio; gives back the one that nobody needs any more.
    pub(super) fn replace(&mut self, index: usize, audio: Box<LegAudio>) -> Option<Box<LegAudio>> {
        match self.mixer.handle(Command::Replace(Number(index as u64), audio)) {
            Ok(old) => old,
            Err(refused) => audio_of(refused),
        }
    }

    /// Takes a leg's audio out.
    pub(super) fn unseat(&mut self, index: usize) -> Option<Box<LegAudio>> {
        self.mixer.handle(Command::Remove(Number(index as u64))).ok().flatten()
    }

    /// What happened in a leg's jitter buffer so far.
    pub(super) fn jitter(&self, index: usize) -> Option<JitterStats> {
        self.mixer.jitter(Number(index as u64))
    }

    /// Takes a packet that was read `now`.
    pub(super) fn push(&mut self, now: Instant, index: usize, packet: mixer::Packet<'_>) {
        // A tick that comes late still counts from when it was due: what was read before it came in time.
        let since_tick = now.saturating_duration_since(self.ticked).min(TICK);
        let since_tick_us = since_tick.as_micros() as u32;
        self.mixer.push(Number(index as u64), mixer::Packet { since_tick_us, ..packet });
    }

    /// Lets ticks pass unmixed (rule R68).
    pub(super) fn skip(&mut self, ticks: u32) {
        self.mixer.skip(ticks);
        if let Some(tape) = &mut self.tape {
            tape.skip(ticks);
        }
    }

    /// Plays a sound to everybody; gives it back if too many play.
    pub(super) fn play(&mut self, sound: Sound, player: Box<Player>) -> Option<Box<Player>> {
        self.mixer.play(sound, player).err()
    }

    /// Says something to one leg alone, or ends that; gives back what is never said.
    pub(super) fn say(&mut self, index: usize, speech: Option<Box<Player>>) -> Option<Box<Player>> {
        self.mixer.say(Number(index as u64), speech)
    }

    /// Has keys be found in a leg's sound, or no more; gives back what is out of use.
    pub(super) fn find_keys(&mut self, index: usize, keys: Option<Box<Keys>>) -> Option<Box<Keys>> {
        self.mixer.find_keys(Number(index as u64), keys)
    }

    pub(super) fn stop_sound(&mut self, sound: Sound) {
        self.mixer.stop(sound);
    }

    /// A sound that is over.
    pub(super) fn poll_played(&mut self) -> Option<Box<Player>> {
        let played = self.mixer.poll_played().map(|(_, player)| player);
        played.or_else(|| self.mixer.poll_said())
    }

    /// Records on another tape, or on none; gives back the one so far.
    pub(super) fn record(&mut self, tape: Option<Box<Tape>>) -> Option<Box<Tape>> {
        std::mem::replace(&mut self.tape, tape)
    }

    /// Mixes 20 ms with codec states from the stock, and writes what each leg is sent. `own` is this room's index.
    pub(super) fn tick(&mut self, now: Instant, own: usize, stock: &mut Stock, legs: &mut Slab, outbox: &mut Outbox) {
        #[cfg(test)]
        assert!(!self.panics, "ordered by a test");
        self.mixer.tick(stock);
        if let Some(tape) = &mut self.tape {
            let (samples, rate) = self.mixer.mixed();
            tape.record(samples, rate);
        }
        let mut named = Named::default();
        self.mixer.outputs(|number, output| {
            named.look_up(output.talkers, legs);
            if let Some(leg) = legs.at_mut(number.0 as usize) {
                leg.send(now, output, named.sources(), outbox);
            }
        });
        while let Some(event) = self.mixer.poll_event() {
            let (Event::Speaking(number, _) | Event::Applied(number) | Event::Key(number, _) | Event::Said(number)) = event;
            let index = number.0 as usize;
            // A leg that has moved on is told about by the room that it is in.
            let Some(leg) = legs.at_mut(index).filter(|l| l.room == Some(own) && !l.closing) else {
                continue;
            };
            match event {
                Event::Speaking(_, on) => leg.pending.speaking(on),
                Event::Applied(_) if std::mem::take(&mut leg.awaits_tick) => leg.pending.applied(),
                Event::Applied(_) => continue,
                Event::Key(_, key) => leg.press(key),
                Event::Said(_) => leg.pending.said(),
            }
            legs.tell(index);
        }
    }
}

/// Talkers as sources, looked up once for all who hear the same.
#[derive(Default)]
struct Named<'a> {
    talkers: &'a [Talker],
    sources: [(u32, u8); MAX_SOURCES],
    count: usize,
}

impl<'a> Named<'a> {
    fn look_up(&mut self, talkers: &'a [Talker], legs: &Slab) {
        if std::ptr::eq(self.talkers, talkers) {
            return;
        }
        self.talkers = talkers;
        let sources = talkers
            .iter()
            .filter_map(|talker| Some((legs.at(talker.leg.0 as usize)?.source(), talker.level)));
        self.count = 0;
        for (place, source) in self.sources.iter_mut().zip(sources) {
            *place = source;
            self.count += 1;
        }
    }

    fn sources(&self) -> &[(u32, u8)] {
        &self.sources[..self.count]
    }
}

/// The audio that comes back with a refusal.
fn audio_of(refused: Refused) -> Option<Box<LegAudio>> {
    if let Refused::Present(_, audio) | Refused::Full(_, audio) | Refused::Absent(_, audio) = refused {
        Some(audio)
    } else {
        None
    }
}
