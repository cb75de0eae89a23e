//! Part of the build script, not of the crate: makes the messages that prost generates readable from JSON by the
//! rules of `read.rs`. What is appended per message is a table of its fields' names and a match that says which
//! index goes where; everything else is generic code over there.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use heck::ToUpperCamelCase;
use prost_types::{DescriptorProto, FileDescriptorSet};

/// Appends to the files that prost wrote into `out`, one per package.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn append(files: &FileDescriptorSet, out: &Path) -> Result<(), Box<dyn Error>> {
    for file in &files.file {
        let mut code = String::new();
        for message in &file.message_type {
            implement(&mut code, message)?;
        }
        let path = out.join(format!("{}.rs", file.package()));
        fs::OpenOptions::new()
            .append(true)
            .open(path)?
            .write_all(code.as_bytes())?;
    }
    Ok(())
}

fn implement(code: &mut String, message: &DescriptorProto) -> Result<(), std::fmt::Error> {
    let rust = message.name().to_upper_camel_case();
    let names: Vec<&str> = message.field.iter().map(|field| field.name()).collect();
    let mut arms = String::new();
    for (index, name) in names.iter().enumerate() {
        writeln!(
            arms,
            "            {index} => self.{} = value(map)?,",
            identifier(name)
        )?;
    }
    let skip = "let _ = map.next_value::<serde::de::IgnoredAny>()?;";
    let body = if names.is_empty() {
        // A message without fields has no index to look at.
        format!("        let _ = index;\n        {skip}\n        Ok(())\n")
    } else {
        format!(
            "        use crate::protocol::json::read::value;\n        match index {{\n{arms}            \
             _ => {{\n                {skip}\n            }}\n        }}\n        Ok(())\n"
        )
    };
    writeln!(
        code,
        "
impl crate::protocol::json::read::JsonMessage for {rust} {{
    const FIELDS: &'static [&'static str] = &{names:?};

    fn read_field<'de, A: serde::de::MapAccess<'de>>(&mut self, index: usize, map: &mut A) -> Result<(), A::Error> {{
{body}    }}
}}

impl<'de> serde::Deserialize<'de> for {rust} {{
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {{
        crate::protocol::json::read::message(deserializer)
    }}
}}"
    )
}

/// The name that prost gives a field.
fn identifier(name: &str) -> String {
    match name {
        "override" | "pub" | "type" => format!("r#{name}"),
        _ => name.to_owned(),
    }
}
