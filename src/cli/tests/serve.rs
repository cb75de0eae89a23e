use axum::body::Body;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::super::serve::{Files, router};
use super::*;

async fn request(root: &Path, method: Method, path: &str) -> (Response<()>, Vec<u8>) {
    let files = Files::new(root).expect("directory");
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .expect("request");
    let response = router(files).oneshot(request).await.expect("infallible");
    let (parts, body) = response.into_parts();
    let body = body.collect().await.expect("body").to_bytes().to_vec();
    (Response::from_parts(parts, ()), body)
}

#[tokio::test]
async fn files_and_listings() {
    let outside = tempfile::tempdir().expect("temporary directory");
    let root = outside.path().join("root");
    std::fs::create_dir_all(root.join("a b<")).expect("directory");
    std::fs::create_dir(root.join("site")).expect("directory");
    std::fs::write(outside.path().join("secret.txt"), "secret").expect("file");
    std::fs::write(root.join("x.txt"), "text").expect("file");
    std::fs::write(root.join("site/index.html"), "page").expect("file");
    std::os::unix::fs::symlink(outside.path().join("secret.txt"), root.join("link.txt")).expect("link");
    std::os::unix::fs::symlink("x.txt", root.join("near.txt")).expect("link");

    for (path, status, kind, body) in [
        ("/x.txt", StatusCode::OK, "text/plain; charset=utf-8", "text"),
        ("/%78.txt", StatusCode::OK, "text/plain; charset=utf-8", "text"),
        ("/near.txt", StatusCode::OK, "text/plain; charset=utf-8", "text"),
        ("/site/", StatusCode::OK, "text/html; charset=utf-8", "page"),
        (
            "/missing",
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        ),
        (
            "/link.txt",
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        ),
        (
            "/../secret.txt",
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        ),
        (
            "/%2e%2e/secret.txt",
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        ),
        (
            "/site%2f..%2f..%2fsecret.txt",
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        ),
        (
            "/%00",
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        ),
        (
            "/%2",
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "404 page not found\n",
        ),
    ] {
        let (response, found) = request(&root, Method::GET, path).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["content-type"], kind, "{path}");
        assert_eq!(String::from_utf8_lossy(&found), body, "{path}");
    }
    let (listing, body) = request(&root, Method::GET, "/").await;
    let body = String::from_utf8(body).expect("UTF-8");
    assert_eq!(listing.status(), StatusCode::OK);
    assert!(
        body.contains("<a href=\"./a%20b%3C/\">a b&lt;/</a>\n<a href=\"./link.txt\">"),
        "{body}"
    );
    let (redirect, _) = request(&root, Method::GET, "/site").await;
    assert_eq!(
        (redirect.status(), &redirect.headers()["location"]),
        (StatusCode::MOVED_PERMANENTLY, &"/site/".parse().expect("header"))
    );
    let (refused, _) = request(&root, Method::POST, "/x.txt").await;
    assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
}

#[test]
fn what_cannot_be_served() {
    let (directory, file) = config("{}");
    let missing = directory.path().join("missing");
    for path in [file.as_str(), text(&missing)] {
        let failure = run(&["serve", "-d", path, "-p", "0"]).expect_err("no directory");
        assert!(failure.starts_with(&format!("error: {path}: ")), "{failure}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("port");
    let port = taken.local_addr().expect("address").port().to_string();
    let failure = run(&[
        "serve",
        "-d",
        text(directory.path()),
        "-a",
        "127.0.0.1",
        "-p",
        &port,
    ]);
    assert!(
        failure
            .expect_err("taken")
            .starts_with(&format!("error: 127.0.0.1:{port}: "))
    );
    let failure = run(&["configdoc", "-p", &port]).expect_err("taken");
    assert!(
        failure.starts_with(&format!("error: 127.0.0.1:{port}: ")),
        "{failure}"
    );
}
