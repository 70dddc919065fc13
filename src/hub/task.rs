//! The loop around one room: takes a message, lets the [`Cell`] finish with it, passes on what came of it. It never waits for a receiver.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

use minidom::Element;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::error;

use crate::model::{MediaOrder, RoomName, StoreOp};
use crate::peers::sip::{FromRoom, ToRoom, WatchEnd};
use crate::room::{Numbered, Refusal, Room};

use super::cell::{Cell, Input, Outlets};
use super::directory::{Directory, Handle};
use super::{Outward, clock, journal};

/// Commands to the phone door that may wait in a room while the SIP task is busy. A room has at most a few per call and watcher;
/// more means that the SIP task is stuck, and then losing documents is the least of it.
const SIP_BACKLOG: usize = 16_384;

/// What the SIP task hears of rooms.
#[derive(Debug)]
pub enum SipInput {
    /// A room answers or orders.
    FromRoom(FromRoom),
    /// The room is gone: calls and subscriptions that it didn't end are to be ended.
    RoomGone(RoomName),
}

/// One room's task.
#[derive(Debug)]
pub(super) struct RoomTask {
    cell: Cell,
    inbox: mpsc::Receiver<Input>,
    handle: Handle,
    directory: Directory,
    out: TaskOutlets,
}

impl RoomTask {
    pub(super) fn new(cell: Cell, inbox: mpsc::Receiver<Input>, handle: Handle, directory: Directory, outward: Outward) -> Self {
        handle.summary.update(cell.room());
        Self {
            cell,
            inbox,
            handle,
            directory,
            out: TaskOutlets {
                outward,
                backlog: VecDeque::new(),
            },
        }
    }

    /// Runs until the room is over.
    pub(super) async fn run(mut self) {
        let name = self.cell.name().clone();
        loop {
            let due = self.cell.poll_timeout();
            let sip = self.out.outward.sip.clone();
            tokio::select! { biased;
                permit = sip.reserve(), if !self.out.backlog.is_empty() => {
                    let Ok(permit) = permit else { break };
                    if let Some(command) = self.out.backlog.pop_front() {
                        permit.send(SipInput::FromRoom(command));
                    }
                    continue;
                }
                // Before the inbox: a room that is never left in peace still keeps its times.
                () = async { match due { Some((at, _)) => sleep_until(at.into()).await, None => std::future::pending().await } } => {
                    if !self.guarded(|cell, out| cell.handle_timeout(clock::now(), out)) {
                        break;
                    }
                }
                input = self.inbox.recv() => {
                    let Some(input) = input else { break };
                    if !self.guarded(|cell, out| cell.handle(clock::now(), input, out)) {
                        break;
                    }
                }
            }
            self.handle.summary.update(self.cell.room());
            if self.cell.is_over() {
                break;
            }
        }
        self.close(name).await;
    }

    /// A panic costs this room, and no other.
    fn guarded(&mut self, step: impl FnOnce(&mut Cell, &mut TaskOutlets)) -> bool {
        let Self { cell, out, .. } = self;
        let done = catch_unwind(AssertUnwindSafe(|| step(cell, out)));
        if done.is_err() {
            error!(room = %self.cell.name(), "the room failed and is closed; its calls are ended");
        }
        done.is_ok()
    }

    /// Gives the name free, answers what was still unread, and lets the SIP task clean up.
    async fn close(mut self, name: RoomName) {
        self.directory.release(&name, &self.handle);
        self.inbox.close();
        while let Ok(input) = self.inbox.try_recv() {
            match input {
                Input::Sip(ToRoom::Join { leg, .. } | ToRoom::Answered { leg, .. }) => {
                    self.out.sip(FromRoom::Refuse(leg, Refusal::Closing))
                }
                Input::Sip(ToRoom::TakeOver { join, .. }) => {
                    if let ToRoom::Join { leg, .. } = *join {
                        self.out.sip(FromRoom::Refuse(leg, Refusal::Closing));
                    }
                }
                Input::Sip(ToRoom::Watch { subscription, .. }) => self.out.sip(FromRoom::RefuseWatch(subscription, Refusal::Closing)),
                Input::Sip(ToRoom::Refer { refer, .. }) => self.out.sip(FromRoom::RefuseRefer(refer, Refusal::Closing)),
                Input::Sip(ToRoom::Refresh(subscription)) => self.out.sip(FromRoom::Terminate(subscription, WatchEnd::NoResource)),
                // A stanza for a room that is just gone opens a new one, or is answered by the service.
                Input::Stanza(stanza) => self.out.outward.chat.send_back(stanza),
                Input::Sip(
                    ToRoom::Confirmed(_)
                    | ToRoom::Held(..)
                    | ToRoom::ListensOnly(..)
                    | ToRoom::Gone(..)
                    | ToRoom::Quiet(..)
                    | ToRoom::Digit(..)
                    | ToRoom::Speaking(..)
                    | ToRoom::MediaFailed
                    | ToRoom::RecordingStarted { .. }
                    | ToRoom::RecordingEnded { .. }
                    | ToRoom::Notified(_)
                    | ToRoom::Unwatch(_)
                    | ToRoom::DialAlerts(_)
                    | ToRoom::DialFailed(..),
                )
                | Input::ChatLink(_)
                | Input::ChatOverflow
                | Input::Control(..)
                | Input::Shutdown => {}
            }
        }
        // The room has no owner any more whom this could block.
        for command in self.out.backlog {
            let _ = self.out.outward.sip.send(SipInput::FromRoom(command)).await;
        }
        let _ = self.out.outward.sip.send(SipInput::RoomGone(name)).await;
    }
}

/// Passes on without waiting.
#[derive(Debug)]
struct TaskOutlets {
    outward: Outward,
    backlog: VecDeque<FromRoom>,
}

impl Outlets for TaskOutlets {
    fn media(&mut self, order: MediaOrder) {
        self.outward.plane.order(order);
    }

    fn stanza(&mut self, stanza: Element) {
        self.outward.chat.send(stanza);
    }

    fn sip(&mut self, command: FromRoom) {
        if self.backlog.is_empty() {
            match self.outward.sip.try_send(SipInput::FromRoom(command)) {
                Ok(()) => {}
                Err(mpsc::error::TrySendError::Full(SipInput::FromRoom(command))) => self.backlog.push_back(command),
                Err(mpsc::error::TrySendError::Full(SipInput::RoomGone(_)) | mpsc::error::TrySendError::Closed(_)) => {}
            }
        } else if self.backlog.len() < SIP_BACKLOG {
            self.backlog.push_back(command);
        } else {
            error!("the SIP task is stuck: a room's command is lost");
        }
    }

    fn store(&mut self, op: StoreOp) {
        self.outward.store.store(op);
    }

    fn event(&mut self, room: &Room, event: &Numbered) {
        journal::write(room, event, self.outward.transcript.as_ref());
    }
}
