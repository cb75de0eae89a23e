//! Token buckets, several of which must agree.
//!
//! A bucket that refills evenly needs one number: when it will be full again. Taking a token moves that time one
//! token's worth into the future; there is a token left as long as it is no further away than the bucket is deep.
//! A time that has passed says the same as none at all, so only buckets that are not full are remembered.

use std::time::Duration;

use crate::config;

/// A set of buckets that must all have a token.
#[derive(Clone, Debug)]
pub(super) struct Limit(Box<[Bucket]>);

/// The limits that one command needs: its own and that of all commands.
pub(super) type Limits<'a> = [Option<&'a Limit>; 2];

#[derive(Clone, Debug)]
struct Bucket {
    /// Which bucket of its layer it is.
    slot: u32,
    /// Nanoseconds in which a token is refilled; at least 1.
    token: u64,
    /// Nanoseconds in which all of them are.
    depth: u64,
}

impl Limit {
    /// A limit whose buckets get the next slots.
    pub(super) fn new(buckets: &[config::Bucket], slots: &mut u32) -> Self {
        let buckets = buckets.iter().map(|of| {
            let slot = *slots;
            *slots = slots.saturating_add(1);
            Bucket::new(slot, of.interval, of.rate)
        });
        Self(buckets.collect())
    }
}

impl Bucket {
    fn new(slot: u32, interval: Duration, rate: usize) -> Self {
        let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX).max(1);
        let token = (interval / rate).max(1);
        Self {
            slot,
            token,
            depth: token.saturating_mul(rate),
        }
    }
}

/// The buckets of one layer that are not full, for one connection or user.
#[derive(Debug, Default)]
pub(super) struct Tokens(Vec<Refill>);

#[derive(Clone, Copy, Debug)]
struct Refill {
    slot: u32,
    /// When the bucket is full again.
    full_at: u64,
}

impl Tokens {
    /// Whether all buckets have a token.
    pub(super) fn suffice(&self, limits: &Limits<'_>, now: u64) -> bool {
        buckets(limits).all(|bucket| self.has_token(bucket, now))
    }

    /// Takes a token from each bucket. To be asked only if they suffice.
    pub(super) fn take(&mut self, limits: &Limits<'_>, now: u64) {
        self.0.retain(|refill| refill.full_at > now);
        for bucket in buckets(limits) {
            self.take_one(bucket, now);
        }
    }

    /// Takes a token from each bucket that has one; whether all had.
    pub(super) fn take_what_is_there(&mut self, limits: &Limits<'_>, now: u64) -> bool {
        let mut had_all = true;
        for bucket in buckets(limits) {
            if self.has_token(bucket, now) {
                self.take_one(bucket, now);
            } else {
                had_all = false;
            }
        }
        had_all
    }

    /// Whether all buckets are full, so that there is nothing to remember.
    pub(super) fn are_full(&self, now: u64) -> bool {
        self.0.iter().all(|refill| refill.full_at <= now)
    }

    fn take_one(&mut self, bucket: &Bucket, now: u64) {
        let full_at = self.full_at(bucket, now).saturating_add(bucket.token);
        match self.0.iter_mut().find(|refill| refill.slot == bucket.slot) {
            Some(refill) => refill.full_at = full_at,
            None => self.0.push(Refill {
                slot: bucket.slot,
                full_at,
            }),
        }
    }

    fn has_token(&self, bucket: &Bucket, now: u64) -> bool {
        let empty_for = self.full_at(bucket, now) - now;
        empty_for.saturating_add(bucket.token) <= bucket.depth
    }

    /// When a bucket is full, or now if it is.
    fn full_at(&self, bucket: &Bucket, now: u64) -> u64 {
        let refill = self.0.iter().find(|refill| refill.slot == bucket.slot);
        refill.map_or(now, |refill| refill.full_at.max(now))
    }
}

fn buckets<'a>(limits: &Limits<'a>) -> impl Iterator<Item = &'a Bucket> {
    limits.iter().copied().flatten().flat_map(|limit| &limit.0)
}
