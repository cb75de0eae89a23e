//! Users and tokens that the server API has refused (server-api.md 5): the entry first, then whom it concerns, so
//! that nobody comes in between. Sessions look for entries again once they can be found here.

use super::Node;
use crate::api::ApiError;
use crate::api::message::{
    BlockUserRequest, InvalidateUserTokensRequest, RevokeTokenRequest, UnblockUserRequest,
};
use crate::hub::Event;
use crate::protocol::Disconnect;
use crate::revocation::{Full, Revocations, Until};

impl Node {
    pub(super) fn block(&self, request: &BlockUserRequest) -> Result<(), ApiError> {
        let now = Self::now().unix();
        let until = Until::from_wire(request.expire_at);
        entered(self.revocations().block(&request.user, until, now))?;
        // Not for an entry that is over already.
        if self.revocations().is_blocked(&request.user, now) {
            for member in self.registry.of_user(&request.user) {
                let event = Event::Disconnect(Disconnect::PERMISSION_DENIED);
                member.handle.mailbox.post(event);
            }
        }
        Ok(())
    }

    pub(super) fn unblock(&self, request: &UnblockUserRequest) {
        self.revocations().unblock(&request.user);
    }

    pub(super) fn revoke(&self, request: &RevokeTokenRequest) -> Result<(), ApiError> {
        let until = Until::from_wire(request.expire_at);
        entered(self.revocations().revoke(&request.uid, until, Self::now().unix()))
    }

    pub(super) fn invalidate(&self, request: &InvalidateUserTokensRequest) -> Result<(), ApiError> {
        let now = Self::now().unix();
        let until = Until::from_wire(request.expire_at);
        let channel = Some(request.channel.as_str()).filter(|channel| !channel.is_empty());
        let issued_before = match request.issued_before {
            0 => now,
            time => time,
        };
        entered(
            self.revocations()
                .invalidate(&request.user, channel, issued_before, until, now),
        )?;
        for member in self.registry.of_user(&request.user) {
            member.handle.mailbox.post(Event::TokensRevoked);
        }
        Ok(())
    }

    fn revocations(&self) -> &Revocations {
        &self.context.guards.revocations
    }
}

fn entered(entry: Result<(), Full>) -> Result<(), ApiError> {
    entry.map_err(|error| {
        tracing::error!(%error, "cannot refuse another user or token");
        ApiError::Internal
    })
}
