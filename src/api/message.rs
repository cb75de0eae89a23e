//! Requests and results, generated from `proto/api.proto`.
#![allow(missing_docs, unreachable_pub, clippy::all)]

include!(concat!(env!("OUT_DIR"), "/centrifugal.centrifugo.api.rs"));
