//! `serve`: static files for development, with listings. Not for production: files are read whole.
//!
//! Only what lies below the directory is served. A path is decoded once, split, and may not climb; where symbolic
//! links lead is resolved before anything is read.

mod listing;

use std::io;
use std::net::SocketAddr;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use http::header::{ALLOW, CONTENT_TYPE, LOCATION};
use http::{Method, Response, StatusCode};

use super::{Context, Failure, Serve};

/// Serves until the process is ended.
pub(super) fn serve(args: &Serve, context: &mut Context<'_>) -> Result<(), Failure> {
    let failed = |error| Failure(format!("error: {}: {error}", args.dir.display()));
    let files = Files::new(&args.dir).map_err(failed)?;
    let host = if args.address.is_empty() {
        "0.0.0.0"
    } else {
        &args.address
    };
    let bind = if host.contains(':') {
        format!("[{host}]:{}", args.port)
    } else {
        format!("{host}:{}", args.port)
    };
    run(router(files), &bind, |address| {
        writeln!(context.out, "start serving {} on {address}", args.dir.display())?;
        context.out.flush()
    })
}

/// Binds, says where, and serves until the process is ended.
pub(super) fn run(
    router: Router,
    bind: &str,
    announce: impl FnOnce(SocketAddr) -> io::Result<()>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(bind)
            .await
            .map_err(|error| Failure(format!("error: {bind}: {error}")))?;
        announce(listener.local_addr()?)?;
        axum::serve(listener, router).await?;
        Ok(())
    })
}

pub(super) fn router(files: Files) -> Router {
    let files = Arc::new(files);
    Router::new().fallback(move |request: Request| {
        let files = Arc::clone(&files);
        // Reading blocks, which a server for one developer may do.
        async move { files.answer(request.method(), request.uri().path()) }
    })
}

/// A directory whose files are served.
pub(super) struct Files {
    root: PathBuf,
}

impl Files {
    pub(super) fn new(directory: &Path) -> io::Result<Self> {
        let root = directory.canonicalize()?;
        if root.is_dir() {
            Ok(Self { root })
        } else {
            Err(io::ErrorKind::NotADirectory.into())
        }
    }

    fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        if !matches!(*method, Method::GET | Method::HEAD) {
            return respond(StatusCode::METHOD_NOT_ALLOWED, ALLOW, "GET, HEAD", Vec::new());
        }
        let Some(found) = self.find(path) else {
            return not_found();
        };
        if !found.is_dir() {
            return file(&found);
        }
        if !path.ends_with('/') {
            // Relative links of the page need the slash.
            return respond(
                StatusCode::MOVED_PERMANENTLY,
                LOCATION,
                &format!("{path}/"),
                Vec::new(),
            );
        }
        let index = found.join("index.html");
        if index.is_file() {
            return file(&index);
        }
        match listing::html(&found) {
            Ok(page) => respond(
                StatusCode::OK,
                CONTENT_TYPE,
                "text/html; charset=utf-8",
                page.into_bytes(),
            ),
            Err(_) => not_found(),
        }
    }

    /// What the path of a request leads to, if that is below the root.
    fn find(&self, path: &str) -> Option<PathBuf> {
        let decoded = decode(path)?;
        let relative = Path::new(decoded.trim_start_matches('/'));
        let is_plain = relative
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !is_plain || decoded.contains('\0') {
            return None;
        }
        let found = self.root.join(relative).canonicalize().ok()?;
        found.starts_with(&self.root).then_some(found)
    }
}

fn file(path: &Path) -> Response<Body> {
    match std::fs::read(path) {
        Ok(bytes) => respond(StatusCode::OK, CONTENT_TYPE, content_type(path), bytes),
        Err(_) => not_found(),
    }
}

fn not_found() -> Response<Body> {
    respond(
        StatusCode::NOT_FOUND,
        CONTENT_TYPE,
        "text/plain; charset=utf-8",
        b"404 page not found\n".to_vec(),
    )
}

fn respond(status: StatusCode, name: http::HeaderName, value: &str, body: Vec<u8>) -> Response<Body> {
    let response = Response::builder()
        .status(status)
        .header(name, value)
        .body(Body::from(body));
    response.unwrap_or_else(|_| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

/// Decodes `%20` and the like.
fn decode(path: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let value = digit(bytes.next())? * 16 + digit(bytes.next())?;
                u8::try_from(value).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).ok()
}

fn content_type(path: &Path) -> &'static str {
    match path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default()
    {
        "html" | "htm" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "json" | "map" => "application/json",
        "md" | "txt" | "proto" | "toml" | "yaml" | "yml" => "text/plain; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "wasm" => "application/wasm",
        "woff2" => "font/woff2",
        "pdf" => "application/pdf",
        _ => "application/octet-stream",
    }
}
