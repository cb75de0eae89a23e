//! What is asked of a shard.

use bytes::Bytes;
use redis::Cmd;

use crate::resp;
use crate::script::Script;

/// One call.
#[derive(Debug)]
pub struct Call {
    /// Calls with one order key are executed in the order in which they were made; others may overtake them.
    pub order: u64,
    /// The key by which a cluster knows the node; `None` for one that any node can do.
    pub key: Option<Bytes>,
    /// What to do.
    pub operation: Operation,
}

/// What a call does.
#[derive(Debug)]
pub enum Operation {
    /// A command, as it is sent.
    Command(Vec<u8>),
    /// A script, which may be run for several calls at once.
    Script {
        /// Which.
        script: &'static Script,
        /// [`Script::keys_per`] of them.
        keys: Vec<Bytes>,
        /// [`Script::args_per`] of them.
        args: Vec<Bytes>,
    },
}

impl Call {
    /// A command on a key.
    #[must_use]
    pub fn command(order: u64, key: Option<Bytes>, command: Cmd) -> Self {
        Self {
            order,
            key,
            operation: Operation::Command(command.get_packed_command()),
        }
    }

    /// A command on a key, by its words: cheaper than a [`Cmd`], for what is asked very often.
    #[must_use]
    pub fn words(order: u64, key: Option<Bytes>, words: &[&[u8]]) -> Self {
        Self {
            order,
            key,
            operation: Operation::Command(resp::command(words)),
        }
    }

    /// A script; its first key knows the node.
    #[must_use]
    pub fn script(order: u64, script: &'static Script, keys: Vec<Bytes>, args: Vec<Bytes>) -> Self {
        debug_assert_eq!((keys.len(), args.len()), (script.keys_per, script.args_per));
        Self {
            order,
            key: keys.first().cloned(),
            operation: Operation::Script { script, keys, args },
        }
    }

    /// About what it takes while it waits, bytes.
    pub(crate) fn size(&self) -> usize {
        const OVERHEAD: usize = 128;
        let payload = match &self.operation {
            Operation::Command(packed) => packed.len(),
            Operation::Script { keys, args, .. } => keys.iter().chain(args).map(Bytes::len).sum::<usize>(),
        };
        OVERHEAD + payload
    }
}
