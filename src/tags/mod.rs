//! Tags filters: which publications of a channel a subscriber gets (history-and-recovery.md 9).
//!
//! A filter comes from a client, which may be hostile, or from a token. It is checked once and compiled into a tree
//! whose evaluation is bounded: as deep as [`MAX_DEPTH`], with at most [`MAX_NODES`] nodes, lists searched by
//! halving. It knows tags only: what is done with what does not match is the hub's business.

mod decimal;
mod filter;

#[cfg(test)]
mod tests;

pub use filter::{Filter, InvalidFilter, MAX_DEPTH, MAX_NODES};
