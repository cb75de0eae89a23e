//! Connections to Redis: single servers, Sentinel and Cluster; batched commands; publish/subscribe.
// The lead is writing the modules beside this file (see NEWS in the brief); they are declared once they compile.
