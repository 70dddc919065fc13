//! One thread beside the media threads that does what takes time or memory: new codec states, drops, last reports.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
};

use tokio::sync::mpsc::Sender;

use super::{
    leg::Leg,
    load::Service,
    order::{Line, Order, RoomKey, Task},
    ports::Slot,
};
use crate::model::{LegId, MediaReport, RoomName};

/// To the ordering side.
#[derive(Debug)]
pub(super) enum Gone {
    /// Its sockets are closed.
    Leg(LegId, Option<Slot>),
    /// It failed.
    Room(RoomName, RoomKey),
}

/// The clerk. May wait for the channel of reports, which nobody waits for him over.
#[derive(Debug)]
pub(super) struct Clerk {
    pub(super) lines: Vec<Line>,
    pub(super) reports: Sender<MediaReport>,
    pub(super) gone: mpsc::Sender<Gone>,
}

impl Clerk {
    /// Works until all media threads and the ordering side are gone.
    pub(super) fn run(self, tasks: &mpsc::Receiver<Task>) {
        for task in tasks {
            // A mixer that has panicked may do so again when it is dropped.
            let done = catch_unwind(AssertUnwindSafe(|| self.handle(task)));
            if done.is_err() {
                tracing::error!("a media object panicked while it was put away");
            }
        }
    }

    fn handle(&self, task: Task) {
        match task {
            Task::Failed(room) => {
                if let Some((key, name)) = room.name.clone() {
                    tracing::error!(room = %name, "the mixer panicked; its legs are closed");
                    self.report(MediaReport::RoomFailed(name.clone()));
                    let _ = self.gone.send(Gone::Room(name, key));
                }
            }
            Task::Closed(leg) => self.close(leg),
            Task::Served { worker, step: 0, .. } => tracing::info!(worker, "the media thread has room again and serves all"),
            Task::Served { worker, step, service } => {
                let Service { complexity, voices, opens } = service;
                tracing::warn!(
                    worker,
                    step,
                    complexity,
                    voices,
                    opens,
                    "the media thread is busy and gives up something"
                );
            }
            Task::Ended(room) => drop(room),
            Task::Played(player) => drop(player),
            Task::Recorded(tape) => drop(tape),
            Task::Drop(audio) => drop(audio),
            Task::Unneeded(keys) => drop(keys),
            Task::Make { worker, lack } => match lack.make() {
                Ok(supply) => self.lines[worker].send(Order::Supply(supply)),
                // It asks no more, and makes do with what comes back.
                Err(error) => tracing::error!(worker, %error, "no memory for codec states"),
            },
            Task::Surplus(supply) => drop(supply),
        }
    }

    /// Tells what is left to tell, frees the ports, and tells the end.
    fn close(&self, mut leg: Box<Leg>) {
        let (id, slot, stats) = (leg.id, leg.sockets.slot(), leg.stats(None));
        while let Some(report) = leg.pending.next(id) {
            self.report(report);
        }
        drop(leg);
        let _ = self.gone.send(Gone::Leg(id, slot));
        self.report(MediaReport::Closed(id, Box::new(stats)));
    }

    fn report(&self, report: MediaReport) {
        // Fails only when nobody listens any more.
        let _ = self.reports.blocking_send(report);
    }
}
