//! HTTP: a router in front of an app's workers. Shoot any of them, then `curl http://127.0.0.1:8080/`.

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

/// The most that `POST /echo` gives back.
const MAX_ECHO: usize = 64 * 1024 * 1024;
const MAX_ECHO_BYTES: u64 = MAX_ECHO as u64;

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: String,
    /// How many worker processes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1024))]
    workers: u32,
    /// How long running requests may take after SIGTERM, in seconds.
    #[arg(long, default_value_t = 10)]
    shutdown_timeout: u64,
    /// How log lines are written.
    #[arg(long, value_enum, default_value_t = Format::Terminal)]
    log: Format,
    /// How many connections each worker serves at a time; without it, as many as it has descriptors for.
    #[arg(long)]
    max_connections: Option<NonZeroUsize>,
    /// No router: the workers accept themselves.
    #[arg(long)]
    direct: bool,
    /// Workers that cannot start, to see what happens then.
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

/// Gives the body back while it still comes in.
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
    panic!("GET /panic was asked for")
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
