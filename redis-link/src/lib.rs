//! Connections to Redis: single servers, Sentinel and Cluster; batched commands; publish/subscribe.
