//! `user_block`, `token_revoke`, `user_tokens_invalidate`: where the server remembers what it was told to refuse.

use super::super::definition::section;
use super::super::types::RevocationStorage;
use super::redis;

section! {
    /// Where entries are kept that the server API makes. In memory they last until the server stops.
    pub struct RevocationStore {
        /// Empty for the memory of this node. `redis` and `database` are not supported by this version.
        storage_type: RevocationStorage;
    }
    unsupported {
        /// Redis.
        redis: redis::Redis;
    }
}
