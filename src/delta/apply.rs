//! From a base and a patch to the result; what clients do, here for tests and tools.

use super::{base64, checksum};

/// Why a patch does not apply. Its author is at fault, or it is applied to another base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// It does not begin with a number and a line feed.
    #[error("size of the result expected")]
    Size,
    /// The result would be larger than allowed.
    #[error("result exceeds the limit")]
    Limit,
    /// A command is none.
    #[error("unknown command")]
    Command,
    /// It copies what the base does not have.
    #[error("copy beyond the base")]
    Copy,
    /// It inserts more than follows.
    #[error("insertion beyond the patch")]
    Insert,
    /// The result is not of the announced size.
    #[error("size does not match")]
    SizeMismatch,
    /// The result is not what the author had.
    #[error("checksum does not match")]
    Checksum,
    /// It ends without a checksum, or goes on after it.
    #[error("unterminated patch")]
    Unterminated,
}

/// Applies a patch to the base that it was made for. The result has at most `limit` bytes.
///
/// # Errors
/// See [`PatchError`]. Nothing larger than `limit` is allocated whatever the patch says.
pub fn apply(base: &[u8], patch: &[u8], limit: usize) -> Result<Vec<u8>, PatchError> {
    let mut rest = patch;
    let size = base64::read(&mut rest).ok_or(PatchError::Size)?;
    let size = usize::try_from(size).map_err(|_| PatchError::Limit)?;
    if size > limit {
        return Err(PatchError::Limit);
    }
    if take(&mut rest, 1) != Some(b"\n") {
        return Err(PatchError::Size);
    }
    let mut result = Vec::with_capacity(size);
    loop {
        if rest.is_empty() {
            return Err(PatchError::Unterminated);
        }
        let number = base64::read(&mut rest).ok_or(PatchError::Command)?;
        let piece = match take(&mut rest, 1) {
            Some(b"@") => {
                let offset = base64::read(&mut rest).ok_or(PatchError::Command)?;
                if take(&mut rest, 1) != Some(b",") {
                    return Err(PatchError::Command);
                }
                range(base, offset, number).ok_or(PatchError::Copy)?
            }
            Some(b":") => {
                let length = usize::try_from(number).map_err(|_| PatchError::Insert)?;
                take(&mut rest, length).ok_or(PatchError::Insert)?
            }
            Some(b";") => {
                if !rest.is_empty() {
                    return Err(PatchError::Unterminated);
                }
                if result.len() != size {
                    return Err(PatchError::SizeMismatch);
                }
                if number != u64::from(checksum(&result)) {
                    return Err(PatchError::Checksum);
                }
                return Ok(result);
            }
            None => return Err(PatchError::Unterminated),
            Some(_) => return Err(PatchError::Command),
        };
        if piece.len() > size - result.len() {
            return Err(PatchError::SizeMismatch);
        }
        result.extend_from_slice(piece);
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

fn range(base: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    base.get(start..end)
}
