//! The reference of options, made from their definition.
//!
//! [`markdown`] makes `docs/configuration.md` and what `configdoc -m` prints, [`html`] the page that `configdoc`
//! serves. Both lay out the same [`Chapter`]s.

mod html;
mod markdown;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use html::html;
pub(crate) use markdown::{markdown, section_markdown};

use super::definition::{Field, Kind, Object, Section, Status, join, paragraph};
use super::tree::Config;

/// A top-level section, or an object that occurs in several places.
struct Chapter {
    /// Key of the section, or name of the object.
    name: &'static str,
    is_object: bool,
    /// Paragraphs.
    text: Vec<String>,
    rows: Vec<Row>,
}

/// An option.
struct Row {
    key: String,
    /// Its type in words.
    kind: String,
    /// Empty for the zero value.
    default: String,
    text: String,
}

/// Options that are known and yet not there.
#[derive(Default)]
struct Missing {
    unsupported: Vec<String>,
    refused: Vec<String>,
    without_effect: Vec<Row>,
    /// Objects that have been looked at: what occurs in several places is listed once.
    seen: BTreeSet<&'static str>,
}

/// Sections in the order of the definition, then the objects that they share.
fn chapters() -> Vec<Chapter> {
    let shared = shared_objects();
    let mut chapters = Vec::new();
    let mut top = Vec::new();
    for field in supported(Config::SECTION) {
        match field.kind {
            Kind::Object(section) => chapters.push(Chapter {
                name: field.name,
                is_object: false,
                text: paragraphs(section.doc),
                rows: rows(section, field.name, &shared),
            }),
            _ => top.push(row(field, field.name.to_owned())),
        }
    }
    let text = vec!["Options outside of any section.".to_owned()];
    chapters.push(Chapter {
        name: "process",
        is_object: false,
        text,
        rows: top,
    });
    chapters.extend(shared.iter().map(|(name, section)| Chapter {
        name,
        is_object: true,
        text: paragraphs(section.doc),
        rows: rows(section, "", &shared),
    }));
    chapters
}

/// Options of our own, as their documentation says.
fn own() -> Vec<Row> {
    let named = |chapter: Chapter| {
        let object = if chapter.is_object {
            format!("{}.", chapter.name)
        } else {
            String::new()
        };
        chapter.rows.into_iter().map(move |row| Row {
            key: format!("{object}{}", row.key),
            ..row
        })
    };
    let rows = chapters().into_iter().flat_map(named);
    rows.filter(|row| row.text.contains("Beyond v6.")).collect()
}

fn missing() -> Missing {
    let mut missing = Missing::default();
    missing.collect(Config::SECTION, "");
    missing
}

impl Missing {
    fn collect(&mut self, section: &'static Section, key: &str) {
        for field in section.fields() {
            let key = join(key, field.name);
            match field.status {
                Status::Supported => self.below(field, &key),
                Status::WithoutEffect => self.without_effect.push(row(field, key)),
                Status::Refused => self.refused.push(key),
                Status::Unsupported => {
                    let mut inner = Self::default();
                    inner.below(field, &key);
                    self.refused.extend(inner.refused);
                    self.unsupported.push(key);
                }
            }
        }
    }

    fn below(&mut self, field: &'static Field, key: &str) {
        let (section, key) = match field.kind {
            Kind::Object(section) => (section, key.to_owned()),
            Kind::Objects(section) | Kind::Named(section) => (section, format!("{key}[]")),
            _ => return,
        };
        if self.seen.insert(section.name) {
            self.collect(section, &key);
        }
    }
}

/// Objects in more than one place, by name.
fn shared_objects() -> BTreeMap<&'static str, &'static Section> {
    let mut counts = BTreeMap::new();
    count(Config::SECTION, &mut counts);
    counts
        .into_iter()
        .filter(|(_, (uses, _))| *uses > 1)
        .map(|(name, (_, section))| (name, section))
        .collect()
}

fn count(section: &'static Section, counts: &mut BTreeMap<&'static str, (usize, &'static Section)>) {
    for field in supported(section) {
        if let Kind::Object(section) | Kind::Objects(section) | Kind::Named(section) = field.kind {
            // What a list or a switch adds is told where the object is mentioned.
            let plain = section
                .rest
                .filter(|rest| rest.name == section.name)
                .unwrap_or(section);
            if supported(plain).next().is_some() {
                counts.entry(section.name).or_insert((0, plain)).0 += 1;
            }
            count(section, counts);
        }
    }
}

fn rows(section: &'static Section, key: &str, shared: &BTreeMap<&'static str, &'static Section>) -> Vec<Row> {
    let mut rows = Vec::new();
    for field in supported(section) {
        let key = join(key, field.name);
        match field.kind {
            Kind::Object(section) if shared.contains_key(section.name) => {
                if let Some(switch) = section.fields.iter().find(|_| section.rest.is_some()) {
                    rows.push(row(switch, join(&key, switch.name)));
                }
                rows.push(Row {
                    kind: format!("object {}", section.name),
                    ..row(field, key)
                });
            }
            Kind::Object(section) => rows.extend(self::rows(section, &key, shared)),
            Kind::Objects(section) | Kind::Named(section) if shared.contains_key(section.name) => {
                let with_name = if matches!(field.kind, Kind::Named(_)) {
                    " with `name`"
                } else {
                    ""
                };
                let kind = format!("array of {}{with_name}", section.name);
                rows.push(Row {
                    kind,
                    ..row(field, key)
                });
            }
            _ => rows.push(row(field, key)),
        }
    }
    rows
}

fn row(field: &Field, key: String) -> Row {
    let kind = match field.kind {
        Kind::Choice(choices) => {
            let choices = choices.iter().filter(|choice| !choice.is_empty());
            format!("string: {}", choices.copied().collect::<Vec<_>>().join(", "))
        }
        kind => kind.name().to_owned(),
    };
    let value = field.default_value();
    let default = if value.is_zero() {
        String::new()
    } else {
        value.to_string()
    };
    Row {
        key,
        kind,
        default,
        text: field.summary(),
    }
}

fn supported(section: &'static Section) -> impl Iterator<Item = &'static Field> {
    section.fields().filter(|field| field.status == Status::Supported)
}

/// The paragraphs of a doc comment.
fn paragraphs(doc: &str) -> Vec<String> {
    let lines: Vec<_> = doc.lines().map(str::trim).collect();
    lines
        .split(|line| line.is_empty())
        .map(|lines| paragraph(&lines.join("\n")))
        .filter(|text| !text.is_empty())
        .collect()
}

/// How options are set, and where we differ: what a definition cannot say.
const INTRODUCTION: &str = include_str!("introduction.md");
const DIFFERENCES: &str = include_str!("differences.md");
