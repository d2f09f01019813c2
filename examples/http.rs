//! HTTP: a router and the worker processes of an app. Kill any of them, then try `curl http://127.0.0.1:8080/`.

use std::num::NonZeroUsize;
use std::time::Duration;

use axum::RequestExt;
use axum::Router as Routes;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::StatusCode;
use axum::routing::{get, post};
use clap::{Parser, ValueEnum};
use impresario::prelude::*;

/// Maximum body of `POST /echo`, in bytes.
const MAX_ECHO: usize = 64 * 1024 * 1024;
const MAX_ECHO_BYTES: u64 = MAX_ECHO as u64;

#[derive(Parser)]
struct Args {
    /// Listening address: HOST:PORT or unix:PATH.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// Number of worker processes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    /// Time for running requests to finish after SIGTERM, in seconds.
    #[arg(long, default_value_t = 10)]
    shutdown_timeout: u64,
    /// Format of log lines.
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    log: Format,
    /// Maximum number of open connections of each worker; by default, limited only by its descriptors.
    #[arg(long)]
    max_connections: Option<NonZeroUsize>,
    /// Start no router: the workers accept connections themselves.
    #[arg(long)]
    direct: bool,
    /// Make the start of every worker fail, to see how main reports it.
    #[arg(long)]
    fail_start: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Json,
    Terminal,
}

// ANCHOR: routes
fn routes() -> Routes {
    Routes::new()
        .route("/", get(async || "hello\n"))
        .route("/pid", get(async || std::process::id().to_string()))
        .route("/slow/{ms}", get(slow))
        .route("/echo", post(echo).layer(DefaultBodyLimit::max(MAX_ECHO)))
        .route("/panic", get(panic))
        .route("/abort", get(abort))
}

/// Sends the body back while it arrives.
async fn echo(request: Request) -> Result<Body, StatusCode> {
    match request.body().size_hint().lower() {
        ..=MAX_ECHO_BYTES => Ok(request.with_limited_body().into_body()),
        _ => Err(StatusCode::PAYLOAD_TOO_LARGE),
    }
}

async fn slow(Path(ms): Path<u64>) -> &'static str {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    "done\n"
}
// ANCHOR_END: routes

async fn panic() -> &'static str {
    panic!("GET /panic was requested")
}

async fn abort() -> &'static str {
    std::process::abort()
}

// ANCHOR: main
fn main() -> ExitCode {
    let args = Args::parse();
    // ANCHOR: app
    let shop = App::with_worker("shop", move |_worker| match args.fail_start {
        true => Err("--fail-start was given"),
        false => Ok(http::service(routes())),
    })
    .pool(Pool::fixed(args.workers));
    // ANCHOR_END: app
    let shop = match args.max_connections {
        Some(limit) => shop.max_connections(limit.get()),
        None => shop,
    };

    let main =
        Main::new().shutdown_timeout(Duration::from_secs(args.shutdown_timeout)).logger(match args.log {
            Format::Json => log::json,
            Format::Terminal => log::terminal,
        });
    let main = match args.direct {
        true => main.app(shop.listen(args.listen)),
        false => main.app(shop).router(Router::listen(args.listen).to("shop")),
    };
    main.run()
}
// ANCHOR_END: main
