//! One of them goes away without a word, whatever is under way: caller, callee, subscriber, referrer or whoever was asked by a REFER. Neither
//! those who stay nor the one that can't be heard any more keeps anything.

use cusax::model::ReferId;
use cusax::sip::{
    endpoint::{ReferArgs, Referee},
    msg::ReferTo,
};

use super::*;

const LIVES: u64 = 1_000;
/// What happens in one life, at most 400 ms apart.
const STEPS: u32 = 16;

impl Side {
    fn referred(&self) -> Option<ReferId> {
        self.log.iter().rev().find_map(|event| {
            if let Event::Refer { refer, .. } = event {
                Some(*refer)
            } else {
                None
            }
        })
    }
}

/// Somebody does something; out of turn as often as not, and then nothing happens.
fn act(net: &mut Net, dice: &mut StdRng) {
    let now = net.now;
    let side = &mut net.sides[dice.random_range(0..2)];
    let calls: Vec<CallId> = side.endpoint.calls().collect();
    let referred = side.referred();
    let Some(call) = calls.first().copied() else { return };
    let endpoint = &mut side.endpoint;
    let _ = match dice.random_range(0..12) {
        0 | 1 => endpoint.ring_with(now, call, 183, focus(), Body::sdp("early")),
        2..=5 => endpoint.accept(now, call, focus(), Body::sdp("answer")),
        6 => endpoint.reinvite(now, call, Body::sdp("offer")),
        7 => endpoint.probe(now, call),
        8 => endpoint.hang_up(now, call, None),
        9 | 10 => {
            let args = ReferArgs {
                whom: Referee::Call(call),
                refer_to: ReferTo::new(Uri::parse("sip:room@10.0.0.1").expect("a URI")),
                headers: Vec::new(),
            };
            endpoint.refer(now, args).map(|_| ())
        }
        _ => match referred {
            Some(refer) => endpoint.refer_progress(now, refer, 180, "", dice.random()),
            None => Ok(()),
        },
    };
}

#[test]
fn whoever_goes_away_leaves_nothing_behind() {
    let mut seen = [0; 4];
    for seed in 0..LIVES {
        let mut net = Net::new(seed);
        let mut dice = StdRng::seed_from_u64(seed);
        for side in &mut net.sides {
            side.stubborn = false;
        }
        net.invite();
        if dice.random() {
            net.subscribe(600);
        }
        let last = dice.random_range(0..STEPS);
        for _ in 0..last {
            net.run(Duration::from_millis(dice.random_range(0..400)));
            act(&mut net, &mut dice);
        }
        let gone = dice.random_range(1..=3);
        net.gone = Some(address(gone));
        if gone == 3 {
            // The call goes on without the subscriber, for ever.
            let calls: Vec<CallId> = net.sides[HOST].endpoint.calls().collect();
            for call in calls {
                net.sides[HOST].endpoint.hang_up(net.now, call, None).expect("it is there");
            }
        }
        // The test's subscriber would ask for ever; endpoints give up by themselves.
        net.watcher.request = None;
        net.assert_nothing_is_left();
        let sides = || net.sides.iter();
        seen[0] += sides().filter(|s| s.count(|e| matches!(e, Event::Confirmed { .. })) > 0).count();
        seen[1] += sides()
            .filter(|s| s.count(|e| matches!(e, Event::Progress { early: Some(_), .. })) > 0)
            .count();
        seen[2] += sides().filter(|s| s.count(|e| matches!(e, Event::ReferFailed { .. })) > 0).count();
        seen[3] += sides()
            .filter(|s| s.count(|e| matches!(e, Event::SubscriptionEnded { .. })) > 0)
            .count();
    }
    assert!(seen.iter().all(|times| *times > 50), "each of it happened: {seen:?}");
}
