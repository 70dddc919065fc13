//! One room and its two doors as one synchronous machine. What comes in is carried out wholly before anything else is looked at.
//!
//! It does not wait, and knows no channel: the task around it ([`super::task`]) and the simulations give it its [`Outlets`].

use std::time::Instant;

use minidom::Element;

use crate::model::control::{RoomCommand, RoomReply};
use crate::model::{MediaOrder, Now, OccupantId, RoomName, StoreOp};
use crate::peers::muc::MucRoom;
use crate::peers::sip::{FromRoom, SipRoom, ToRoom};
use crate::room::{Numbered, Report, Room};

use super::control;

/// What a room is told.
#[derive(Debug)]
pub enum Input {
    /// A stanza to the room, one of its occupants, or a stand-in.
    Stanza(Element),
    /// The chat server in front is gone (`false`) or back.
    ChatLink(bool),
    /// Stanzas were lost on the way out: compare who is still there (rule R30).
    ChatOverflow,
    /// From the phone door.
    Sip(ToRoom),
    /// From the operator.
    Control(RoomCommand, tokio::sync::oneshot::Sender<RoomReply>),
    /// The server goes down.
    Shutdown,
}

/// Where a room's output goes. None of these waits.
pub trait Outlets {
    /// To the media plane.
    fn media(&mut self, order: MediaOrder);
    /// To the chat server.
    fn stanza(&mut self, stanza: Element);
    /// To the phone door.
    fn sip(&mut self, command: FromRoom);
    /// To the database.
    fn store(&mut self, op: StoreOp);
    /// To whoever follows the room's life: the log, the demo's transcript.
    fn event(&mut self, room: &Room, event: &Numbered);
}

/// A room, its chat peer and its phone peer.
#[derive(Debug)]
pub struct Cell {
    room: Room,
    muc: MucRoom,
    sip: SipRoom,
}

impl Cell {
    /// Joins the three.
    pub fn new(room: Room, muc: MucRoom, sip: SipRoom) -> Self {
        Self { room, muc, sip }
    }

    /// The room's name.
    pub fn name(&self) -> &RoomName {
        self.room.name()
    }

    /// The room, to read.
    pub fn room(&self) -> &Room {
        &self.room
    }

    /// Takes one input and carries out all that follows from it.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut impl Outlets) {
        match input {
            Input::Stanza(stanza) => self.muc.handle_stanza(now, &mut self.room, stanza),
            Input::ChatLink(up) => {
                self.room.report(now, Report::ChatLink(up));
                self.muc.handle_link(now, &mut self.room, up);
            }
            Input::ChatOverflow => self.muc.handle_link(now, &mut self.room, true),
            Input::Sip(message) => self.sip.handle(now, &mut self.room, message),
            Input::Control(command, reply) => {
                // Nobody waiting for the answer any more is no fault of the room's.
                let _ = reply.send(control::carry_out(&mut self.room, now, command));
            }
            Input::Shutdown => self.room.report(now, Report::Shutdown),
        }
        self.drain(now, out);
    }

    /// Runs the timers that are due.
    pub fn handle_timeout(&mut self, now: Now, out: &mut impl Outlets) {
        self.room.handle_timeout(now);
        self.drain(now, out);
        self.muc.handle_timeout(now, &mut self.room);
        self.drain(now, out);
    }

    /// When [`Cell::handle_timeout`] is due, and what for.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        [self.room.poll_timeout(), self.muc.poll_timeout(), self.sip.poll_timeout()]
            .into_iter()
            .flatten()
            .min_by_key(|(at, _)| *at)
    }

    /// The room is over and everybody has been told.
    pub fn is_over(&self) -> bool {
        self.room.is_over()
    }

    /// Media first, so that a mute is heard before it is announced; then events to both peers, in their order.
    fn drain(&mut self, now: Now, out: &mut impl Outlets) {
        loop {
            while let Some(order) = self.room.poll_media() {
                out.media(order);
            }
            let Some(event) = self.room.poll_event() else { break };
            self.sip.handle_event(now, &self.room, &event);
            self.muc.handle_event(now, &self.room, &event);
            out.event(&self.room, &event);
        }
        self.sip.flush(now, &mut self.room, Some(&self.muc.subject()));
        while let Some(command) = self.sip.poll_command() {
            out.sip(command);
        }
        while let Some(stanza) = self.muc.poll_stanza() {
            out.stanza(stanza);
        }
        while let Some(op) = self.room.poll_store() {
            out.store(op);
        }
        while let Some(op) = self.muc.poll_store() {
            out.store(op);
        }
    }

    /// The present occupant's nick, for the log.
    pub fn nick(&self, occupant: OccupantId) -> Option<String> {
        self.room.occupant(occupant).map(|o| o.nick)
    }
}
