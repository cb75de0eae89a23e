//! `configdoc`: the reference of options.

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use super::{ConfigDoc, Context, Failure, serve};
use crate::config::document;

/// Prints Markdown, or serves a page until the process is ended.
pub(super) fn show(args: &ConfigDoc, context: &mut Context<'_>) -> Result<(), Failure> {
    if args.markdown {
        let text = match &args.section {
            Some(section) => document::section_markdown(section, args.base_level),
            None => document::markdown(args.base_level),
        };
        context.out.write_all(text.as_bytes())?;
        return Ok(());
    }
    let page = document::html();
    let router = Router::new().route("/", get(move || async move { Html(page) }));
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    serve::run(router, &address.to_string(), |address| {
        writeln!(
            context.out,
            "serving the configuration reference on http://{address}"
        )?;
        context.out.flush()
    })
}
