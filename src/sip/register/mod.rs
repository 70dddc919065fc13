//! What keeps us in touch with peers beyond any call: registrations of ours (RFC 3261 section 10) and questions whether somebody is there
//! (section 11). Which peers, and what follows, is the application's affair.

mod binding;
mod ping;

use std::{collections::BTreeMap, time::Instant};

use self::{binding::Binding, ping::Ping};
pub use self::{
    binding::{RegisterArgs, Registration},
    ping::{Liveness, PingArgs},
};
use super::{
    endpoint::{Core, Event, Flow},
    transaction::Report,
};
use crate::model::{PingId, RegistrationId};

/// All of them: as many as the configuration names, which are few.
#[derive(Debug, Default)]
pub(crate) struct Upkeep {
    next: u64,
    bindings: BTreeMap<RegistrationId, Binding>,
    pings: BTreeMap<PingId, Ping>,
}

impl Upkeep {
    pub(crate) fn register(&mut self, core: &mut Core, now: Instant, args: RegisterArgs) -> RegistrationId {
        self.next += 1;
        let id = RegistrationId(self.next);
        self.bindings.insert(id, Binding::start(core, now, id, args));
        id
    }

    pub(crate) fn unregister(&mut self, core: &mut Core, now: Instant, id: RegistrationId) {
        if let Some(binding) = self.bindings.get_mut(&id) {
            binding.end(core, now);
        }
        self.settle(core);
    }

    pub(crate) fn ping(&mut self, now: Instant, args: PingArgs) -> PingId {
        self.next += 1;
        let id = PingId(self.next);
        self.pings.insert(id, Ping::new(now, id, args));
        id
    }

    pub(crate) fn handle_registration_report(&mut self, core: &mut Core, now: Instant, id: RegistrationId, report: Report) {
        if let Some(binding) = self.bindings.get_mut(&id) {
            binding.handle_report(core, now, report);
        }
        self.settle(core);
    }

    pub(crate) fn handle_ping_report(&mut self, core: &mut Core, now: Instant, id: PingId, report: Report) {
        if let Some(ping) = self.pings.get_mut(&id) {
            ping.handle_report(core, now, report);
        }
    }

    /// A connection is gone: the peer can't reach us by it any more.
    pub(crate) fn handle_flow_lost(&mut self, core: &mut Core, now: Instant, flow: Flow) {
        for binding in self.bindings.values_mut() {
            binding.handle_flow_lost(core, now, flow);
        }
    }

    pub(crate) fn handle_timeout(&mut self, core: &mut Core, now: Instant) {
        for binding in self.bindings.values_mut() {
            binding.handle_timeout(core, now);
        }
        for ping in self.pings.values_mut() {
            ping.handle_timeout(core, now);
        }
        self.settle(core);
    }

    pub(crate) fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let bindings = self.bindings.values().filter_map(Binding::next_timer);
        let pings = self.pings.values().filter_map(Ping::next_timer);
        bindings.chain(pings).min_by_key(|(at, _)| *at)
    }

    pub(crate) fn len(&self) -> usize {
        self.bindings.len() + self.pings.len()
    }

    fn settle(&mut self, core: &mut Core) {
        self.bindings.retain(|id, binding| {
            if binding.is_over() {
                core.tell(Event::Registration {
                    registration: *id,
                    state: Registration::Ended,
                });
            }
            !binding.is_over()
        });
    }
}
