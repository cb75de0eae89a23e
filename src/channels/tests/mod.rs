//! Every row of the permission tables, asked through the public interface.

mod capabilities;
mod grants;
mod patterns;
mod permissions;
mod random;

use super::*;

const EVERYONE: Access = Access {
    client: true,
    subscriber: false,
    anonymous: true,
};
const CLIENTS: Access = Access {
    client: true,
    subscriber: false,
    anonymous: false,
};
const SUBSCRIBERS: Access = Access {
    client: false,
    subscriber: true,
    anonymous: false,
};
const ANONYMOUS_ALONE: Access = Access {
    client: false,
    subscriber: false,
    anonymous: true,
};

/// Rules with one namespace `ns`; channels without a namespace allow nothing.
fn rules(namespace: Namespace) -> ChannelRules {
    with(namespace, false)
}

fn insecure(namespace: Namespace) -> ChannelRules {
    with(namespace, true)
}

fn with(namespace: Namespace, insecure: bool) -> ChannelRules {
    let namespace = Namespace {
        name: "ns".to_owned(),
        ..namespace
    };
    ChannelRules::new(
        NameSyntax::default(),
        Some(255),
        insecure,
        Namespace::default(),
        [namespace],
    )
}

fn stream_proxy(bidirectional: bool) -> Option<StreamProxy> {
    Some(StreamProxy {
        name: "stream".to_owned(),
        bidirectional,
    })
}
