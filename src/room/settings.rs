//! What the service decides for its rooms, beyond each owner's own choice.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{BareJid, DialPlan, Keypad, entry::RoomNumbers};

/// The service's choices, the same for all its rooms.
#[derive(Debug, Clone)]
pub struct RoomSettings {
    /// The component domain of callers' stand-ins (rule R20).
    pub phones_domain: BareJid,
    /// How long somebody who was put out stays out (rule R7).
    pub kick_quarantine: Duration,
    /// How long a ban holds that has only a number to hold on to (rule R3).
    pub weak_ban: Duration,
    /// How long a caller's last nick must be gone before their stand-in appears (rule R27).
    pub phone_occupant_delay: Duration,
    /// Stand-ins at once (rule R28).
    pub max_phone_occupants: usize,
    /// Silence of a phone's packets after which its call is over (rule R45), in s; less of it is shown as not speaking.
    pub silence_limit_s: u32,
    /// Nicks kept for the service itself (rule R33): neither people nor callers are called so, or look so.
    pub reserved_nicks: Vec<String>,
    /// There is a place for recordings (rule R82).
    pub records: bool,
    /// There is music for callers who are alone.
    pub music: bool,
    /// What keys do in rooms that have no table of their own.
    pub keypad: Keypad,
    /// Whom rooms may call, and at whose wish (rule R47).
    pub dial: Arc<DialPlan>,
    /// Where rooms claim the numbers by which the spoken menu knows them; without it they have none.
    pub numbers: Option<Arc<dyn RoomNumbers>>,
}

impl RoomSettings {
    /// The rules' own figures, for callers shown at this domain.
    pub fn new(phones_domain: BareJid) -> Self {
        Self {
            phones_domain,
            kick_quarantine: Duration::from_secs(60),
            weak_ban: Duration::from_secs(24 * 3600),
            phone_occupant_delay: Duration::from_secs(20),
            max_phone_occupants: 200,
            silence_limit_s: 60,
            reserved_nicks: vec!["bridge".to_owned()],
            records: false,
            music: false,
            keypad: Keypad::default(),
            dial: Arc::default(),
            numbers: None,
        }
    }
}
