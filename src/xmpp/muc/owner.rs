//! Queries of muc#owner (section 10). Does not know what can be configured.

use minidom::Element;
use xmpp_parsers::data_forms::{DataForm, DataFormType};

use super::{Destroy, NS_DATA, NS_OWNER};
use crate::model::BareJid;

/// What an owner wants to set.
#[derive(Debug, Clone, PartialEq)]
pub enum OwnerQuery {
    /// The filled form; without fields it asks for an instant room (section 10.1.2).
    Submit(DataForm),
    /// Leave it as it is, or forget the new room (section 10.1.3).
    Cancel,
    /// End the room.
    Destroy(Destroy),
}

/// Why a query can't be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadOwnerQuery {
    /// Neither a form nor a destruction.
    #[error("neither a form nor a destruction")]
    Empty,
    /// The form breaks XEP-0004, or isn't for a room's configuration.
    #[error("not a form for a room's configuration")]
    BadForm,
    /// The alternate venue isn't a JID.
    #[error("a malformed JID")]
    BadJid,
}

/// FORM_TYPE of the configuration form (section 15.5.3).
pub const FORM_TYPE: &str = "http://jabber.org/protocol/muc#roomconfig";

impl OwnerQuery {
    /// Reads the `<query/>` of an IQ set.
    pub fn read_set(query: &Element) -> Result<Self, BadOwnerQuery> {
        if let Some(destroy) = query.get_child("destroy", NS_OWNER) {
            let alternate = destroy
                .attr("jid")
                .map(BareJid::new)
                .transpose()
                .map_err(|_| BadOwnerQuery::BadJid)?;
            let reason = destroy.get_child("reason", NS_OWNER).map(Element::text).filter(|r| !r.is_empty());
            return Ok(Self::Destroy(Destroy { alternate, reason }));
        }
        let x = query.get_child("x", NS_DATA).ok_or(BadOwnerQuery::Empty)?;
        if x.attr("type") == Some("cancel") {
            return Ok(Self::Cancel);
        }
        let form = DataForm::try_from(x.clone()).map_err(|_| BadOwnerQuery::BadForm)?;
        let foreign = form.form_type().is_some_and(|t| t != FORM_TYPE) || (form.form_type().is_none() && !form.fields.is_empty());
        if form.type_ != DataFormType::Submit || foreign {
            return Err(BadOwnerQuery::BadForm);
        }
        Ok(Self::Submit(form))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(children: &str) -> Result<OwnerQuery, BadOwnerQuery> {
        let query: Element = format!("<query xmlns='{NS_OWNER}'>{children}</query>")
            .parse()
            .expect("a test's own XML");
        OwnerQuery::read_set(&query)
    }

    #[test]
    fn muc_10_1_2_1_an_empty_form_is_an_instant_room() {
        assert!(matches!(read("<x xmlns='jabber:x:data' type='submit'/>"), Ok(OwnerQuery::Submit(f)) if f.fields.is_empty()));
        assert_eq!(read("<x xmlns='jabber:x:data' type='cancel'/>"), Ok(OwnerQuery::Cancel));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        assert_eq!(read(""), Err(BadOwnerQuery::Empty));
        assert_eq!(read("<destroy jid='@@'/>"), Err(BadOwnerQuery::BadJid));
        assert_eq!(read("<x xmlns='jabber:x:data' type='result'/>"), Err(BadOwnerQuery::BadForm));
        let foreign = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>other</value></field></x>";
        assert_eq!(read(foreign), Err(BadOwnerQuery::BadForm));
        let untyped = "<x xmlns='jabber:x:data' type='submit'><field var='a'><value>b</value></field></x>";
        assert_eq!(read(untyped), Err(BadOwnerQuery::BadForm));
    }
}
