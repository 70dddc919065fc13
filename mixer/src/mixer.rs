//! One room's audio.

use std::fmt;

use crate::{
    CodecFailed, Command, Effort, Event, JitterStats, Keys, Leg, LegAudio, Output, Player, Rate, Refused, Sound, Stock, Talker,
    event::Events,
    floor::{Floor, MAX_VOICES, Standing},
    keys::Bank,
    leg::Frames,
    limiter::Limiter,
    mix::{Mix, fade_out},
    mouth::{Shared, Silence, Tools},
    output::Source,
    rates::MixingRate,
    resample::Filters,
    settings::Frame,
};

/// Most legs in one mixer: so many voices at full scale still add up within 32 bits.
const MAX_LEGS: usize = 10_000;

/// Events that wait to be polled, per leg: speaking, not speaking, said, and a mute or two between polls.
const EVENTS_PER_LEG: usize = 4;

/// Sounds that play at one time: a prompt, a tone, a file and music, and of each the one before, which fades out.
const MAX_PLAYERS: usize = 8;

/// Speeches that were said and wait to be polled; more stay with their legs for another tick.
const MAX_SAID: usize = 64;

/// Skipped ticks after which no jitter buffer holds anything any more.
const MAX_SKIM: u32 = 64;

/// One RTP packet of a leg's codec. Key presses (RFC 4733) and comfort noise (RFC 3389) aren't pushed.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Synchronisation source; when it changes, the leg's buffer starts anew.
    pub ssrc: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp, in units of the codec's RTP clock.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// How loud its audio is by its sender's word (RFC 6464), in -dBov: 0 is the loudest, 127 silence.
    pub level: Option<u8>,
    /// Microseconds from the mixer's last tick, as it was due, to the packet's arrival: 0 to 20,000.
    pub since_tick_us: u32,
    /// The codec's bytes.
    pub payload: &'a [u8],
}

/// One room on one thread.
///
/// Between ticks: [`Self::handle`] and [`Self::push`]. Every 20 ms: [`Self::tick`], then [`Self::outputs`], then [`Self::poll_event`] until
/// it is `None`.
pub struct Mixer {
    rate: MixingRate,
    capacity: usize,
    tick: u64,
    /// Sorted by leg.
    legs: Vec<(Leg, Box<LegAudio>)>,
    events: Events,
    /// What is to be reported once the next tick was mixed.
    applied: Events,
    floor: Floor,
    /// Whether anybody is ever heard.
    open: bool,
    /// Finds keys in what legs say, where nobody hears that.
    bank: Option<Box<Bank>>,
    /// How many ticks of legs were decoded.
    decoded: u64,
    /// Who is heard in this tick.
    voices: Vec<Voice>,
    /// The same for those who hear it, twice over: so that those after one, and round to those before, lie side by side.
    talkers: Vec<Talker>,
    /// Sounds that no leg makes.
    players: Vec<(Sound, Box<Player>)>,
    /// What was said to single legs.
    #[expect(clippy::vec_box, reason = "each goes on to where it is dropped")]
    said: Vec<Box<Player>>,
    mix: Mix,
    /// The last samples of voices that were in the last tick and aren't in this one, added up.
    ended: i32,
    filters: Filters,
    limiter: Limiter,
    /// What everybody heard in the last two ticks: an encoder that takes over is fed with it first.
    recent: [Frame; 2],
    silence: &'static Silence,
    shared: Shared,
    effort: Effort,
}

/// A voice of one tick, at its own rate.
struct Voice {
    /// Its place in `legs`.
    at: usize,
    frame: Frame,
}

impl Mixer {
    /// Makes a mixer in which everybody hears the loudest others, with room for up to that many legs (at most 10,000). Voices are added at the
    /// highest rate that somebody both sends and hears, up to the cap (rule R67).
    pub fn new(cap: Rate, capacity: usize) -> Result<Self, CodecFailed> {
        Self::with(cap, capacity, true)
    }

    /// Makes a mixer in which nobody hears anybody (rule R60): legs there get silence, unless something is said to them or they wait; then
    /// they hear what is played there, which stops while nobody does. What they say is dropped in time.
    pub fn vestibule(capacity: usize) -> Result<Self, CodecFailed> {
        Self::with(Rate::Full, capacity, false)
    }

    fn with(cap: Rate, capacity: usize, open: bool) -> Result<Self, CodecFailed> {
        let capacity = capacity.min(MAX_LEGS);
        let voices = if open { MAX_VOICES } else { 0 };
        Ok(Self {
            rate: MixingRate::new(cap),
            capacity,
            tick: 0,
            legs: Vec::with_capacity(capacity),
            events: Events::new(EVENTS_PER_LEG * capacity),
            applied: Events::new(capacity),
            floor: Floor::new(capacity, Effort::default().voices.into()),
            open,
            bank: (!open).then(|| Box::new(Bank::new())),
            decoded: 0,
            voices: Vec::with_capacity(voices),
            talkers: Vec::with_capacity(2 * voices),
            players: Vec::with_capacity(MAX_PLAYERS),
            said: Vec::with_capacity(MAX_SAID),
            mix: Mix::new(voices + MAX_PLAYERS),
            ended: 0,
            filters: Filters::new(),
            limiter: Limiter::new(),
            recent: [const { Frame::new(Rate::Narrow) }; 2],
            silence: Silence::of(cap)?,
            shared: Shared::new(),
            effort: Effort::default(),
        })
    }

    /// Carries out a command; gives back the audio of a removed or replaced leg, to be moved or dropped elsewhere.
    pub fn handle(&mut self, command: Command) -> Result<Option<Box<LegAudio>>, Refused> {
        match command {
            Command::Add(leg, audio) => self.add(leg, audio).map(|()| None),
            Command::Replace(leg, audio) => self.replace(leg, audio).map(Some),
            Command::Remove(leg) => self.remove(leg).map(Some),
            Command::Mute(leg, muted) => self.change(leg, |audio| (audio.muted, audio.apply) = (muted, true)),
            Command::Hear(leg, heard) => self.change(leg, |audio| audio.heard = heard),
            Command::Send(leg, sending) => self.change(leg, |audio| audio.sending = sending),
            Command::Lose(leg, percent) => self.change(leg, |audio| audio.lost = percent.min(100)),
            Command::Volume { leg, hear, speak } => self.change(leg, |audio| audio.set_volume(hear, speak)),
            Command::Wait(leg, waits) => {
                let waits = waits && !self.open;
                self.change(leg, |audio| audio.aside.waits = waits)
            }
        }
    }

    /// Says something to one leg alone, over what it hears otherwise, which is 12 dB lower meanwhile; `None` only ends what is being said.
    /// Gives back what is never said: what waited for its turn, or everything if there is no such leg.
    pub fn say(&mut self, leg: Leg, speech: Option<Box<Player>>) -> Option<Box<Player>> {
        match self.find(leg) {
            Ok(at) => self.legs[at].1.aside.say(speech),
            Err(_) => speech,
        }
    }

    /// Has keys be found in what a leg says, or no more, in a mixer in which nobody hears anybody. Gives back what is out of use.
    pub fn find_keys(&mut self, leg: Leg, keys: Option<Box<Keys>>) -> Option<Box<Keys>> {
        match self.find(leg) {
            Ok(at) => std::mem::replace(&mut self.legs[at].1.keys, keys),
            Err(_) => keys,
        }
    }

    /// Takes out what was said to a leg, to be dropped elsewhere.
    pub fn poll_said(&mut self) -> Option<Box<Player>> {
        self.said.pop()
    }

    /// Plays a sound to everybody from the next tick on, in place of the one of that number, which fades out. Gives back what finds no
    /// place: that one if it is silent already, or the new one if as many play as can.
    pub fn play(&mut self, sound: Sound, player: Box<Player>) -> Result<(), Box<Player>> {
        self.stop(sound);
        let silent = self.players.iter_mut().find(|(before, at)| *before == sound && at.is_over());
        if let Some((_, silent)) = silent {
            return Err(std::mem::replace(silent, player));
        }
        if self.players.len() == MAX_PLAYERS {
            return Err(player);
        }
        self.players.push((sound, player));
        Ok(())
    }

    /// Fades a sound out, within a tick. One that isn't there any more is as good.
    pub fn stop(&mut self, sound: Sound) {
        let playing = self.players.iter_mut().filter(|(playing, _)| *playing == sound);
        playing.for_each(|(_, player)| player.stop());
    }

    /// Takes out a sound that is over, to be dropped elsewhere.
    pub fn poll_played(&mut self) -> Option<(Sound, Box<Player>)> {
        let at = self.players.iter().position(|(_, player)| player.is_over())?;
        Some(self.players.swap_remove(at))
    }

    /// Takes out all sounds, to be played on elsewhere.
    pub fn take_players(&mut self) -> impl Iterator<Item = (Sound, Box<Player>)> {
        self.players.drain(..)
    }

    /// What was said and played in the last tick, all together, and the rate of it.
    pub fn mixed(&self) -> (&[i16], Rate) {
        let [_, last] = &self.recent;
        (last.pcm(), last.rate())
    }

    /// Takes a packet that came for the leg; packets for legs that aren't here are ignored.
    pub fn push(&mut self, leg: Leg, packet: Packet<'_>) {
        if let Ok(at) = self.find(leg) {
            let audio = &mut self.legs[at].1;
            if self.open {
                let found = audio.loudness(&packet);
                self.floor.arrive(at, audio.settings().codec, &packet, found);
            }
            audio.push(&packet);
        }
    }

    /// Changes what is spent on the legs from the next tick on.
    pub fn set_effort(&mut self, effort: Effort) {
        self.effort = effort;
        self.floor.set_places(effort.voices.into());
    }

    /// Mixes the next 20 ms, with codec states from the stock.
    pub fn tick(&mut self, stock: &mut Stock) {
        self.tick += 1;
        self.choose(stock);
        let rates = self.take_voices(stock);
        self.add_voices(rates);
        self.speak(stock);
        self.send(stock);
        while let Some(event) = self.applied.pop() {
            self.events.push(event);
        }
    }

    /// Lets that many ticks pass unmixed (rule R68): RTP time goes on, nothing is sent, the jitter buffers drop the same time. To be called
    /// before packets that came meanwhile are pushed.
    pub fn skip(&mut self, ticks: u32) {
        for (_, audio) in &mut self.legs {
            (0..ticks.min(MAX_SKIM)).for_each(|_| audio.skim());
            audio.outlet.pause(ticks);
        }
    }

    /// Shows what each leg is sent in this tick, in order of legs.
    pub fn outputs<'a>(&'a self, mut send: impl FnMut(Leg, Output<'a>)) {
        let frames = Frames {
            tick: self.tick,
            silence: self.silence,
            shared: &self.shared,
        };
        let mut voices = self.voices.iter().map(|voice| voice.at).enumerate().peekable();
        let heard = self.voices.len();
        for (at, (leg, audio)) in self.legs.iter().enumerate() {
            let talkers = match voices.next_if(|&(_, voice)| voice == at) {
                Some((n, _)) => &self.talkers[n + 1..n + heard],
                None => &self.talkers[..heard],
            };
            audio.outputs(&frames, talkers, |output| send(*leg, output));
        }
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// How many events were lost because nobody polled.
    pub fn lost_events(&self) -> u64 {
        self.events.lost() + self.applied.lost()
    }

    /// What happened in a leg's jitter buffer so far.
    pub fn jitter(&self, leg: Leg) -> Option<JitterStats> {
        self.find(leg).ok().map(|at| self.legs[at].1.jitter())
    }

    /// How many ticks of legs were decoded so far, be it to hear them or only to find out how loud they are.
    pub fn decoded(&self) -> u64 {
        self.decoded
    }

    /// How many legs are here.
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// The rate at which voices were added in the last tick (rule R67).
    pub fn rate(&self) -> Rate {
        self.rate.now()
    }

    fn find(&self, leg: Leg) -> Result<usize, usize> {
        self.legs.binary_search_by_key(&leg, |(leg, _)| *leg)
    }

    fn add(&mut self, leg: Leg, audio: Box<LegAudio>) -> Result<(), Refused> {
        match self.find(leg) {
            Ok(_) => Err(Refused::Present(leg, audio)),
            Err(_) if self.legs.len() >= self.capacity => Err(Refused::Full(leg, audio)),
            Err(at) => {
                let mut audio = audio;
                audio.aside.enter(self.open);
                self.legs.insert(at, (leg, audio));
                self.floor.insert(at);
                Ok(())
            }
        }
    }

    fn replace(&mut self, leg: Leg, mut audio: Box<LegAudio>) -> Result<Box<LegAudio>, Refused> {
        match self.find(leg) {
            Err(_) => Err(Refused::Absent(leg, audio)),
            Ok(at) => {
                if !audio.take_over(&mut self.legs[at].1) {
                    self.floor.replace(at);
                }
                let mut before = std::mem::replace(&mut self.legs[at].1, audio);
                self.ended += before.leave();
                Ok(before)
            }
        }
    }

    fn remove(&mut self, leg: Leg) -> Result<Box<LegAudio>, Refused> {
        let at = self.find(leg).map_err(|_| Refused::Unknown(leg))?;
        let (_, mut audio) = self.legs.remove(at);
        self.floor.remove(at);
        if audio.speaking {
            self.events.push(Event::Speaking(leg, false));
        }
        self.ended += audio.leave();
        self.applied.push(Event::Applied(leg));
        Ok(audio)
    }

    fn change(&mut self, leg: Leg, change: impl FnOnce(&mut LegAudio)) -> Result<Option<Box<LegAudio>>, Refused> {
        let at = self.find(leg).map_err(|_| Refused::Unknown(leg))?;
        change(&mut self.legs[at].1);
        Ok(None)
    }

    /// Decides who is heard (rule R65).
    fn choose(&mut self, stock: &mut Stock) {
        if !self.open {
            return;
        }
        for (at, (_, audio)) in self.legs.iter().enumerate() {
            self.floor.turn(at, audio.heard && !audio.muted);
        }
        self.floor.doubt();
        while let Some(at) = self.floor.next_probe() {
            if let Some(level) = self.legs[at].1.probe(stock) {
                self.floor.probed(at, level);
                self.decoded += 1;
            }
        }
        self.floor.choose();
    }

    /// Decodes who is heard; gives the highest rates of those who hear and of what is said to them alone.
    fn take_voices(&mut self, stock: &mut Stock) -> (Option<Rate>, Option<Rate>) {
        self.voices.clear();
        self.talkers.clear();
        let (mut listeners, mut speeches) = (None, None);
        let mut frame = Frame::new(Rate::Narrow);
        for (at, (leg, audio)) in self.legs.iter_mut().enumerate() {
            let settings = audio.settings();
            if audio.sending {
                listeners = listeners.max(Some(settings.hears()));
                speeches = speeches.max(audio.aside.pull());
            }
            let standing = self.floor.standing(at);
            let voice = if let (Some(bank), true) = (&self.bank, audio.keys.is_some()) {
                self.decoded += 1;
                let voice = audio.pull(stock, self.floor.gate(at), &mut frame);
                let keys = audio.keys.as_mut();
                let key = keys.and_then(|keys| keys.hear(bank, &self.filters, voice.then_some(&frame)));
                key.into_iter().for_each(|key| self.events.push(Event::Key(*leg, key)));
                false
            } else if standing == Standing::Out {
                audio.skim();
                false
            } else {
                self.decoded += 1;
                if let waited @ 1.. = self.floor.waited(at) {
                    audio.rewind(waited);
                }
                let voice = audio.pull(stock, self.floor.gate(at), &mut frame);
                let level = self.floor.heard(at).dbov();
                if voice {
                    self.talkers.push(Talker { leg: *leg, level });
                }
                voice
            };
            if voice {
                audio.enters = audio.last.is_none();
                let mut frame = frame.clone();
                audio.polish(&self.filters, &mut frame);
                if standing == Standing::Leaving {
                    fade_out(frame.pcm_mut());
                }
                self.voices.push(Voice { at, frame });
            } else if let Some(last) = audio.last.take() {
                audio.tail.clear();
                audio.lingers = audio.mouth.lingers();
                self.ended += i32::from(last);
                self.shared.welcome(audio.key());
            }
            if self.open && audio.speaking != self.floor.is_speaking(at) {
                audio.speaking = !audio.speaking;
                self.events.push(Event::Speaking(*leg, audio.speaking));
            }
            if std::mem::take(&mut audio.apply) {
                self.applied.push(Event::Applied(*leg));
            }
        }
        self.talkers.extend_from_within(..);
        (listeners, speeches)
    }

    fn add_voices(&mut self, (listeners, speeches): (Option<Rate>, Option<Rate>)) {
        let heard = self.open || self.legs.iter().any(|(_, audio)| audio.aside.waits);
        let sounds = if heard {
            self.players.iter_mut().filter_map(|(_, player)| player.pull()).max()
        } else {
            None
        };
        let voices = self.voices.iter().map(|voice| voice.frame.rate()).max().max(sounds).max(speeches);
        let former = self.rate.choose(voices, listeners);
        self.mix.begin(self.rate.now(), former);
        for Voice { at, frame } in &self.voices {
            let audio = &mut self.legs[*at].1;
            audio.last = Some(self.mix.add(&self.filters, &audio.tail, frame));
            audio.tail.keep(frame.pcm());
        }
        if heard {
            for (_, player) in &mut self.players {
                player.mix_into(&mut self.mix, &self.filters);
            }
        }
        self.mix.add_end(std::mem::take(&mut self.ended));
    }

    /// Encodes what is heard.
    fn speak(&mut self, stock: &mut Stock) {
        let mut tools = Tools {
            tick: self.tick,
            filters: &self.filters,
            stock,
            effort: self.effort,
            band: self.rate.cap(),
        };
        // Who begins to speak goes on from what all heard so far (rule R64).
        for voice in &self.voices {
            let audio = &mut self.legs[voice.at].1;
            if audio.enters {
                audio.limiter = self.limiter;
                audio.go_on_from(&self.shared, self.tick);
            }
        }
        let heard = self.mix.all(&mut self.limiter);
        let mut private = false;
        for (_, audio) in &mut self.legs {
            private |= audio.turn_aside(self.open, &mut self.shared, self.tick);
        }
        // First for the many, lest the stock be empty.
        if self.mix.voices() > 0 {
            for (_, audio) in self.legs.iter_mut().filter(|(_, audio)| audio.shares(self.open)) {
                // Also while it goes on for itself, so that there is something to go over to.
                self.shared.join(audio.key(), audio.loss());
                if audio.lingers > 0 && audio.mouth.spoke_before(self.tick) {
                    audio.lingers -= 1;
                    let heard = audio.aside.apply(self.open, &self.filters, heard.clone());
                    audio.mouth.encode(&mut tools, &[], &heard, 0);
                }
            }
            self.shared.encode(&mut tools, &self.recent, &heard);
        }
        for (n, voice) in self.voices.iter().enumerate() {
            let audio = &mut self.legs[voice.at].1;
            if audio.sending && (self.mix.voices() > 1 || audio.aside.is_private()) {
                // Who spoke alone heard nothing.
                let recent = if audio.enters { &self.recent[..] } else { &[] };
                let (heard, loss) = (self.mix.without(n, &mut audio.limiter), audio.loss());
                let heard = audio.aside.apply(self.open, &self.filters, heard);
                audio.mouth.encode(&mut tools, recent, &heard, loss);
            }
        }
        if private {
            let alone = |audio: &LegAudio| audio.sending && audio.last.is_none() && audio.aside.is_private();
            for (_, audio) in self.legs.iter_mut().filter(|(_, audio)| alone(audio)) {
                let recent = (!audio.mouth.spoke_before(self.tick)).then(|| audio.aside.heard(&self.recent));
                let (heard, loss) = (audio.aside.apply(self.open, &self.filters, heard.clone()), audio.loss());
                audio
                    .mouth
                    .encode(&mut tools, recent.as_ref().map_or(&[], |recent| &recent[..]), &heard, loss);
            }
        }
        self.recent.swap(0, 1);
        self.recent[1] = heard.now;
    }

    /// Decides what each leg is sent.
    fn send(&mut self, stock: &mut Stock) {
        self.shared.rest(self.tick, stock);
        let frames = Frames {
            tick: self.tick,
            silence: self.silence,
            shared: &self.shared,
        };
        for (leg, audio) in &mut self.legs {
            let source = match (audio.last, self.mix.voices()) {
                _ if audio.mouth.is_made(self.tick) => Source::Own,
                (_, 0) | (Some(_), _) => Source::Silence,
                (None, _) if audio.shares(self.open) => Source::Shared,
                (None, _) => Source::Silence,
            };
            audio.send(source, &frames);
            audio.rest(self.tick, stock);
            if self.said.len() < MAX_SAID
                && let Some((speech, to_its_end)) = audio.aside.poll_said()
            {
                self.said.push(speech);
                if to_its_end {
                    self.events.push(Event::Said(*leg));
                }
            }
        }
    }
}

impl fmt::Debug for Mixer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mixer")
            .field("rate", &self.rate.now())
            .field("tick", &self.tick)
            .field("legs", &self.legs.len())
            .finish_non_exhaustive()
    }
}
