//! Random people do random things to a room; a small reference room says what must come of it.
//!
//! A failure prints its seed and last actions; narrow [`SEEDS`] to it to follow it alone.

mod action;
mod ledger;
mod reference;
mod world;

use std::ops::Range;

use world::World;

/// Runs, each a life of its own; together some seconds in a debug build.
const SEEDS: Range<u64> = 0..120;
/// Actions in one life: long enough for rooms to fill, be reconfigured and empty again.
const ACTIONS: usize = 200;

#[test]
fn the_room_behaves_like_the_reference() {
    for seed in SEEDS {
        let mut world = World::new(seed);
        for _ in 0..ACTIONS {
            world.step();
        }
        world.callers_are_shown();
        world.nobody_is_stuck();
        world.everybody_leaves();
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let story = |seed| {
        let mut world = World::new(seed);
        (0..ACTIONS).for_each(|_| world.step());
        world.ledger.story()
    };
    for seed in 1000..1005 {
        assert_eq!(story(seed), story(seed));
    }
}
