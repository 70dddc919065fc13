//! What a leg carries along when it moves between mixers.

use std::fmt;

use crate::{
    JitterStats, Keys, LegSettings, Output, Packet, Stock, Talker, Unbuildable,
    aside::Aside,
    ear::Ear,
    level::{Gate, Level},
    limiter::Limiter,
    mouth::{Mouth, Shared, Silence},
    output::{Outlet, Source},
    polish::Polish,
    resample::{Filters, Tail},
    settings::{Frame, Stream},
    volume::{Knob, Step, UNITY},
};

/// Jitter buffer, decoder, encoder and output state of one leg (rule R60). Built and dropped outside the tick.
pub struct LegAudio {
    settings: LegSettings,
    /// Nobody is to hear the leg: a moderator or the person wants it.
    pub(crate) muted: bool,
    /// The leg's voice may enter a mix.
    pub(crate) heard: bool,
    /// Something is sent to the leg.
    pub(crate) sending: bool,
    /// A mute (or its end) is to be reported as applied.
    pub(crate) apply: bool,
    /// The leg counts as speaking, as last reported.
    pub(crate) speaking: bool,
    /// The last sample that the leg had in the mix; `None` if it wasn't in the last tick's.
    pub(crate) last: Option<i16>,
    /// This is the first tick with its voice.
    pub(crate) enters: bool,
    pub(crate) outlet: Outlet,
    ear: Ear,
    polish: Option<Box<Polish>>,
    /// The end of what it said in the last tick, if that is in the mix.
    pub(crate) tail: Tail,
    pub(crate) mouth: Mouth,
    /// Ticks for which the leg's own encoder goes on though it no longer speaks.
    pub(crate) lingers: u8,
    pub(crate) limiter: Limiter,
    /// What only this leg hears.
    pub(crate) aside: Aside,
    /// Its volume for the others.
    speaks: (Step, Knob),
    /// Finds keys in what it says, where nobody else hears that.
    pub(crate) keys: Option<Box<Keys>>,
    /// Per cent of the packets to it that are lost on the way.
    pub(crate) lost: u8,
}

impl LegAudio {
    /// Builds the audio of a leg.
    pub fn new(settings: LegSettings) -> Result<Box<Self>, Unbuildable> {
        Ok(Box::new(Self {
            settings,
            muted: false,
            heard: true,
            sending: true,
            apply: false,
            speaking: false,
            last: None,
            enters: false,
            outlet: Outlet::new(settings)?,
            ear: Ear::new(settings.codec),
            polish: Polish::new(settings),
            tail: Tail::new(),
            mouth: Mouth::new(settings.stream()),
            lingers: 0,
            limiter: Limiter::new(),
            aside: Aside::new(),
            speaks: (Step::default(), Knob::at(UNITY)),
            keys: None,
            lost: 0,
        }))
    }

    /// What was negotiated.
    pub fn settings(&self) -> LegSettings {
        self.settings
    }

    /// What happened in the jitter buffer so far.
    pub fn jitter(&self) -> JitterStats {
        self.ear.stats()
    }

    /// Per cent of the packets to it that in-band FEC is to make up for.
    pub(crate) fn loss(&self) -> u8 {
        if self.settings.fec { self.lost } else { 0 }
    }

    /// How loud a packet is, if neither its sender nor its bytes alone tell.
    pub(crate) fn loudness(&mut self, packet: &Packet<'_>) -> Option<Level> {
        if packet.level.is_some() { None } else { self.ear.loudness(packet) }
    }

    pub(crate) fn push(&mut self, packet: &Packet<'_>) {
        self.ear.push(packet);
    }

    /// Fills the frame with this tick's voice, at the codec's own rate; `false` if there is none.
    pub(crate) fn pull(&mut self, stock: &mut Stock, gate: &mut Gate, frame: &mut Frame) -> bool {
        frame.set_rate(self.settings.codec.rate());
        self.ear.pull(stock, gate, frame.pcm_mut())
    }

    /// Gives back what it had of the stock and doesn't use in this tick.
    pub(crate) fn rest(&mut self, tick: u64, stock: &mut Stock) {
        self.mouth.rest(tick, stock);
        self.ear.rest(stock);
    }

    /// Is to be heard from what came so many ticks ago on.
    pub(crate) fn rewind(&mut self, ticks: u8) {
        self.ear.rewind(ticks);
    }

    /// Does to a voice that is heard what the leg's settings and volume ask for.
    pub(crate) fn polish(&mut self, filters: &Filters, voice: &mut Frame) {
        if let Some(polish) = &mut self.polish {
            polish.apply(filters, voice.pcm_mut());
        }
        let (step, knob) = &mut self.speaks;
        if !step.is_plain() || !knob.is_at(UNITY) {
            knob.turn(step.gain(), voice, |_| false);
        }
    }

    /// Sets how loud the leg hears, and is heard.
    pub(crate) fn set_volume(&mut self, hear: Step, speak: Step) {
        self.aside.set_step(hear);
        self.speaks.0 = speak;
    }

    /// What the leg may share an encoder by (rule R63).
    pub(crate) fn key(&self) -> (Stream, Step) {
        (self.settings.stream(), self.aside.step())
    }

    /// Goes on from what all others of its key heard until now, if it has heard the same (rule R64).
    pub(crate) fn go_on_from(&mut self, shared: &Shared, tick: u64) {
        if let Some(mouth) = shared.of((self.settings.stream(), self.aside.settled())) {
            self.mouth.take_over(mouth, tick);
        }
    }

    /// Begins a tick of what only this leg hears, and leads to and back from what all do (rule R64); tells whether there is any.
    pub(crate) fn turn_aside(&mut self, open: bool, shared: &mut Shared, tick: u64) -> bool {
        let (private, over) = self.aside.turn(open);
        if self.last.is_none() {
            if private {
                self.go_on_from(shared, tick);
            } else if over {
                self.lingers = self.mouth.lingers();
                shared.welcome(self.key());
            }
        }
        private
    }

    /// Whether it hears the same as all others of its key.
    pub(crate) fn shares(&self, open: bool) -> bool {
        self.sending && self.last.is_none() && self.aside.hears(open) && !self.aside.is_private()
    }

    /// How loud it is by its newest packets, if that can be told.
    pub(crate) fn probe(&mut self, stock: &mut Stock) -> Option<Level> {
        self.ear.probe(stock)
    }

    /// Lets a tick of what the leg says pass unheard.
    pub(crate) fn skim(&mut self) {
        self.ear.skim();
    }

    /// Leaves a mixer: gives back the last sample that it had in the mix.
    pub(crate) fn leave(&mut self) -> i32 {
        self.mouth.forget();
        self.ear.leave();
        self.tail.clear();
        self.limiter = Limiter::new();
        self.lingers = 0;
        self.apply = false;
        self.speaking = false;
        self.last.take().unwrap_or(0).into()
    }

    /// Goes on where the audio of the same leg was; tells whether its voice does too, since the codec is the same: what waits in the jitter
    /// buffer is heard as if nothing had happened, and what knew the voice goes on knowing it.
    pub(crate) fn take_over(&mut self, other: &mut Self) -> bool {
        (self.muted, self.heard, self.sending, self.lost) = (other.muted, other.heard, other.sending, other.lost);
        (self.apply, self.speaking) = (other.apply, other.speaking);
        self.outlet.take_over(&other.outlet);
        std::mem::swap(&mut self.aside, &mut other.aside);
        std::mem::swap(&mut self.keys, &mut other.keys);
        self.speaks = other.speaks;
        let same = self.settings.codec == other.settings.codec;
        if same {
            std::mem::swap(&mut self.ear, &mut other.ear);
            std::mem::swap(&mut self.tail, &mut other.tail);
            (self.last, self.enters) = (other.last.take(), other.enters);
            std::mem::swap(&mut self.mouth, &mut other.mouth);
            self.mouth.set_stream(self.settings.stream());
            (self.lingers, self.limiter) = (other.lingers, other.limiter);
        }
        if self.settings.polishes() == other.settings.polishes() {
            std::mem::swap(&mut self.polish, &mut other.polish);
        }
        same
    }

    /// Decides what is sent in this tick.
    pub(crate) fn send(&mut self, source: Source, frames: &Frames<'_>) {
        if self.sending {
            let (source, frame) = frames.find(self.key(), source, &self.mouth);
            self.outlet.send(source, frame);
        } else {
            self.outlet.pause(1);
        }
    }

    /// Shows what is sent in this tick, with those voices in it.
    pub(crate) fn outputs<'a>(&'a self, frames: &Frames<'a>, talkers: &'a [Talker], send: impl FnMut(Output<'a>)) {
        self.outlet
            .outputs(talkers, |source| frames.find(self.key(), source, &self.mouth).1, send);
    }
}

impl fmt::Debug for LegAudio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LegAudio").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The frames of one tick that are not one leg's own.
pub(crate) struct Frames<'a> {
    pub(crate) tick: u64,
    pub(crate) silence: &'a Silence,
    pub(crate) shared: &'a Shared,
}

impl<'a> Frames<'a> {
    /// The bytes from that source; silence, if the encoder refused to make them.
    fn find(&self, key: (Stream, Step), source: Source, own: &'a Mouth) -> (Source, &'a [u8]) {
        let made = match source {
            Source::Silence => None,
            Source::Shared => self.shared.of(key).and_then(|mouth| mouth.frame(self.tick)),
            Source::Own => own.frame(self.tick),
        };
        match made {
            Some(frame) => (source, frame),
            None => (Source::Silence, self.silence.frame(key.0)),
        }
    }
}
