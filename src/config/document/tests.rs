use std::path::Path;

use super::*;

/// Set to rewrite the reference in place of comparing it.
const REWRITE: &str = "TIDEGATE_REWRITE_DOCS";

#[test]
fn the_reference_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/configuration.md");
    let current = markdown(1);
    if std::env::var_os(REWRITE).is_some() {
        std::fs::write(&path, &current).expect("docs can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == current,
        "docs/configuration.md is not current: run the tests with {REWRITE}=1"
    );
}

#[test]
fn every_option_is_documented() {
    fn walk(section: &'static Section, key: &str) {
        for field in section.fields() {
            let key = join(key, field.name);
            assert!(field.summary().ends_with('.'), "{key}: {:?}", field.summary());
            if let Kind::Object(section) | Kind::Objects(section) | Kind::Named(section) = field.kind {
                walk(section, &key);
            }
        }
    }
    walk(Config::SECTION, "");
}

#[test]
fn parts_of_the_reference() {
    let section = section_markdown("http_server", 3);
    assert!(section.starts_with("### `http_server`\n\n"), "{section}");
    assert!(
        section.contains("| `http_server.port` | int | `8000` |"),
        "{section}"
    );
    assert!(
        section.contains("| `http_server.tls` | object TlsOptions |"),
        "{section}"
    );
    assert!(
        section.contains("| `http_server.http3.enabled` | bool |"),
        "{section}"
    );
    assert!(!section.contains("tls_autocert"), "{section}");
    assert_eq!(section_markdown("nope", 1), "");
    let whole = markdown(1);
    for line in [
        "- `http_server.development_certificate.directory`",
        "- `controller.enabled`",
        "- `client.proxy.connect.enabled`",
        "- `consumers[].enabled`",
        "- `channel.without_namespace.subscribe_proxy_name`",
        "- `TlsOptions.min_version`",
        "| `client.subscription_token.enabled` | bool |",
        "### `x`",
    ] {
        assert_eq!(whole.contains(line), line != "### `x`", "{line}");
    }
    let page = html();
    assert!(page.contains("<code>client.ping_interval</code><td>duration<td><code>25s</code>"));
    assert!(
        page.contains("<code>HTTP/3") || !page.contains('`'),
        "code is marked up"
    );
}
