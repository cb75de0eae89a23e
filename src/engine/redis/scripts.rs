//! The scripts, each written for many calls at once (engines.md 6).
//!
//! How many calls a run may take follows from what one costs: a call of these makes 3 to 9 Redis calls of a
//! microsecond each, so a full run stays below a millisecond. Those that read history or members count what they
//! read over the whole run and stop early, so that a run of any mixture takes Redis at most about 5 ms.

use tidegate_redis_link::Script;

macro_rules! script {
    ($($part:literal),+; $keys_per:literal keys, $args_per:literal args, merge $merge:literal) => {
        Script::new(
            concat!($(include_str!(concat!("scripts/", $part, ".lua")),)+ include_str!("scripts/each.lua")),
            $keys_per,
            $args_per,
            $merge,
        )
    };
}

pub(super) static PUBLISH_STREAM: Script = script!("publish_stream"; 3 keys, 11 args, merge 32);
pub(super) static PUBLISH_LIST: Script = script!("publish_list"; 3 keys, 9 args, merge 32);
pub(super) static PUBLISH_ONCE: Script = script!("publish_once"; 1 keys, 4 args, merge 64);
pub(super) static HISTORY_STREAM: Script = script!("history_stream"; 2 keys, 5 args, merge 128);
pub(super) static HISTORY_LIST: Script = script!("history_list"; 2 keys, 5 args, merge 128);
pub(super) static PRESENCE_ADD: Script = script!("presence_add"; 4 keys, 7 args, merge 128);
pub(super) static PRESENCE_REMOVE: Script = script!("presence_remove"; 4 keys, 4 args, merge 128);
pub(super) static PRESENCE_READ: Script =
    script!("presence_purge", "presence_read"; 2 keys, 2 args, merge 64);
pub(super) static PRESENCE_COUNT: Script =
    script!("presence_purge", "presence_count"; 4 keys, 2 args, merge 64);
pub(super) static USER_ENTER: Script = script!("user_enter"; 1 keys, 5 args, merge 128);
pub(super) static USER_RENEW: Script = script!("user_renew"; 1 keys, 3 args, merge 256);
pub(super) static USER_LEAVE: Script = script!("user_leave"; 1 keys, 1 args, merge 256);
