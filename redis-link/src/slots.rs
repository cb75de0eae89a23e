//! The map of slots, as a node of a cluster tells it (`CLUSTER SLOTS`).

use redis::Value;

use crate::error::LinkError;
use crate::options::Endpoint;
use crate::values::{integer, items, text};

/// Slots of one master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) first: u16,
    /// Included.
    pub(crate) last: u16,
    pub(crate) master: Endpoint,
    pub(crate) replicas: Vec<Endpoint>,
}

impl Range {
    /// Reads an answer of the node that was asked at `asked`.
    pub(crate) fn read_all(answer: Value, asked: &Endpoint) -> Result<Vec<Self>, LinkError> {
        items(answer)?
            .into_iter()
            .map(|range| Self::read(range, asked))
            .collect()
    }

    fn read(range: Value, asked: &Endpoint) -> Result<Self, LinkError> {
        let mut range = items(range)?.into_iter();
        let (first, last) = (number(range.next())?, number(range.next())?);
        let mut nodes = range.map(|value| node(value, asked));
        let master = nodes.next().ok_or_else(unexpected)??;
        Ok(Self {
            first,
            last,
            master,
            // One that cannot be read is one less to know.
            replicas: nodes.filter_map(Result::ok).collect(),
        })
    }

    pub(crate) fn holds(&self, slot: u16) -> bool {
        (self.first..=self.last).contains(&slot)
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Endpoint> {
        std::iter::once(&self.master).chain(&self.replicas)
    }
}

fn node(value: Value, asked: &Endpoint) -> Result<Endpoint, LinkError> {
    let mut node = items(value)?.into_iter();
    let host = match node.next().ok_or_else(unexpected)? {
        Value::Nil => String::new(),
        host => text(host)?,
    };
    let port = number(node.next())?;
    let host = match asked {
        // A node may not know by which address it is reached.
        Endpoint::Tcp { host: asked, .. } if host.is_empty() => asked.clone(),
        _ => host,
    };
    Ok(Endpoint::Tcp { host, port })
}

fn number(value: Option<Value>) -> Result<u16, LinkError> {
    u16::try_from(integer(value.ok_or_else(unexpected)?)?).map_err(|_| unexpected())
}

fn unexpected() -> LinkError {
    LinkError::Unexpected("CLUSTER SLOTS in another form".to_owned())
}
