//! TLS: an encrypted echo. SIGUSR1 reloads the certificate without an effect on open connections. Try
//! `openssl s_client -quiet -connect 127.0.0.1:7443`.

#![allow(clippy::print_stderr, reason = "start errors go to stderr")]

use std::path::PathBuf;
use std::time::Duration;

use actix::{Actor, AsyncContext, Context, WrapFuture};
use clap::Parser;
use impresario::BoxError;
use impresario::prelude::*;
use impresario::server::{Certificate, ProxyProtocol, Tls, Transport};
use impresario_examples::self_signed;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Clone, Parser)]
struct Args {
    /// Listening address: HOST:PORT.
    #[arg(long, default_value = "127.0.0.1:7443")]
    listen: String,
    /// PEM file of the certificate chain. Without it, a self-signed certificate is made.
    #[arg(long, requires = "key")]
    certificate: Option<PathBuf>,
    /// PEM file of the private key.
    #[arg(long, requires = "certificate")]
    key: Option<PathBuf>,
    /// Require the PROXY protocol: a proxy sends the address of each client.
    #[arg(long)]
    proxy: bool,
}

// ANCHOR: tls
fn load(args: &Args) -> Result<Tls, BoxError> {
    let certificate = match (&args.certificate, &args.key) {
        (Some(chain), Some(key)) => Certificate::from_files(chain, key)?,
        _ => self_signed()?,
    };
    Ok(Tls::builder().certificate(certificate).alpn(["echo"]).build()?)
}

fn listener(args: &Args, tls: &Tls) -> Listener<impl impresario::server::Protocol + use<>> {
    let proxy = if args.proxy { ProxyProtocol::Required } else { ProxyProtocol::Off };
    let transport = Transport::new()
        .proxy_protocol(proxy)
        .tls(tls)
        .handshake_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(60));
    Listener::tcp(&args.listen, transport.wrap(|| Echo)).max_connections(10_000)
}
// ANCHOR_END: tls

struct Echo;

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        socket.send(data).await?;
        Ok(Next::Continue)
    }
}

// ANCHOR: reload
/// Reloads the certificate on SIGUSR1. After an error the old certificate stays in use.
struct Reload {
    args: Args,
    tls: Tls,
    env: ChildContext,
}

impl Actor for Reload {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (args, tls, log) = (self.args.clone(), self.tls.clone(), self.env.log().clone());
        let reload = async move {
            let Ok(mut usr1) = signal(SignalKind::user_defined1()) else { return };
            while usr1.recv().await.is_some() {
                match load(&args) {
                    Ok(new) => tls.reload(&new),
                    Err(error) => slog::error!(log, "the old certificate stays"; "reason" => %error),
                }
            }
        };
        ctx.spawn(reload.into_actor(self));
    }
}
// ANCHOR_END: reload

fn main() -> ExitCode {
    let args = Args::parse();
    let tls = match load(&args) {
        Ok(tls) => tls,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let echo = listener(&args, &tls);
    let reload = ChildSpec::actor("reload", move |env| {
        Ok(Reload { args: args.clone(), tls: tls.clone(), env: env.clone() })
    });
    Supervisor::new(Strategy::OneForOne).child(reload).child(echo.child_spec("echo")).run()
}
