//! Names of channels against what operators and issuers of tokens write about them: channel patterns, and the
//! channels of capabilities. The input is lines: a channel, a capability's `match` and text, then patterns.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tidegate::channels::{Capabilities, Capability, ChannelRules, Operations, Route, Source, SubscribeQuery};
use tidegate::config::{ChannelOptions, Channels, Namespace};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let channel = lines.next().unwrap_or_default();
    let (kind, wanted) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let namespaces: Vec<Namespace> = lines
        .enumerate()
        .map(|(index, pattern)| Namespace {
            name: format!("n{index}"),
            options: ChannelOptions {
                pattern: pattern.to_owned(),
                ..ChannelOptions::default()
            },
        })
        .collect();
    let channels = Channels {
        patterns: true,
        namespaces,
        ..Channels::default()
    };
    // A pattern that cannot be read is the operator's to correct.
    let Ok(rules) = ChannelRules::from_config(&channels, false) else {
        return;
    };
    if let Ok(namespace) = rules.resolve(channel) {
        // Namespaces without a pattern are reached by their names only, and the others never are.
        assert!(channel.starts_with('/') != namespace.name.is_empty() || channel.contains(':'));
    }
    let allow = Operations::from_names(["sub"]);
    let capability = Capability::new(vec![wanted.to_owned()], kind, allow);
    let Some(capabilities) = Capabilities::new(capability) else {
        return;
    };
    let query = SubscribeQuery {
        channel,
        user: "",
        has_token: false,
        subscription_type: 0,
        capabilities: Some(&capabilities),
    };
    if let Ok(decision) = rules.subscribe(query) {
        // Nothing else allows anything here.
        assert_eq!(decision.route, Route::Granted(Source::ConnectionCapability));
        assert!(!channel.starts_with('$'));
        assert!(!kind.is_empty() || wanted == channel);
    }
});
