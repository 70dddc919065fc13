//! Configuration and destruction by muc#owner (sections 10.1, 10.2 and 10.9). The room decides who may.

use minidom::Element;
use xmpp_parsers::data_forms::DataForm;

use super::{MucRoom, form, refusal::failure, room::Inbound};
use crate::{
    model::Now,
    room::{Refusal, Request, Room},
    xmpp::{
        muc::{Destroy, NS_OWNER, OwnerQuery},
        stanza::{self, DefinedCondition, Failure, with},
    },
};

impl MucRoom {
    pub(super) fn owner_get(&mut self, now: Now, room: &mut Room, inbound: &Inbound) {
        match room.request(now, &inbound.origin(), Request::ReadConfig) {
            Ok(_) => {
                let form = form::of(room.name(), room.config());
                let query = with(Element::bare("query", NS_OWNER), [Element::from(form)]);
                self.result(inbound, Some(query));
            }
            Err(refusal) => self.refuse(inbound, failure(refusal)),
        }
    }

    pub(super) fn owner_set(&mut self, now: Now, room: &mut Room, inbound: &Inbound, query: &Element) {
        match OwnerQuery::read_set(query) {
            Ok(OwnerQuery::Submit(form)) => self.configure(now, room, inbound, &form),
            Ok(OwnerQuery::Cancel) if room.is_unconfigured() => self.destroy(now, room, inbound, Destroy::default()),
            Ok(OwnerQuery::Cancel) => match room.request(now, &inbound.origin(), Request::ReadConfig) {
                Ok(_) => self.result(inbound, None),
                Err(refusal) => self.refuse(inbound, failure(refusal)),
            },
            Ok(OwnerQuery::Destroy(destroy)) => self.destroy(now, room, inbound, destroy),
            Err(bad) => self.refuse(inbound, Failure::from(DefinedCondition::BadRequest).with_text(bad.to_string())),
        }
    }

    fn configure(&mut self, now: Now, room: &mut Room, inbound: &Inbound, form: &DataForm) {
        // Who may not ask is told so before anything about the form.
        if let Err(refusal) = room.request(now, &inbound.origin(), Request::ReadConfig) {
            return self.refuse(inbound, failure(refusal));
        }
        match form::read(form, room.config(), self.from_config) {
            Ok(config) => {
                let request = Request::Configure(Box::new(config));
                let done = room.request(now, &inbound.origin(), request);
                self.answer_after(inbound, done.map(|_| ()));
            }
            Err(bad) => self.refuse(inbound, Failure::from(DefinedCondition::NotAcceptable).with_text(bad.to_string())),
        }
    }

    fn destroy(&mut self, now: Now, room: &mut Room, inbound: &Inbound, destroy: Destroy) {
        let request = Request::Destroy {
            alternate: destroy.alternate,
            why: destroy.reason,
        };
        let done = room.request(now, &inbound.origin(), request);
        self.answer_after(inbound, done.map(|_| ()));
    }

    fn answer_after(&mut self, inbound: &Inbound, done: Result<(), Refusal>) {
        match done {
            Ok(()) => self.answer = stanza::result(&inbound.stanza, None),
            Err(refusal) => self.refuse(inbound, failure(refusal)),
        }
    }
}
