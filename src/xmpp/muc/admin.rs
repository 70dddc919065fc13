//! Queries of muc#admin (sections 8 and 9). Does not decide who may ask.

use jid::Jid;
use minidom::Element;

use super::NS_ADMIN;
use crate::model::{Affiliation, BareJid, Role};

/// At most so many items in one query: more than any client sends, few enough to answer at once.
const MAX_ITEMS: usize = 100;

/// What a moderator, admin or owner asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminQuery {
    /// The list of accounts with this affiliation.
    ListAffiliation(Affiliation),
    /// The list of occupants with this role.
    ListRole(Role),
    /// Changes, to be made in this order.
    Change(Vec<AdminItem>),
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminItem {
    /// Of an occupant's role.
    Role {
        /// Whose.
        nick: String,
        /// To what.
        role: Role,
        /// Why.
        reason: Option<String>,
    },
    /// Of an account's affiliation.
    Affiliation {
        /// Whose: full JIDs were cut to bare ones (section 10.3).
        jid: BareJid,
        /// To what.
        affiliation: Affiliation,
        /// Why.
        reason: Option<String>,
    },
    /// Of the affiliation of whoever has a nick; clients that don't see JIDs ban like this.
    AffiliationOf {
        /// Whose.
        nick: String,
        /// To what.
        affiliation: Affiliation,
        /// Why.
        reason: Option<String>,
    },
}

/// Why a query can't be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadAdminQuery {
    /// No `<item/>`, or too many.
    #[error("between 1 and 100 items are needed")]
    Count,
    /// Role and affiliation in one item, or neither (section 17.4).
    #[error("an item needs either a role or an affiliation")]
    RoleOrAffiliation,
    /// A value that XEP-0045 doesn't name.
    #[error("an unknown role or affiliation")]
    UnknownStanding,
    /// A role without a nick, or an affiliation with neither JID nor nick.
    #[error("an item names nobody")]
    Nobody,
    /// The JID isn't one.
    #[error("a malformed JID")]
    BadJid,
}

impl AdminQuery {
    /// Reads the `<query/>` of an IQ get.
    pub fn read_get(query: &Element) -> Result<Self, BadAdminQuery> {
        let mut items = items(query);
        let (Some(item), None) = (items.next(), items.next()) else {
            return Err(BadAdminQuery::Count);
        };
        match (item.attr("affiliation"), item.attr("role")) {
            (Some(a), None) => Affiliation::parse(a)
                .map(Self::ListAffiliation)
                .ok_or(BadAdminQuery::UnknownStanding),
            (None, Some(r)) => Role::parse(r).map(Self::ListRole).ok_or(BadAdminQuery::UnknownStanding),
            _ => Err(BadAdminQuery::RoleOrAffiliation),
        }
    }

    /// Reads the `<query/>` of an IQ set.
    pub fn read_set(query: &Element) -> Result<Self, BadAdminQuery> {
        if !(1..=MAX_ITEMS).contains(&items(query).count()) {
            return Err(BadAdminQuery::Count);
        }
        items(query).map(change).collect::<Result<_, _>>().map(Self::Change)
    }
}

fn items(query: &Element) -> impl Iterator<Item = &Element> {
    query.children().filter(|c| c.is("item", NS_ADMIN))
}

fn change(item: &Element) -> Result<AdminItem, BadAdminQuery> {
    let reason = item.get_child("reason", NS_ADMIN).map(Element::text).filter(|r| !r.is_empty());
    let nick = item.attr("nick").map(str::to_owned);
    match (item.attr("affiliation"), item.attr("role")) {
        (None, Some(role)) => Ok(AdminItem::Role {
            role: Role::parse(role).ok_or(BadAdminQuery::UnknownStanding)?,
            nick: nick.ok_or(BadAdminQuery::Nobody)?,
            reason,
        }),
        (Some(affiliation), None) => {
            let affiliation = Affiliation::parse(affiliation).ok_or(BadAdminQuery::UnknownStanding)?;
            match (item.attr("jid"), nick) {
                (Some(jid), _) => {
                    let jid = Jid::new(jid).map_err(|_| BadAdminQuery::BadJid)?.into_bare();
                    Ok(AdminItem::Affiliation { jid, affiliation, reason })
                }
                (None, Some(nick)) => Ok(AdminItem::AffiliationOf { nick, affiliation, reason }),
                (None, None) => Err(BadAdminQuery::Nobody),
            }
        }
        _ => Err(BadAdminQuery::RoleOrAffiliation),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(items: &str) -> Element {
        format!("<query xmlns='{NS_ADMIN}'>{items}</query>")
            .parse()
            .expect("a test's own XML")
    }

    #[test]
    fn muc_17_4_4_role_and_affiliation_at_once_are_refused() {
        let both = query("<item nick='a' role='none' affiliation='outcast'/>");
        assert_eq!(AdminQuery::read_set(&both), Err(BadAdminQuery::RoleOrAffiliation));
    }

    #[test]
    fn muc_10_3_2_full_jids_are_cut() {
        let set = query("<item jid='ann@a.example/phone' affiliation='admin'><reason>r</reason></item>");
        let expected = AdminItem::Affiliation {
            jid: BareJid::new("ann@a.example").expect("a JID"),
            affiliation: Affiliation::Admin,
            reason: Some("r".to_owned()),
        };
        assert_eq!(AdminQuery::read_set(&set), Ok(AdminQuery::Change(vec![expected])));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (xml, why) in [
            ("", BadAdminQuery::Count),
            ("<item role='king' nick='a'/>", BadAdminQuery::UnknownStanding),
            ("<item role='none'/>", BadAdminQuery::Nobody),
            ("<item affiliation='none'/>", BadAdminQuery::Nobody),
            ("<item affiliation='none' jid='@@'/>", BadAdminQuery::BadJid),
            ("<item nick='a'/>", BadAdminQuery::RoleOrAffiliation),
        ] {
            assert_eq!(AdminQuery::read_set(&query(xml)), Err(why), "{xml}");
        }
        let many = "<item role='none' nick='a'/>".repeat(101);
        assert_eq!(AdminQuery::read_set(&query(&many)), Err(BadAdminQuery::Count));
        assert_eq!(
            AdminQuery::read_get(&query("<item role='visitor'/>")),
            Ok(AdminQuery::ListRole(Role::Visitor))
        );
    }
}
