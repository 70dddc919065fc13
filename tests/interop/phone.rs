//! The harness's own phones, against each other: calls come up, tones arrive, ends are told.

use std::time::Duration;

use super::peers::{Folder, Phone, PhoneSetup};

fn ring_up(codec: &'static str) {
    let folder = Folder::new("phone");
    let mut ann = Phone::start(
        &folder,
        PhoneSetup {
            codec,
            ..PhoneSetup::new("ann", 440)
        },
    );
    let mut bob = Phone::start(
        &folder,
        PhoneSetup {
            codec,
            ..PhoneSetup::new("bob", 1000)
        },
    );
    ann.call(&bob.uri());
    bob.established();
    let window = Duration::from_millis(300);
    ann.hears(1000, true, window);
    ann.hears(440, false, window);
    bob.hears(440, true, window);
    bob.hears(1000, false, window);
    ann.hang_up();
    bob.closed();
}

#[test]
fn two_phones_hear_each_other_by_pcmu() {
    ring_up("PCMU/8000/1");
}

#[test]
fn two_phones_hear_each_other_by_g722() {
    ring_up("G722/16000/1");
}

#[test]
fn two_phones_hear_each_other_by_opus() {
    ring_up("opus/48000/2");
}
