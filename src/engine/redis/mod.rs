//! Redis as engine (engines.md 3 to 8).

mod address;

pub use address::{AddressError, mode, shards};
