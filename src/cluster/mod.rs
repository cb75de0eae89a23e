//! What nodes of a cluster tell each other (engines.md 8): messages, who else is there, and questions to all.
//!
//! Nothing here sends or acts: a [`Controller`](crate::engine::Controller) carries the bytes, and the node
//! (`node/cluster.rs`) does what the messages say. Nodes of the reference understand every message but the
//! notifications of our own, which they ignore.

mod codec;
mod peers;
mod surveys;

#[allow(missing_docs, unreachable_pub, clippy::all)]
pub mod message {
    //! Generated from `proto/control.proto`.
    include!(concat!(env!("OUT_DIR"), "/centrifugal.centrifuge.controlpb.rs"));
}

pub use codec::{Control, Malformed, decode, encode};
pub use peers::{CLEAN_INTERVAL, INFO_INTERVAL, Peers, Seen};
pub use surveys::{Answer, Asked, Surveys};

/// Answers of surveys say how it went by these.
pub mod code {
    /// It went well.
    pub const OK: u32 = 0;
    /// Something failed.
    pub const INTERNAL: u32 = 1;
    /// The question was none.
    pub const BAD_REQUEST: u32 = 2;
    /// For an emulation request: there is no such session.
    pub const NO_SESSION: u32 = 2;
    /// Nobody here knows the question.
    pub const METHOD_NOT_FOUND: u32 = 3;
}

/// Names of questions and notifications.
pub mod op {
    /// Which channels have subscribers: the API's request and result, in Protobuf.
    pub const CHANNELS: &str = "channels";
    /// Commands for a session: an `EmulationRequest`, in Protobuf.
    pub const EMULATION: &str = "centrifuge_emulation";
    /// The same between our nodes, as a notification: nobody answers.
    pub const EMULATION_NOTICE: &str = "tidegate.emulation";
    /// Between our nodes: what is refused from now on, as a notification, or from a place on, as a question.
    pub const REFUSALS: &str = "tidegate.refusals";
}

/// How our nodes are told from those of the reference: by the end of their version.
pub const OURS: &str = " Tidegate";
