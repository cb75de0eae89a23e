//! What a request says on its own: the checks that need no node, and base64 decoded into the field it stands for.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use super::ApiError;
use super::message::{
    BlockUserRequest, BroadcastRequest, InvalidateUserTokensRequest, PublishRequest, RevokeTokenRequest,
    SubscribeRequest, UnblockUserRequest,
};

/// A channel must be named.
pub(super) fn channel(channel: &str) -> Result<(), ApiError> {
    if channel.is_empty() {
        Err(ApiError::BadRequest)
    } else {
        Ok(())
    }
}

/// server-api.md 4.1
pub(super) fn publish(request: &mut PublishRequest) -> Result<(), ApiError> {
    channel(&request.channel)?;
    take_base64(&mut request.b64data, &mut request.data)
}

/// server-api.md 4.2. An empty channel is the fault of that channel only.
pub(super) fn broadcast(request: &mut BroadcastRequest) -> Result<(), ApiError> {
    if request.channels.is_empty() {
        return Err(ApiError::BadRequest);
    }
    take_base64(&mut request.b64data, &mut request.data)
}

/// server-api.md 4.3
pub(super) fn subscribe(request: &mut SubscribeRequest) -> Result<(), ApiError> {
    channel(&request.channel)?;
    take_base64(&mut request.b64info, &mut request.info)?;
    take_base64(&mut request.b64data, &mut request.data)
}

/// server-api.md 5: who is meant must be said, and no time is before 1970.
pub(super) fn block_user(request: &BlockUserRequest) -> Result<(), ApiError> {
    named(&request.user, [request.expire_at])
}

/// server-api.md 5
pub(super) fn unblock_user(request: &UnblockUserRequest) -> Result<(), ApiError> {
    named(&request.user, [])
}

/// server-api.md 5
pub(super) fn revoke_token(request: &RevokeTokenRequest) -> Result<(), ApiError> {
    named(&request.uid, [request.expire_at])
}

/// server-api.md 5
pub(super) fn invalidate_user_tokens(request: &InvalidateUserTokensRequest) -> Result<(), ApiError> {
    named(&request.user, [request.expire_at, request.issued_before])
}

fn named<const N: usize>(name: &str, times: [i64; N]) -> Result<(), ApiError> {
    if name.is_empty() || times.iter().any(|time| *time < 0) {
        Err(ApiError::BadRequest)
    } else {
        Ok(())
    }
}

/// Padding is required, line breaks are skipped, unused bits are not looked at.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical)
        .with_decode_allow_trailing_bits(true),
);

fn take_base64(encoded: &mut String, decoded: &mut Bytes) -> Result<(), ApiError> {
    if encoded.is_empty() {
        return Ok(());
    }
    let mut text = std::mem::take(encoded);
    text.retain(|letter| !matches!(letter, '\r' | '\n'));
    *decoded = BASE64.decode(text).map_err(|_| ApiError::BadRequest)?.into();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_standard_and_padded() {
        for (text, expected) in [
            ("aGk=", Some(&b"hi"[..])),
            ("aG\r\nk=", Some(b"hi")),
            ("aGl=", Some(b"hi")),
            ("+/8=", Some(b"\xfb\xff")),
            ("aGk", None),
            ("-_8=", None),
            ("aGk=aGk=", None),
            ("a b=", None),
        ] {
            let mut request = PublishRequest {
                channel: "c".into(),
                b64data: text.into(),
                ..PublishRequest::default()
            };
            let prepared = publish(&mut request);
            assert_eq!(prepared.ok().map(|()| &request.data[..]), expected, "{text}");
        }
    }

    #[test]
    fn base64_wins_over_plain_data_unless_empty() {
        let mut data = Bytes::from_static(b"plain");
        take_base64(&mut String::new(), &mut data).expect("nothing to decode");
        assert_eq!(data, "plain");
        take_base64(&mut "aGk=".to_owned(), &mut data).expect("valid");
        assert_eq!(data, "hi");
    }
}
