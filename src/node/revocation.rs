//! Users and tokens that the server API has refused (server-api.md 5): the entry first, then whom it concerns, so
//! that nobody comes in between, then the other nodes. Sessions look for entries again once they can be found here.

use super::Node;
use crate::api::ApiError;
use crate::api::message::{
    BlockUserRequest, InvalidateUserTokensRequest, RevokeTokenRequest, UnblockUserRequest,
};
use crate::hub::Event;
use crate::protocol::Disconnect;
use crate::revocation::{Full, Refusal, Revocations, Until};

impl Node {
    pub(super) async fn block(&self, request: &BlockUserRequest) -> Result<(), ApiError> {
        let until = Until::from_wire(request.expire_at);
        let now_ms = Self::now().unix_ms;
        self.refuse(self.revocations().block(&request.user, until, now_ms))
            .await
    }

    pub(super) async fn unblock(&self, request: &UnblockUserRequest) -> Result<(), ApiError> {
        let now_ms = Self::now().unix_ms;
        self.refuse(self.revocations().unblock(&request.user, now_ms))
            .await
    }

    pub(super) async fn revoke(&self, request: RevokeTokenRequest) -> Result<(), ApiError> {
        let until = Until::from_wire(request.expire_at);
        self.refuse(Refusal::Token {
            id: request.uid,
            until,
        })
        .await
    }

    pub(super) async fn invalidate(&self, request: InvalidateUserTokensRequest) -> Result<(), ApiError> {
        let issued_before = match request.issued_before {
            0 => Self::now().unix(),
            time => time,
        };
        self.refuse(Refusal::Tokens {
            user: request.user,
            channel: Some(request.channel).filter(|channel| !channel.is_empty()),
            until: Until::from_wire(request.expire_at),
            issued_before,
        })
        .await
    }

    /// Refuses here, and then everywhere.
    async fn refuse(&self, refusal: Refusal) -> Result<(), ApiError> {
        self.take_refusal(&refusal).map_err(|error| {
            tracing::error!(%error, "cannot refuse another user or token");
            ApiError::Internal
        })?;
        self.tell_refusal(refusal).await
    }

    /// Refuses what this or another node has decided.
    pub(super) fn take_refusal(&self, refusal: &Refusal) -> Result<(), Full> {
        let now = Self::now().unix();
        self.revocations().take(refusal, now)?;
        match refusal {
            // Not for an entry that is over already.
            Refusal::User { user, .. } if self.revocations().is_blocked(user, now) => {
                self.post_each(user, || Event::Disconnect(Disconnect::PERMISSION_DENIED));
            }
            Refusal::Tokens { user, .. } => self.post_each(user, || Event::TokensRevoked),
            Refusal::User { .. } | Refusal::Reprieve { .. } | Refusal::Token { .. } => {}
        }
        Ok(())
    }

    fn post_each(&self, user: &str, event: impl Fn() -> Event) {
        for member in self.registry.of_user(user) {
            member.handle.mailbox.post(event());
        }
    }

    pub(super) fn revocations(&self) -> &Revocations {
        &self.context.guards.revocations
    }
}
