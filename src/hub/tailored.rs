//! Subscriptions that do not want every publication as it is: filtered by tags, or sent as differences.
//!
//! Most subscriptions are neither and hold nothing of this; the hub asks once per delivery whether they are.
//!
//! **A difference is from what that subscriber was sent last, or there is none.** Each subscriber remembers which
//! publication that was, so whatever lies between, a publication that its filter skipped, one without history, or
//! a base that the broker knows and the subscriber does not, the next one is sent whole. Patches are still made
//! once per publication, since those who follow a channel were sent the same.

use std::sync::{Arc, Weak};

use crate::engine::{Epoch, Previous, Publication};
use crate::tags::Filter;

/// What a subscription wants other than whole publications, all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tailoring {
    /// The filter that the server imposes; asked first.
    pub server_filter: Option<Arc<Filter>>,
    /// The filter that the client asked for.
    pub filter: Option<Filter>,
    /// Deltas were negotiated.
    pub delta: bool,
    /// The channel keeps its latest publication as the base of deltas where the stream has none.
    pub keep_latest: bool,
}

impl Tailoring {
    /// What a subscriber keeps of it; nothing for most.
    pub(super) fn tailored(self) -> Option<Box<Tailored>> {
        let is_plain = self.server_filter.is_none() && self.filter.is_none() && !self.delta;
        (!is_plain).then(|| {
            Box::new(Tailored {
                server_filter: self.server_filter,
                filter: self.filter,
                sent: self.delta.then_some(Sent::Unknown),
            })
        })
    }
}

/// The state of such a subscription.
#[derive(Debug, Default)]
pub(super) struct Tailored {
    pub(super) server_filter: Option<Arc<Filter>>,
    filter: Option<Filter>,
    /// What was sent last; `None` without deltas.
    sent: Option<Sent>,
}

/// Which publication a subscriber was sent last. It is named, not kept: nobody's memory holds what history forgot.
#[derive(Debug)]
enum Sent {
    /// None, or one that the subscriber may not have.
    Unknown,
    /// That one of the stream.
    At(u64, Epoch),
    /// One without history. Others cannot take its address while this is here.
    This(Weak<Publication>),
}

/// How a subscriber is sent a publication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As everybody is.
    Plain,
    /// Whole, to a subscriber with deltas.
    Whole,
    /// As the difference from the base, where that is shorter.
    Patch,
}

/// A publication from which another is a difference.
#[derive(Clone, Debug)]
pub(super) struct Base {
    pub(super) publication: Arc<Publication>,
    epoch: Option<Epoch>,
}

/// What a channel broadcast last, for channels that keep it.
#[derive(Debug, Default)]
pub(super) struct Latest(Option<Base>);

/// The base for `publication`, which takes the place of the one in `latest`.
pub(super) fn base(
    previous: Previous<'_>,
    latest: Option<&mut Latest>,
    publication: &Arc<Publication>,
    epoch: Option<&Epoch>,
) -> Option<Base> {
    let of = |publication: &Arc<Publication>| Base {
        publication: publication.clone(),
        epoch: epoch.cloned(),
    };
    let kept = latest.and_then(|latest| latest.0.replace(of(publication)));
    match previous {
        Previous::Unwanted => None,
        Previous::Unknown => kept,
        // Of the same stream, hence of the same epoch.
        Previous::Known(previous) => Some(of(previous)),
    }
}

impl Tailored {
    pub(super) fn has_delta(&self) -> bool {
        self.sent.is_some()
    }

    /// Whether the filters let a publication pass.
    pub(super) fn wants(&self, publication: &Publication) -> bool {
        let passes = |filter: Option<&Filter>| filter.is_none_or(|filter| filter.matches(&publication.tags));
        passes(self.server_filter.as_deref()) && passes(self.filter.as_ref())
    }

    /// How to send a publication, which then is the one sent last.
    pub(super) fn send(
        &mut self,
        publication: &Arc<Publication>,
        epoch: Option<&Epoch>,
        base: Option<&Base>,
    ) -> Form {
        let Some(sent) = &mut self.sent else {
            return Form::Plain;
        };
        let follows = base.is_some_and(|base| sent.is(base));
        *sent = match epoch {
            Some(epoch) if publication.offset > 0 => Sent::At(publication.offset, epoch.clone()),
            _ => Sent::This(Arc::downgrade(publication)),
        };
        if follows { Form::Patch } else { Form::Whole }
    }

    /// The subscriber was sent recovered publications, the last of them at `offset`.
    pub(super) fn recovered(&mut self, offset: u64, epoch: &Epoch) {
        if let Some(sent) = &mut self.sent {
            *sent = Sent::At(offset, epoch.clone());
        }
    }
}

impl Sent {
    fn is(&self, base: &Base) -> bool {
        match self {
            Self::Unknown => false,
            Self::At(offset, epoch) => {
                base.publication.offset == *offset && base.epoch.as_ref() == Some(epoch)
            }
            Self::This(publication) => std::ptr::eq(publication.as_ptr(), Arc::as_ptr(&base.publication)),
        }
    }
}
