//! The reference as a page without scripts or anything from elsewhere.

use std::fmt::Write as _;

use super::{Chapter, Row, chapters, missing};

/// The page.
pub(crate) fn html() -> String {
    let chapters = chapters();
    let mut page = String::from(HEAD);
    page.push_str("<nav>");
    for chapter in &chapters {
        let _ = write!(page, "<a href=\"#{0}\">{0}</a> ", chapter.name);
    }
    page.push_str("</nav>\n");
    for Chapter { name, text, rows, .. } in &chapters {
        let _ = writeln!(page, "<h2 id=\"{name}\">{name}</h2>");
        for paragraph in text {
            let _ = writeln!(page, "<p>{}</p>", inline(paragraph));
        }
        push_table(&mut page, rows);
    }
    let missing = missing();
    page.push_str("<h2>Not supported by this version</h2>\n<ul>\n");
    for key in missing.unsupported.iter().chain(&missing.refused) {
        let _ = writeln!(page, "<li><code>{key}</code></li>");
    }
    page.push_str("</ul>\n</main>\n</html>\n");
    page
}

fn push_table(page: &mut String, rows: &[Row]) {
    page.push_str("<table>\n<tr><th>Option<th>Type<th>Default<th>Meaning\n");
    for Row {
        key,
        kind,
        default,
        text,
    } in rows
    {
        let (kind, default, text) = (inline(kind), inline(default), inline(text));
        let _ = writeln!(
            page,
            "<tr><td><code>{key}</code><td>{kind}<td><code>{default}</code><td>{text}"
        );
    }
    page.push_str("</table>\n");
}

/// Escapes text, and turns backquotes into code.
fn inline(text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    let parts = escaped.split('`').enumerate();
    parts
        .map(|(index, part)| {
            if index % 2 == 1 {
                format!("<code>{part}</code>")
            } else {
                part.to_owned()
            }
        })
        .collect()
}

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Tidegate configuration</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 75rem; padding: 1rem; color-scheme: light dark }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; vertical-align: top }
</style>
<main>
<h1>Tidegate configuration</h1>
";
