//! Every counter of the server, by name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

use crate::io::sip::SipTransport;
use crate::io::xmpp::Outgoing;
use crate::peers::sip::FrontCounters;
use crate::sip::endpoint::Counters as SipCounters;

use super::ports::SharedMedia;

/// Every counter of the server by name, for `cusax stats`.
pub(super) fn read(
    phones: &watch::Receiver<(FrontCounters, SipCounters)>,
    sockets: &SipTransport,
    media: &SharedMedia,
    chat: &Outgoing,
    domains: &[String],
) -> BTreeMap<String, u64> {
    let (front, sip) = *phones.borrow();
    let transport = sockets.counters();
    let plane = media.stats();
    let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let mut all: BTreeMap<String, u64> = [
        ("calls.asked", front.calls),
        ("calls.admitted", front.admitted),
        ("calls.refused", front.refused),
        ("calls.not_found", front.not_found),
        ("calls.challenged", front.challenged),
        ("calls.bad_credentials", front.bad_credentials),
        ("calls.misplaced_credentials", front.misplaced_credentials),
        ("calls.ignored_identities", front.ignored_identities),
        ("calls.not_acceptable", front.not_acceptable),
        ("calls.no_ports", front.no_ports),
        ("calls.overloaded", front.overloaded),
        ("calls.menus", front.menus),
        ("calls.menus_left", front.menus_left),
        ("calls.wrong_entries", front.wrong_entries),
        ("calls.locked_out", front.locked_out),
        ("calls.open", front.open),
        ("calls.draining", front.draining.into()),
        ("calls.unacknowledged", front.unacknowledged),
        ("dials.asked", front.dials),
        ("dials.refused", front.dials_refused),
        ("dials.answered", front.dials_answered),
        ("dials.failed", front.dials_failed),
        ("refers.asked", front.refers),
        ("refers.refused", front.refers_refused),
        ("sip.requests", sip.requests),
        ("sip.repeated", sip.repeated),
        ("sip.malformed_answered", sip.malformed_answered),
        ("sip.malformed_dropped", sip.malformed_dropped),
        ("sip.stray_responses", sip.stray_responses),
        ("sip.stray_acks", sip.stray_acks),
        ("sip.no_dialog", sip.no_dialog),
        ("sip.merged", sip.merged),
        ("sip.refused", sip.refused),
        ("sip.overload", sip.overload),
        ("sip.throttled", sip.throttled),
        ("sip.unproven", sip.unproven),
        ("sip.flooding", sip.flooding),
        ("sip.unanswered", sip.unanswered),
        ("sip.timed_out", sip.timed_out),
        ("sip.unsendable", sip.unsendable),
        ("sip.moved_to_tcp", sip.moved_to_tcp),
        ("sip.back_to_udp", sip.back_to_udp),
        ("sip.lookups", sip.lookups),
        ("sip.lookups_failed", sip.lookups_failed),
        ("sip.failed_over", sip.failed_over),
        ("sip.datagrams_dropped", value(&transport.datagrams_dropped)),
        ("sip.messages_dropped", value(&transport.messages_dropped)),
        ("sip.connections_refused", value(&transport.connections_refused)),
        ("sip.connections_cut", value(&transport.connections_cut)),
        ("sip.connections_idle", value(&transport.connections_idle)),
        ("sip.connections_broken", value(&transport.connections_broken)),
        ("sip.handshakes_refused", value(&transport.handshakes_refused)),
        ("sip.handshakes_late", value(&transport.handshakes_late)),
        ("sip.handshakes_failed", value(&transport.handshakes_failed)),
        ("sip.upgrades_refused", value(&transport.upgrades_refused)),
        ("sip.upgrades_late", value(&transport.upgrades_late)),
        ("sip.messages_too_long", value(&transport.messages_too_long)),
        ("media.late_ticks", plane.late_ticks),
        ("media.ticks_behind", plane.ticks_behind),
        ("media.skipped_ticks", plane.skipped_ticks),
        ("media.unsent", plane.unsent),
        ("media.delayed_reports", plane.delayed_reports),
        ("media.lost_digits", plane.lost_digits),
        ("media.rejected", plane.rejected),
        ("media.forged", plane.forged),
        ("media.handshakes", plane.handshakes),
        ("media.handshakes_failed", plane.handshakes_failed),
        ("media.handshakes_closed", plane.handshakes_closed),
        ("media.wrong_fingerprints", plane.fingerprints),
        ("media.dtls_refused", plane.dtls_refused),
        ("media.checks", plane.checks),
        ("media.checks_refused", plane.checks_refused),
        ("media.strays", plane.strays),
        ("media.misrouted", plane.misrouted),
        ("media.replayed", plane.replayed),
        ("media.panics", plane.panics),
        ("media.codec_waits", plane.codec_waits),
        ("media.moved_rooms", plane.moved_rooms),
        ("media.crowded", plane.crowded),
        ("media.recordings_failed", plane.recordings_failed),
        ("media.recordings_lost_ms", plane.recordings_lost_ms),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for (n, thread) in media.threads().into_iter().enumerate() {
        for (name, value) in [
            ("busy_permille", thread.busy.into()),
            ("shed_steps", thread.shed.into()),
            ("legs", thread.legs as u64),
        ] {
            all.insert(format!("media.thread{n}.{name}"), value);
        }
    }
    for (domain, counts) in domains.iter().filter_map(|d| Some((d, chat.counts(d)?))) {
        for (name, value) in [
            ("received", counts.received),
            ("refused", counts.refused),
            ("sent", counts.sent),
            ("not_written", counts.not_written),
            ("lost", counts.lost),
            ("queued_bytes", counts.queued_bytes as u64),
        ] {
            all.insert(format!("chat.{domain}.{name}"), value);
        }
    }
    all
}
