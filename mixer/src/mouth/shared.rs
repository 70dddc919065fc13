//! What is encoded once for many.

use super::{Mouth, Tools};
use crate::{
    OpusClass, Stock,
    codec::Law,
    mix::Heard,
    settings::{Frame, Stream},
    volume::{Knob, Step},
};

/// One encoder for each kind of stream and volume, for all legs that hear the same (rule R63).
pub(crate) struct Shared {
    /// At the usual volume, in the order of the streams' places.
    plain: [Booth; Stream::COUNT],
    /// At other volumes, as they are first listened to. There is room for all; memory is touched only as they come.
    turned: Vec<Booth>,
}

struct Booth {
    key: (Stream, Step),
    mouth: Mouth,
    knob: Knob,
    /// The greatest loss on the way to those who listen in this tick, in per cent; `None` if nobody does.
    audience: Option<u8>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let [narrow, wide, full, constant] = OpusClass::ALL.map(Stream::Opus);
        // In the order of their places.
        let streams = [
            Stream::Law(Law::Mu),
            Stream::Law(Law::A),
            Stream::G722,
            narrow,
            wide,
            full,
            constant,
        ];
        Self {
            plain: streams.map(|stream| Booth::new((stream, Step::default()))),
            turned: Vec::with_capacity(Step::OTHERS * Stream::COUNT),
        }
    }

    /// What speaks to those of that key, if anybody ever listened by it.
    pub(crate) fn of(&self, key: (Stream, Step)) -> Option<&Mouth> {
        let booth = if key.1.is_plain() {
            Some(&self.plain[key.0.index()])
        } else {
            self.turned.iter().find(|booth| booth.key == key)
        };
        booth.map(|booth| &booth.mouth)
    }

    /// Somebody will hear the next frame who didn't hear the one before.
    pub(crate) fn welcome(&mut self, key: (Stream, Step)) {
        self.booth(key).mouth.welcome();
    }

    /// Somebody listens in this tick, on whose way that much is lost.
    pub(crate) fn join(&mut self, key: (Stream, Step), loss: u8) {
        let booth = self.booth(key);
        booth.audience = booth.audience.max(Some(loss));
    }

    /// Encodes for all who have joined.
    pub(crate) fn encode(&mut self, tools: &mut Tools<'_>, recent: &[Frame; 2], heard: &Heard) {
        for booth in &mut self.plain {
            if let Some(loss) = booth.audience.take() {
                booth.mouth.encode(tools, recent, heard, loss);
            }
        }
        for booth in &mut self.turned {
            if let Some(loss) = booth.audience.take() {
                booth.encode(tools, recent, heard, loss);
            }
        }
    }

    /// Gives the states of those back who made nothing in this tick.
    pub(crate) fn rest(&mut self, tick: u64, stock: &mut Stock) {
        let all = self.plain.iter_mut().chain(&mut self.turned);
        all.for_each(|booth| booth.mouth.rest(tick, stock));
    }

    fn booth(&mut self, key: (Stream, Step)) -> &mut Booth {
        if key.1.is_plain() {
            return &mut self.plain[key.0.index()];
        }
        let at = self.turned.iter().position(|booth| booth.key == key).unwrap_or_else(|| {
            self.turned.push(Booth::new(key));
            self.turned.len() - 1
        });
        &mut self.turned[at]
    }
}

impl Booth {
    fn new(key: (Stream, Step)) -> Self {
        Self {
            key,
            mouth: Mouth::new(key.0),
            knob: Knob::at(key.1.gain()),
            audience: None,
        }
    }

    /// Encodes what is heard at this volume.
    fn encode(&mut self, tools: &mut Tools<'_>, recent: &[Frame; 2], heard: &Heard, loss: u8) {
        let gain = self.key.1.gain();
        let turn = |mut knob: Knob, frame: &Frame| {
            let mut frame = frame.clone();
            knob.turn(gain, &mut frame, |_| false);
            (knob, frame)
        };
        let former = heard.former.as_ref().map(|former| turn(self.knob, former).1);
        let (knob, now) = turn(self.knob, &heard.now);
        let heard = Heard { now, former };
        if self.mouth.spoke_before(tools.tick) {
            self.mouth.encode(tools, &[], &heard, loss);
        } else {
            let recent = [&recent[0], &recent[1]].map(|frame| turn(self.knob, frame).1);
            self.mouth.encode(tools, &recent, &heard, loss);
        }
        self.knob = knob;
    }
}
