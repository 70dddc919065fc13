//! How a room's calls are held: who waits to be let in, who may speak at first, how long they go on. The keys that `[rooms]` and `[[room]]` share.

use super::read::Section;
use crate::model::{CallLimits, RoomConfig};

/// A week: longer than that is no limit.
const MINUTES_MAX: u32 = 7 * 24 * 60;

/// What a section says of it, or else what holds anyway.
pub(super) fn meeting(s: &mut Section<'_>, base: RoomConfig) -> RoomConfig {
    let mut minutes = |key, default| s.number(key, 0..=MINUTES_MAX).unwrap_or(default);
    let limits = CallLimits {
        max_min: minutes("max_duration_min", base.limits.max_min),
        alone_min: minutes("alone_min", base.limits.alone_min),
        unmoderated_min: minutes("unmoderated_min", base.limits.unmoderated_min),
    };
    RoomConfig {
        lobby: s.flag("lobby").unwrap_or(base.lobby),
        lecture: s.flag("lecture").unwrap_or(base.lecture),
        wait_for_moderator: s.flag("wait_for_moderator").unwrap_or(base.wait_for_moderator),
        limits,
        ..base
    }
}
