//! The people whom the configuration names, as the directory that proves who is who (rule R1a).

use std::collections::BTreeMap;

use crate::model::{Account, Aor, BareJid, Directory};

/// Accounts of the configuration, looked up in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigDirectory {
    accounts: Vec<Account>,
    sip_users: BTreeMap<String, Claim>,
    aors: BTreeMap<Aor, Claim>,
    jids: BTreeMap<BareJid, Claim>,
}

/// Whose a name is: an index into the accounts, or nobody's since several claim it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Claim {
    One(usize),
    Several,
}

impl ConfigDirectory {
    /// Indexes the accounts.
    pub fn new(accounts: Vec<Account>) -> Self {
        let mut directory = Self::default();
        for (index, account) in accounts.iter().enumerate() {
            if let Some(aor) = &account.aor {
                claim(&mut directory.sip_users, aor.user().to_owned(), index);
                claim(&mut directory.aors, aor.clone(), index);
            }
            if let Some(jid) = &account.jid {
                claim(&mut directory.jids, jid.clone(), index);
            }
        }
        directory.accounts = accounts;
        directory
    }

    /// All of them, in order of the file.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    fn account(&self, claim: Option<&Claim>) -> Option<Account> {
        match claim? {
            Claim::One(index) => self.accounts.get(*index).cloned(),
            Claim::Several => None,
        }
    }
}

fn claim<K: Ord>(claims: &mut BTreeMap<K, Claim>, key: K, index: usize) {
    claims.entry(key).and_modify(|c| *c = Claim::Several).or_insert(Claim::One(index));
}

impl Directory for ConfigDirectory {
    fn by_sip_user(&self, user: &str) -> Option<Account> {
        self.account(self.sip_users.get(user))
    }

    fn by_aor(&self, aor: &Aor) -> Option<Account> {
        self.account(self.aors.get(aor))
    }

    fn by_jid(&self, jid: &BareJid) -> Option<Account> {
        self.account(self.jids.get(jid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(id: &str, sip: &str, jid: &str) -> Account {
        Account {
            id: id.into(),
            name: id.into(),
            aor: Some(Aor::from_normalised(format!("sip:{sip}"))),
            jid: Some(BareJid::new(jid).expect("a JID")),
            digest: None,
        }
    }

    #[test]
    fn r01_an_aor_claimed_by_two_binds_to_none() {
        let directory = ConfigDirectory::new(vec![
            account("ann", "a@x", "ann@x"),
            account("bob", "a@x", "bob@x"),
            account("cid", "c@x", "cid@x"),
        ]);
        assert_eq!(directory.by_aor(&Aor::from_normalised("sip:a@x".into())), None);
        assert_eq!(directory.by_sip_user("a"), None);
        assert_eq!(directory.by_sip_user("c").expect("one claims it").id, "cid");
        assert_eq!(
            directory.by_jid(&BareJid::new("bob@x").expect("a JID")).expect("one claims it").id,
            "bob"
        );
    }

    #[test]
    fn r01_one_user_name_at_two_domains_proves_nobody() {
        let directory = ConfigDirectory::new(vec![account("ann", "a@x", "ann@x"), account("bob", "a@y", "bob@x")]);
        assert_eq!(directory.by_sip_user("a"), None);
        assert_eq!(
            directory.by_aor(&Aor::from_normalised("sip:a@y".into())).expect("one claims it").id,
            "bob"
        );
    }
}
