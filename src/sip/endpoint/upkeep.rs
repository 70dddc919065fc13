//! Registrations of ours and questions to peers, as the application sees them.

use std::time::Instant;

use super::Endpoint;
use crate::{
    model::{PingId, RegistrationId},
    sip::register::{PingArgs, RegisterArgs},
};

impl Endpoint {
    /// Registers, and keeps that up; [`Event::Registration`](super::Event::Registration) tells how it stands.
    pub fn register(&mut self, now: Instant, args: RegisterArgs) -> RegistrationId {
        self.upkeep.register(&mut self.core, now, args)
    }

    /// Takes a registration back; [`Registration::Ended`](crate::sip::register::Registration::Ended) follows within 1.5 s.
    pub fn unregister(&mut self, now: Instant, registration: RegistrationId) {
        self.upkeep.unregister(&mut self.core, now, registration);
    }

    /// Asks a peer again and again whether it is there; [`Event::Pinged`](super::Event::Pinged) tells each answer.
    pub fn ping(&mut self, now: Instant, args: PingArgs) -> PingId {
        self.upkeep.ping(now, args)
    }
}
