//! One room's audio.

use crate::{CodecFailed, Command, Event, JitterStats, Leg, LegAudio, Output, OutputKind, Rate, Refused, event::Events};

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
    /// The codec's bytes.
    pub payload: &'a [u8],
}

/// One room on one thread at one rate.
///
/// Between ticks: [`Self::handle`] and [`Self::push`]. Every 20 ms: [`Self::tick`], then [`Self::outputs`], then [`Self::poll_event`] until
/// it is `None`.
#[derive(Debug)]
pub struct Mixer {
    rate: Rate,
    capacity: usize,
    /// Sorted by leg.
    legs: Vec<(Leg, Box<LegAudio>)>,
    events: Events,
}

impl Mixer {
    /// Makes a mixer in which everybody hears everybody else.
    pub fn new(rate: Rate, capacity: usize) -> Result<Self, CodecFailed> {
        Ok(Self {
            rate,
            capacity,
            legs: Vec::with_capacity(capacity),
            events: Events::new(4 * capacity),
        })
    }

    /// Makes a mixer in which nobody hears anybody: legs there get silence, and what they send is dropped in time.
    pub fn vestibule(rate: Rate, capacity: usize) -> Result<Self, CodecFailed> {
        Self::new(rate, capacity)
    }

    /// Carries out a command; gives back the audio of a removed or replaced leg, to be moved or dropped elsewhere.
    pub fn handle(&mut self, command: Command) -> Result<Option<Box<LegAudio>>, Refused> {
        match command {
            Command::Add(leg, audio) => match self.find(leg) {
                Ok(_) => Err(Refused::Present(leg, audio)),
                Err(_) if self.legs.len() >= self.capacity => Err(Refused::Full(leg, audio)),
                Err(_) if audio.rate() != self.rate => Err(Refused::OtherRate(leg, audio)),
                Err(at) => {
                    self.legs.insert(at, (leg, audio));
                    Ok(None)
                }
            },
            Command::Replace(leg, audio) => match self.find(leg) {
                Ok(at) => Ok(Some(std::mem::replace(&mut self.legs[at].1, audio))),
                Err(_) => Err(Refused::Absent(leg, audio)),
            },
            Command::Remove(leg) => match self.find(leg) {
                Ok(at) => {
                    self.events.push(Event::Applied(leg));
                    Ok(Some(self.legs.remove(at).1))
                }
                Err(_) => Err(Refused::Unknown(leg)),
            },
            Command::Send(leg, on) => {
                let at = self.find(leg).map_err(|_| Refused::Unknown(leg))?;
                self.legs[at].1.sending = on;
                Ok(None)
            }
            Command::Mute(leg, _) | Command::Hear(leg, _) => {
                self.find(leg).map_err(|_| Refused::Unknown(leg))?;
                self.events.push(Event::Applied(leg));
                Ok(None)
            }
        }
    }

    /// Takes a packet that came for the leg; packets for legs that aren't here are ignored.
    pub fn push(&mut self, leg: Leg, _packet: Packet<'_>) {
        let Ok(_) = self.find(leg) else { return };
    }

    /// Mixes the next 20 ms.
    pub fn tick(&mut self) {
        for (_, audio) in &mut self.legs {
            audio.clock = audio.clock.wrapping_add(audio.settings().codec.clock_step());
        }
    }

    /// Lets that many ticks pass unmixed (rule R68): RTP time goes on, nothing is sent, the jitter buffers drop the same time.
    pub fn skip(&mut self, ticks: u32) {
        for (_, audio) in &mut self.legs {
            audio.clock = audio.clock.wrapping_add(audio.settings().codec.clock_step().wrapping_mul(ticks));
        }
    }

    /// Shows what each leg is sent in this tick, in order of legs.
    pub fn outputs(&self, mut send: impl FnMut(Leg, Output<'_>)) {
        for (leg, audio) in &self.legs {
            if audio.sending {
                let kind = OutputKind::Audio;
                send(
                    *leg,
                    Output {
                        kind,
                        payload: &[0xff; 160],
                        timestamp: audio.clock,
                        marker: false,
                    },
                );
            }
        }
    }

    /// What happened, oldest first.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// How many events were lost because nobody polled.
    pub fn lost_events(&self) -> u64 {
        self.events.lost()
    }

    /// What happened in a leg's jitter buffer so far.
    pub fn jitter(&self, leg: Leg) -> Option<JitterStats> {
        self.find(leg).ok().map(|at| self.legs[at].1.jitter())
    }

    /// How many legs are here.
    pub fn len(&self) -> usize {
        self.legs.len()
    }

    /// Whether nobody is here.
    pub fn is_empty(&self) -> bool {
        self.legs.is_empty()
    }

    /// The rate of this mixer.
    pub fn rate(&self) -> Rate {
        self.rate
    }

    fn find(&self, leg: Leg) -> Result<usize, usize> {
        self.legs.binary_search_by_key(&leg, |(leg, _)| *leg)
    }
}
