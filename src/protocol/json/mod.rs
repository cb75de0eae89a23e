//! The JSON of Tidegate's protocols, shared by the client protocol and the server API.
//!
//! Both protocols have one schema with two encodings, and their JSON is *not* protobuf-JSON: names are
//! snake_case, 64-bit integers are numbers, and `bytes` fields are JSON embedded as it is. So neither serde's
//! defaults nor a protobuf-JSON crate fit. [`read`] says how a field of a message is read, whatever its type;
//! [`JsonWriter`] writes messages field by field, in the order in which the caller names them.

pub mod read;
mod write;

pub use write::{InvalidJson, JsonWriter};
