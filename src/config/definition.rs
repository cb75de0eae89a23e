//! How an option is defined: once.
//!
//! [`section!`] turns a struct whose fields carry a documentation comment, a type and a default into that
//! struct *and* into a static description of it. The struct is what the server works with; the description is
//! what reads files, environment and flags, writes the sample file and the reference, and knows which options of
//! the reference server this version does not have. Nothing else repeats an option's name, type or default.

use super::error::Problem;
use super::value::{Leaf, Node, Source, Table};

/// An object of options.
#[derive(Debug)]
pub(crate) struct Section {
    /// The Rust type, by which objects that occur in several places are recognised.
    pub(crate) name: &'static str,
    /// What the object is for, as written in its doc comment.
    pub(crate) doc: &'static str,
    pub(crate) fields: &'static [Field],
    /// Options that follow its own, shared with other objects.
    pub(crate) rest: Option<&'static Section>,
}

/// An option, or an object of them.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// The default in the spelling of an environment variable; empty for the zero value.
    pub(crate) default: &'static str,
    pub(crate) doc: &'static str,
    pub(crate) status: Status,
}

/// What an option's value looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Bool,
    Int,
    Text,
    /// Text out of a list.
    Choice(&'static [&'static str]),
    Duration,
    TextList,
    /// Text by key.
    TextMap,
    Object(&'static Section),
    /// Objects without a name.
    Objects(&'static Section),
    /// Objects that have a unique `name`, by which environment variables address them.
    Named(&'static Section),
}

/// What this version makes of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Supported,
    /// Accepted for compatibility. That it does nothing harms nobody.
    WithoutEffect,
    /// Setting it is worth a warning.
    Unsupported,
    /// Setting it ends the start: to ignore it would expose or lose something.
    Refused,
}

impl Section {
    /// All options, in the order in which they are printed.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &'static Field> {
        std::iter::successors(Some(self), |section| section.rest).flat_map(|section| section.fields)
    }

    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields().find(|field| field.name == name)
    }

    /// The option of a dotted key, with the parts of the key. Items of lists have none.
    pub(crate) fn find(&self, key: &str) -> Option<(Vec<&'static str>, &'static Field)> {
        let (name, rest) = key
            .split_once('.')
            .map_or((key, None), |(name, rest)| (name, Some(rest)));
        let field = self.field(name)?;
        let (mut path, found) = match (rest, field.kind) {
            (None, _) => (Vec::new(), field),
            (Some(rest), Kind::Object(section)) => section.find(rest)?,
            (Some(_), _) => return None,
        };
        path.insert(0, field.name);
        Some((path, found))
    }

    /// The lowest layer: every option has its default, lists of objects are empty.
    pub(crate) fn defaults(&self, key: &str) -> Table {
        let mut table = Table::default();
        for field in self.fields() {
            let key = join(key, field.name);
            let node = match field.kind {
                Kind::Object(section) => Node::Table(section.defaults(&key)),
                Kind::Objects(_) | Kind::Named(_) => Node::Items(Vec::new()),
                _ => Node::Leaf(Leaf {
                    value: field.default_value(),
                    key,
                    source: Source::Default,
                }),
            };
            table.insert(field.name, node);
        }
        table
    }
}

impl Field {
    /// The documentation as one paragraph.
    pub(crate) fn summary(&self) -> String {
        paragraph(self.doc)
    }
}

/// The lines of a doc comment, joined.
pub(crate) fn paragraph(doc: &str) -> String {
    doc.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// A dotted key within another.
pub(crate) fn join(key: &str, name: &str) -> String {
    if key.is_empty() {
        name.to_owned()
    } else {
        format!("{key}.{name}")
    }
}

/// A type that an option can have.
pub(crate) trait Described {
    const KIND: Kind;
}

/// A type that is an object of options.
pub(crate) trait Object {
    const SECTION: &'static Section;
}

/// A type that can be made from merged layers.
///
/// It always yields something, so that all problems of a configuration are found at once; the result counts only
/// if there were none.
pub(crate) trait Resolve: Sized {
    fn resolve(node: Option<&Node>, problems: &mut Vec<Problem>) -> Self;
}

/// Defines an object of options. Fields of the struct are supported; the blocks `without_effect`, `unsupported`
/// and `refused` name options that the configuration files of others may contain, which therefore are known but
/// have no field. `struct Name: Other` appends the options of another object.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        $visibility:vis struct $name:ident $(: $rest:ty)? {
            $( $(#[doc = $field_doc:literal])* $field:ident: $ty:ty $(= $default:literal)?; )*
        }
        $( $status:ident {
            $( $(#[doc = $known_doc:literal])* $known:ident: $known_ty:ty $(= $known_default:literal)?; )*
        } )*
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $visibility struct $name {
            $( $(#[doc = $field_doc])* pub $field: $ty, )*
        }

        impl $crate::config::definition::Object for $name {
            const SECTION: &'static $crate::config::definition::Section =
                &$crate::config::definition::Section {
                    name: stringify!($name),
                    doc: concat!($($doc, "\n"),*),
                    fields: &[
                        $( $crate::config::definition::Field {
                            name: $crate::config::definition::plain(stringify!($field)),
                            kind: <$ty as $crate::config::definition::Described>::KIND,
                            default: concat!("" $(, $default)?),
                            doc: concat!($($field_doc, "\n"),*),
                            status: $crate::config::definition::Status::Supported,
                        }, )*
                        $($( $crate::config::definition::Field {
                            name: stringify!($known),
                            kind: <$known_ty as $crate::config::definition::Described>::KIND,
                            default: concat!("" $(, $known_default)?),
                            doc: concat!($($known_doc, "\n"),*),
                            status: $crate::config::definition::status!($status),
                        }, )*)*
                    ],
                    rest: $crate::config::definition::rest!($($rest)?),
                };
        }

        impl $crate::config::definition::Described for $name {
            const KIND: $crate::config::definition::Kind = $crate::config::definition::Kind::Object(
                <$name as $crate::config::definition::Object>::SECTION
            );
        }

        impl $crate::config::definition::Resolve for $name {
            #[allow(unused_variables, reason = "an object may consist of options without a field only")]
            fn resolve(
                node: Option<&$crate::config::value::Node>,
                problems: &mut Vec<$crate::config::error::Problem>,
            ) -> Self {
                Self {
                    $( $field: $crate::config::definition::Resolve::resolve(
                        node.and_then(|node| node.get($crate::config::definition::plain(stringify!($field)))),
                        problems,
                    ), )*
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                $crate::config::definition::default_of::<Self>()
            }
        }
    };
}

macro_rules! status {
    (without_effect) => {
        $crate::config::definition::Status::WithoutEffect
    };
    (unsupported) => {
        $crate::config::definition::Status::Unsupported
    };
    (refused) => {
        $crate::config::definition::Status::Refused
    };
}

macro_rules! rest {
    () => {
        None
    };
    ($rest:ty) => {
        Some(<$rest as $crate::config::definition::Object>::SECTION)
    };
}

pub(crate) use {rest, section, status};

/// The name of an option whose field must be written as a raw identifier.
pub(crate) const fn plain(field: &'static str) -> &'static str {
    match field.as_bytes() {
        [b'r', b'#', ..] => field.split_at(2).1,
        _ => field,
    }
}

/// An object whose options all have their defaults. That these can be read is the subject of a test.
pub(crate) fn default_of<T: Object + Resolve>() -> T {
    T::resolve(Some(&Node::Table(T::SECTION.defaults(""))), &mut Vec::new())
}
