//! Two ends over a network of dice, on fake time.

use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};

use super::*;

/// Handshakes per condition.
const RUNS: u64 = 40;

fn identity() -> Arc<Identity> {
    identity_of(vec!["test".to_owned()])
}

fn identity_of(names: Vec<String>) -> Arc<Identity> {
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(names).expect("parameters");
    let certificate = params.self_signed(&key).expect("a certificate");
    Arc::new(Identity::new(certificate.der().to_vec(), key.serialize_der()).expect("an identity"))
}

fn prints(of: &Identity) -> Vec<Fingerprint> {
    vec![of.fingerprint().clone()]
}

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy, Default)]
struct Weather {
    lost: f64,
    doubled: f64,
    /// Delays of up to this long, so that datagrams overtake each other.
    spread: Duration,
    /// Garbage from elsewhere, per datagram.
    garbage: f64,
    /// A ClientHello comes in many datagrams.
    cuts_hellos: bool,
}

const STORM: Weather = Weather {
    lost: 0.2,
    doubled: 0.1,
    spread: Duration::from_millis(60),
    garbage: 0.0,
    cuts_hellos: false,
};

struct Side {
    session: Session,
    agreed: Option<Agreed>,
    ended: Option<End>,
    due: Option<Instant>,
}

struct Net {
    now: Instant,
    rng: StdRng,
    weather: Weather,
    ends: [Side; 2],
    flying: Vec<(Instant, usize, Vec<u8>)>,
    sent: usize,
}

impl Net {
    fn new(seed: u64, weather: Weather, sessions: [Session; 2]) -> Self {
        Self {
            now: Instant::now(),
            rng: StdRng::seed_from_u64(seed),
            weather,
            ends: sessions.map(|session| Side {
                session,
                agreed: None,
                ended: None,
                due: None,
            }),
            flying: Vec::new(),
            sent: 0,
        }
    }

    fn drain(&mut self, who: usize) {
        let mut buffer = Box::new([0; BUFFER]);
        loop {
            match self.ends[who].session.poll(&mut buffer) {
                Next::Send(len) => self.throw(1 - who, &buffer[..len]),
                Next::Agreed(agreed) => self.ends[who].agreed = Some(*agreed),
                Next::Ended(end) => self.ends[who].ended = Some(end),
                Next::Wait(due) => {
                    self.ends[who].due = due;
                    return;
                }
            }
        }
    }

    fn throw(&mut self, to: usize, datagram: &[u8]) {
        // A handshake record in the clear that begins a ClientHello.
        if self.weather.cuts_hellos && datagram[0] == 22 && datagram[4] == 0 && datagram[13] == 1 {
            fragments(datagram).iter().for_each(|f| self.throw_one(to, f));
        } else {
            self.throw_one(to, datagram);
        }
    }

    fn throw_one(&mut self, to: usize, datagram: &[u8]) {
        self.sent += 1;
        let Weather {
            lost,
            doubled,
            spread,
            garbage,
            ..
        } = self.weather;
        let copies = if self.rng.random_bool(lost) {
            0
        } else {
            1 + usize::from(self.rng.random_bool(doubled))
        };
        for _ in 0..copies {
            let delay = Duration::from_millis(10) + spread.mul_f64(self.rng.random());
            self.flying.push((self.now + delay, to, datagram.to_vec()));
        }
        if self.rng.random_bool(garbage) {
            let mut bytes = vec![0; self.rng.random_range(1..200)];
            self.rng.fill_bytes(&mut bytes);
            bytes[0] = self.rng.random_range(20..64);
            if self.rng.random_bool(0.5) && bytes.len() > 13 {
                // Whole records of nonsense.
                bytes[1..5].copy_from_slice(&[0xfe, 0xfd, 0, self.rng.random_range(0..3)]);
                let length = (bytes.len() - 13) as u16;
                bytes[11..13].copy_from_slice(&length.to_be_bytes());
            }
            self.flying.push((self.now + Duration::from_millis(5), to, bytes));
        }
    }

    /// Runs until both have agreed or ended, or so long has passed.
    fn run(&mut self, limit: Duration) -> Duration {
        let start = self.now;
        (0..2).for_each(|who| self.drain(who));
        while self.now < start + limit && self.ends.iter().any(|e| e.agreed.is_none() && e.ended.is_none()) {
            let arrival = self.flying.iter().map(|f| f.0).min();
            let Some(next) = self.ends.iter().filter_map(|e| e.due).chain(arrival).min() else {
                break;
            };
            self.now = next.max(self.now);
            if arrival.is_some_and(|at| at <= self.now) {
                let at = (0..self.flying.len()).min_by_key(|i| self.flying[*i].0).expect("something flies");
                let (_, to, datagram) = self.flying.remove(at);
                self.ends[to].session.handle(self.now, &datagram);
                self.drain(to);
            } else {
                for who in 0..2 {
                    self.ends[who].session.handle_timeout(self.now);
                    self.drain(who);
                }
            }
        }
        self.now - start
    }

    /// Both ends have the same keys, the right way round.
    fn expect_agreement(&self) {
        let state = self.ends.each_ref().map(|e| (&e.session, e.ended));
        let [a, b] = self
            .ends
            .each_ref()
            .map(|e| e.agreed.unwrap_or_else(|| panic!("no keys: {state:?}")));
        assert_eq!((a.ours, a.theirs), (b.theirs, b.ours));
        assert_ne!(a.ours, a.theirs);
    }
}

fn pair(weather: Weather, seed: u64, checked: bool) -> Net {
    let (a, b) = (identity(), identity());
    let now = Instant::now();
    let client = Session::new(now, Arc::clone(&a), DtlsRole::Active, prints(&b), checked);
    let server = Session::new(now, Arc::clone(&b), DtlsRole::Passive, prints(&a), checked);
    Net::new(seed, weather, [client, server])
}

#[test]
fn on_a_calm_day_both_get_the_same_keys() {
    for checked in [true, false] {
        let mut net = pair(Weather::default(), 1, checked);
        net.run(Duration::from_secs(1));
        net.expect_agreement();
    }
}

#[test]
fn forty_of_forty_handshakes_survive_20_percent_loss_copies_and_reordering() {
    let mut slowest = Duration::ZERO;
    for seed in 0..RUNS {
        let mut net = pair(STORM, seed, seed % 2 == 0);
        slowest = slowest.max(net.run(LIMIT));
        net.expect_agreement();
    }
    assert!(slowest < LIMIT, "{slowest:?}");
}

/// Cuts a flight in the clear into datagrams of one fragment each, as a post-quantum key share or a small MTU does. Record numbers
/// are counted anew, so that none occurs twice.
fn fragments(datagram: &[u8]) -> Vec<Vec<u8>> {
    const PIECE: usize = 60;
    let number = u64::from_be_bytes([0, 0, datagram[5], datagram[6], datagram[7], datagram[8], datagram[9], datagram[10]]);
    let (head, body) = datagram[13..].split_at(12);
    let whole = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
    assert_eq!((head[0], body.len()), (1, whole), "one whole ClientHello");
    let pieces = body.chunks(PIECE).enumerate();
    let cut = pieces.map(|(i, piece)| {
        let record = (number * 64 + i as u64).to_be_bytes();
        let (at, len) = ((i * PIECE) as u32, piece.len() as u32);
        let mut bytes = datagram[..5].to_vec();
        bytes.extend(&record[2..]);
        bytes.extend((12 + piece.len() as u16).to_be_bytes());
        bytes.extend(&head[..6]);
        bytes.extend(&at.to_be_bytes()[1..]);
        bytes.extend(&len.to_be_bytes()[1..]);
        bytes.extend(piece);
        bytes
    });
    cut.collect()
}

#[test]
fn a_fragmented_client_hello_is_put_together_in_any_order() {
    for seed in 0..RUNS {
        let mut net = pair(STORM, seed, true);
        net.weather.cuts_hellos = true;
        net.run(LIMIT);
        net.expect_agreement();
        assert!(net.sent > 6, "{} datagrams", net.sent);
    }
}

#[test]
fn r72_another_certificate_than_the_fingerprint_says_ends_it_without_keys() {
    let (a, b, other) = (identity(), identity(), identity());
    let now = Instant::now();
    for (clients_idea, servers_idea) in [(&other, &a), (&b, &other)] {
        let client = Session::new(now, Arc::clone(&a), DtlsRole::Active, prints(clients_idea), true);
        let server = Session::new(now, Arc::clone(&b), DtlsRole::Passive, prints(servers_idea), true);
        let mut net = Net::new(1, Weather::default(), [client, server]);
        net.run(Duration::from_secs(2));
        let deceived = usize::from(!Arc::ptr_eq(servers_idea, &a));
        assert_eq!(net.ends[deceived].ended, Some(End::Fingerprint));
        assert_eq!(net.ends[deceived].agreed, None);
    }
}

#[test]
fn any_of_several_fingerprints_will_do() {
    let (a, b, other) = (identity(), identity(), identity());
    let now = Instant::now();
    let certificate = &b.certificate.certificate;
    for hash in [FingerprintHash::Sha384, FingerprintHash::Sha512] {
        let several = vec![other.fingerprint().clone(), fingerprint(hash, certificate)];
        let client = Session::new(now, Arc::clone(&a), DtlsRole::Active, several, true);
        let server = Session::new(now, Arc::clone(&b), DtlsRole::Passive, prints(&a), true);
        let mut net = Net::new(1, Weather::default(), [client, server]);
        net.run(Duration::from_secs(2));
        net.expect_agreement();
    }
}

#[test]
fn a_spoofed_fatal_alert_spoils_no_handshake_for_good() {
    for at in 0..6 {
        let mut net = pair(
            Weather {
                spread: Duration::from_millis(1),
                ..Weather::default()
            },
            at,
            true,
        );
        // handshake_failure in the clear, at some moment of the handshake.
        let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 98, 0, 2, 2, 40];
        net.drain(0);
        for _ in 0..at {
            let next = net.flying.iter().map(|f| f.0).min();
            let Some(next) = next else { break };
            net.now = next;
            let (_, to, datagram) = net.flying.remove(0);
            net.ends[to].session.handle(next, &datagram);
            net.drain(to);
        }
        net.ends[1].session.handle(net.now, &alert);
        net.run(LIMIT);
        net.expect_agreement();
    }
}

#[test]
fn a_spoofed_record_with_a_sequence_number_far_ahead_stops_nothing() {
    // ChangeCipherSpec, Finished, Certificate for later, application data.
    for (kind, content) in [
        (20, &[1][..]),
        (22, &[20, 0, 0, 12, 0, 3, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (22, &[11, 0, 0, 12, 0, 98, 0, 0, 0, 0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (23, &[0; 40]),
    ] {
        let mut net = pair(Weather::default(), 3, true);
        net.drain(0);
        let head = [kind, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 98, 0, content.len() as u8];
        net.ends[1].session.handle(net.now, &[&head, content].concat());
        net.run(LIMIT);
        net.expect_agreement();
    }
}

#[test]
fn garbage_beside_a_handshake_does_not_keep_it_from_success() {
    for seed in 0..RUNS {
        let mut net = pair(
            Weather {
                garbage: 0.5,
                ..Weather::default()
            },
            seed,
            true,
        );
        net.run(LIMIT);
        net.expect_agreement();
    }
}

#[test]
fn garbage_alone_gives_no_keys_and_no_panic() {
    let (a, b, start) = (identity(), identity(), Instant::now());
    let (mut rng, mut buffer) = (StdRng::seed_from_u64(9147), Box::new([0; BUFFER]));
    for role in [DtlsRole::Active, DtlsRole::Passive] {
        for _ in 0..20 {
            let mut session = Session::new(start, Arc::clone(&a), role, prints(&b), true);
            let mut real = Session::new(start, Arc::clone(&b), DtlsRole::Active, prints(&a), true);
            let Next::Send(len) = real.poll(&mut buffer) else {
                panic!("a first flight")
            };
            let hello = buffer[..len].to_vec();
            for _ in 0..1000 {
                let mut bytes = hello.clone();
                if rng.random_bool(0.5) {
                    bytes = vec![0; rng.random_range(0..300)];
                    rng.fill_bytes(&mut bytes);
                }
                for _ in 0..rng.random_range(0..4) {
                    if !bytes.is_empty() {
                        let at = rng.random_range(0..bytes.len());
                        bytes[at] = rng.random();
                    }
                }
                session.handle(start, &bytes);
                loop {
                    match session.poll(&mut buffer) {
                        Next::Send(_) | Next::Ended(_) => {}
                        Next::Agreed(_) => panic!("keys out of garbage"),
                        Next::Wait(_) => break,
                    }
                }
            }
            assert!(session.restarts() <= MAX_RESTARTS);
        }
    }
}

#[test]
fn a_peer_that_never_answers_ends_within_the_limit() {
    let mut net = pair(
        Weather {
            lost: 1.0,
            ..Weather::default()
        },
        1,
        true,
    );
    net.run(LIMIT * 3);
    assert_eq!(net.ends[0].ended, Some(End::Failed));
    assert!(net.sent <= 2 * (1 + RETRIES), "{} datagrams", net.sent);
    assert_eq!(
        (net.ends[1].ended, net.ends[1].due),
        (None, net.ends[1].due),
        "who has heard nothing waits"
    );
}

#[test]
fn a_certificate_of_many_kilobytes_is_read() {
    let names = (0..60).map(|i| format!("a-rather-long-name-of-a-host-{i}.example")).collect();
    let (a, b, now) = (identity(), identity_of(names), Instant::now());
    assert!(b.certificate.certificate.len() > 2500);
    let client = Session::new(now, Arc::clone(&a), DtlsRole::Active, prints(&b), true);
    let server = Session::new(now, Arc::clone(&b), DtlsRole::Passive, prints(&a), true);
    let mut net = Net::new(1, Weather::default(), [client, server]);
    net.run(Duration::from_secs(3));
    net.expect_agreement();
}

#[test]
fn gcm_is_chosen_before_counter_mode() {
    let mut net = pair(Weather::default(), 1, true);
    net.run(Duration::from_secs(1));
    assert_eq!(net.ends[0].agreed.map(|a| a.ours.profile), Some(Profile::AeadAes256Gcm));
}

#[test]
fn after_the_keys_garbage_takes_nothing_away_and_a_closing_peer_is_noticed() {
    let mut net = pair(Weather::default(), 1, true);
    net.run(Duration::from_secs(1));
    net.expect_agreement();
    let alert = [21, 0xfe, 0xfd, 0, 0, 0, 0, 0, 0, 0, 98, 0, 2, 2, 40];
    net.ends[1].session.handle(net.now, &alert);
    net.drain(1);
    assert_eq!(net.ends[1].ended, None, "an alert that nobody signed");
    net.ends[0].session.close();
    net.drain(0);
    while let Some((_, to, datagram)) = net.flying.pop() {
        net.ends[to].session.handle(net.now, &datagram);
        net.drain(to);
    }
    assert_eq!(net.ends[1].ended, Some(End::Closed));
}

#[test]
fn what_is_fatal_to_the_library_starts_it_over_a_few_times_and_then_ends_it() {
    let (a, b, now) = (identity(), identity(), Instant::now());
    let mut session = Session::new(now, a, DtlsRole::Active, prints(&b), true);
    let mut buffer = Box::new([0; BUFFER]);
    // A ServerHello that chooses a cipher suite which nobody has offered.
    let mut hello = vec![0xfe, 0xfd];
    hello.extend([7; 32]);
    hello.extend([0, 0x12, 0x34, 0, 0, 0]);
    let len = hello.len() as u8;
    let head = [
        22,
        0xfe,
        0xfd,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        12 + len,
        2,
        0,
        0,
        len,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        len,
    ];
    let forged = [&head[..], &hello].concat();
    for restarts in 1..=MAX_RESTARTS {
        assert!(matches!(session.poll(&mut buffer), Next::Send(_)), "a first flight");
        while matches!(session.poll(&mut buffer), Next::Send(_)) {}
        session.handle(now, &forged);
        assert_eq!(session.restarts(), restarts);
    }
    while matches!(session.poll(&mut buffer), Next::Send(_)) {}
    session.handle(now, &forged);
    assert_eq!(session.poll(&mut buffer), Next::Ended(End::Failed));
    assert_eq!(session.poll(&mut buffer), Next::Wait(None));
    session.handle(now, &forged);
    assert_eq!(session.poll(&mut buffer), Next::Wait(None), "told once");
}
