//! The parts of a channel name (channels-and-auth.md 1).

/// The separators of channel names. None of them is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameSyntax {
    /// Starts the name of a channel that only a token opens.
    pub private_prefix: String,
    /// Stands between a namespace and the rest.
    pub namespace_boundary: String,
    /// Starts the list of allowed users.
    pub user_boundary: String,
    /// Stands between two users of that list.
    pub user_separator: String,
}

impl Default for NameSyntax {
    fn default() -> Self {
        Self {
            private_prefix: "$".to_owned(),
            namespace_boundary: ":".to_owned(),
            user_boundary: "#".to_owned(),
            user_separator: ",".to_owned(),
        }
    }
}

/// A channel name taken apart. The parts matter for lookups only: the identity of a channel is the whole name,
/// so that `$news` and `news`, or `d#1,2` and `d#2,1`, are different channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelName<'a> {
    /// Namespace; empty for channels without one.
    pub namespace: &'a str,
    /// What stands after the namespace and its boundary; without a namespace the whole name, prefix included.
    pub rest: &'a str,
    /// Whether only a token opens the channel.
    pub is_private: bool,
}

impl NameSyntax {
    /// Takes a name apart.
    #[must_use]
    pub fn parse<'a>(&self, channel: &'a str) -> ChannelName<'a> {
        let stripped = non_empty(&self.private_prefix).and_then(|prefix| channel.strip_prefix(prefix));
        let boundary = non_empty(&self.namespace_boundary);
        let split = boundary.and_then(|boundary| stripped.unwrap_or(channel).split_once(boundary));
        let (namespace, rest) = split.unwrap_or(("", channel));
        ChannelName {
            namespace,
            rest,
            is_private: stripped.is_some(),
        }
    }

    /// The list of allowed users in a name, if there is one: all that follows the last boundary. Whether the
    /// list means anything is the namespace's choice.
    #[must_use]
    pub fn user_list<'a>(&self, channel: &'a str) -> Option<&'a str> {
        channel
            .rsplit_once(non_empty(&self.user_boundary)?)
            .map(|(_, users)| users)
    }

    /// Whether `user` is in a list of allowed users; names are compared exactly. Nobody is not somebody: the
    /// empty entry of `x#` admits no anonymous user.
    #[must_use]
    pub fn lists_user(&self, users: &str, user: &str) -> bool {
        if user.is_empty() {
            return false;
        }
        match non_empty(&self.user_separator) {
            Some(separator) => users.split(separator).any(|listed| listed == user),
            None => users == user,
        }
    }

    /// The channel of one user: `#user`, or `namespace:#user`.
    #[must_use]
    pub fn personal_channel(&self, namespace: &str, user: &str) -> String {
        let boundary = if namespace.is_empty() {
            ""
        } else {
            self.namespace_boundary.as_str()
        };
        [namespace, boundary, &self.user_boundary, user].concat()
    }
}

/// An empty separator would be found everywhere.
fn non_empty(separator: &str) -> Option<&str> {
    (!separator.is_empty()).then_some(separator)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_first_boundary() {
        let syntax = NameSyntax::default();
        for (channel, namespace, rest, is_private) in [
            ("news", "", "news", false),
            ("$news", "", "$news", true),
            ("ns:news", "ns", "news", false),
            ("$ns:news", "ns", "news", true),
            ("ns:a:b", "ns", "a:b", false),
            (":x", "", "x", false),
            ("$:x", "", "x", true),
            ("$$ns:x", "$ns", "x", true),
            ("ns:", "ns", "", false),
            ("", "", "", false),
            ("$", "", "$", true),
            ("a$b", "", "a$b", false),
        ] {
            assert_eq!(
                syntax.parse(channel),
                ChannelName {
                    namespace,
                    rest,
                    is_private
                },
                "{channel}"
            );
        }
    }

    #[test]
    fn separators_may_be_longer() {
        let syntax = NameSyntax {
            private_prefix: "priv-".to_owned(),
            namespace_boundary: "//".to_owned(),
            user_boundary: "##".to_owned(),
            user_separator: "; ".to_owned(),
        };
        let parsed = ChannelName {
            namespace: "ns",
            rest: "a#b##1; 2",
            is_private: true,
        };
        assert_eq!(syntax.parse("priv-ns//a#b##1; 2"), parsed);
        let users = syntax.user_list("priv-ns//a#b##1; 2").expect("list");
        assert!(syntax.lists_user(users, "2") && !syntax.lists_user(users, " 2"));
        assert_eq!(syntax.personal_channel("ns", "7"), "ns//##7");
    }

    #[test]
    fn user_lists() {
        let syntax = NameSyntax::default();
        for (channel, user, listed) in [
            ("d#1,2", "1", true),
            ("d#1,2", "2", true),
            ("d#1,2", "12", false),
            ("d#1, 2", "2", false),
            ("d#1#2", "2", true),
            ("d#1#2", "1", false),
            ("d#", "", false),
            ("d#,", "", false),
            ("d#1,", "", false),
        ] {
            let users = syntax.user_list(channel).expect(channel);
            assert_eq!(syntax.lists_user(users, user), listed, "{channel} {user}");
        }
        assert_eq!(syntax.user_list("d"), None);
    }

    #[test]
    fn personal_channels() {
        let syntax = NameSyntax::default();
        assert_eq!(syntax.personal_channel("", "42"), "#42");
        assert_eq!(syntax.personal_channel("personal", "42"), "personal:#42");
    }

    proptest::proptest! {
        #[test]
        fn parts_are_parts_of_the_name(channel in "[$:#,a\u{fc}]{0,12}", prefix in "[$a]{0,2}", boundary in "[:a]{0,2}") {
            let syntax = NameSyntax { private_prefix: prefix, namespace_boundary: boundary, ..NameSyntax::default() };
            let name = syntax.parse(&channel);
            proptest::prop_assert!(channel.ends_with(name.rest) && channel.contains(name.namespace));
            let _ = syntax.user_list(&channel);
        }
    }
}
