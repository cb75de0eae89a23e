//! The reference as Markdown.

use std::fmt::Write as _;

use super::{Chapter, DIFFERENCES, INTRODUCTION, Row, chapters, missing, own};

/// The whole reference. `level` is that of its title.
pub(crate) fn markdown(level: usize) -> String {
    let title = heading(level);
    let section = heading(level + 1);
    let mut text = format!(
        "{title} Configuration\n\n\
         <!-- Made from the definition of the options: `tidegate configdoc -m`. -->\n\n\
         {INTRODUCTION}\n"
    );
    for chapter in chapters() {
        push_chapter(&mut text, &chapter, level + 1);
    }
    let missing = missing();
    let _ = write!(
        text,
        "{section} Beyond v6\n\nOptions that Centrifugo does not have:\n\n"
    );
    push_list(&mut text, own().iter().map(|row| row.key.as_str()));
    let _ = write!(text, "{DIFFERENCES}\n{section} Not supported\n\n");
    text.push_str("Options of an object that occurs in several places are listed for the first of them.\n\n");
    text.push_str("Setting one of these options of Centrifugo v6 leads to a warning, nothing else:\n\n");
    push_list(&mut text, missing.unsupported.iter().map(String::as_str));
    text.push_str("Setting one of these ends the start, as ignoring it would expose or lose something:\n\n");
    push_list(&mut text, missing.refused.iter().map(String::as_str));
    text.push_str("These are accepted and do nothing:\n\n");
    push_table(&mut text, &missing.without_effect);
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// One section or shared object; empty if there is none of that name.
pub(crate) fn section_markdown(name: &str, level: usize) -> String {
    let mut text = String::new();
    for chapter in chapters()
        .iter()
        .filter(|chapter| chapter.name.eq_ignore_ascii_case(name))
    {
        push_chapter(&mut text, chapter, level);
    }
    text
}

fn push_chapter(text: &mut String, chapter: &Chapter, level: usize) {
    let what = if chapter.is_object { "Object " } else { "" };
    let _ = write!(text, "{} {what}`{}`\n\n", heading(level), chapter.name);
    for paragraph in &chapter.text {
        let _ = write!(text, "{paragraph}\n\n");
    }
    push_table(text, &chapter.rows);
}

fn push_table(text: &mut String, rows: &[Row]) {
    text.push_str("| Option | Type | Default | Meaning |\n|---|---|---|---|\n");
    for row in rows {
        let default = if row.default.is_empty() {
            String::new()
        } else {
            format!("`{}`", row.default)
        };
        let meaning = row.text.replace('|', "\\|");
        let _ = writeln!(text, "| `{}` | {} | {default} | {meaning} |", row.key, row.kind);
    }
    text.push('\n');
}

fn push_list<'a>(text: &mut String, keys: impl Iterator<Item = &'a str>) {
    for key in keys {
        let _ = writeln!(text, "- `{key}`");
    }
    text.push('\n');
}

fn heading(level: usize) -> String {
    "#".repeat(level.clamp(1, 6))
}
