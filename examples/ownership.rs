//! Ownership: a handler reads the first line of a connection and transfers the connection to the actor that the line
//! names. Try `nc 127.0.0.1 7008`, and type `echo` or `count`.

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, WrapFuture};
use clap::Parser;
use impresario::prelude::*;
use impresario::server::{Active, ActiveEvent, ActiveSocket, Connections};

#[derive(Parser)]
struct Args {
    /// Listening address: HOST:PORT.
    #[arg(long, default_value = "127.0.0.1:7008")]
    listen: String,
}

/// Maximum length of the first line, in bytes.
const MAX_LINE: usize = 80;

// ANCHOR: dispatcher
/// Owns a connection until its first line has named the new owner.
struct Dispatcher {
    echoes: Connections<fn() -> Echo>,
    counters: DynamicRef<Accepted>,
    line: Vec<u8>,
}

impl Handler for Dispatcher {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        self.line.extend_from_slice(&data);
        let Some(end) = self.line.iter().position(|byte| *byte == b'\n').filter(|end| *end < MAX_LINE) else {
            return Ok(if self.line.len() < MAX_LINE { Next::Continue } else { Next::Close });
        };
        // The new owner reads the bytes after the line.
        let rest = self.line.split_off(end + 1);
        socket.unread(rest);
        let accepted = socket.release()?;
        let transferred = match self.line.trim_ascii() {
            b"echo" => {
                accepted.transfer(|it| self.echoes.start(it).map_err(|error| error.into_accepted())).await
            }
            _ => accepted.transfer(|it| self.counters.start(it)).await,
        };
        if let Err(error) = transferred {
            let reason = error.to_string();
            // A failed transfer returns the connection, unless its claim failed.
            let accepted = error.into_accepted().ok_or(io::ErrorKind::NotConnected)?;
            *socket = accepted.claim()?;
            socket.send(format!("{reason}\n")).await?;
            return Ok(Next::Close);
        }
        Ok(Next::Continue)
    }
}
// ANCHOR_END: dispatcher

struct Echo;

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        socket.send(data).await?;
        Ok(Next::Continue)
    }
}

// ANCHOR: active
/// Any actor can own a connection. This one gets the bytes as messages, one at a time.
struct Counter {
    accepted: Option<Accepted>,
    socket: Option<ActiveSocket>,
    bytes: usize,
}

impl Actor for Counter {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let Some(Ok(socket)) = self.accepted.take().map(Accepted::claim) else { return ctx.stop() };
        // It still counts as a connection of the listener, so a drain of the listener asks it to close.
        ctx.spawn(socket.draining().into_actor(self).map(|(), _, ctx| ctx.stop()));
        self.socket = Some(socket.activate(Active::Once, ctx));
    }
}

impl actix::Handler<ActiveEvent> for Counter {
    type Result = ();

    fn handle(&mut self, event: ActiveEvent, ctx: &mut Context<Self>) {
        let (ActiveEvent::Data(data), Some(socket)) = (event, &self.socket) else {
            return ctx.stop();
        };
        self.bytes += data.len();
        match socket.try_send(format!("{} bytes\n", self.bytes)) {
            Ok(()) => socket.set_active(Active::Once),
            // The client does not read its answers.
            Err(_) => ctx.stop(),
        }
    }
}
// ANCHOR_END: active

fn main() -> ExitCode {
    let Args { listen } = Args::parse();
    let echoes = Connections::new((|| Echo) as fn() -> Echo);
    let counters = DynamicRef::new();
    let counters_spec = DynamicSupervisor::new(|_, accepted| {
        Ok(Counter { accepted: Some(accepted), socket: None, bytes: 0 })
    });
    let counters_spec = counters.child_spec("counters", counters_spec.shutdown(Shutdown::Kill));
    let echoes_spec = echoes.child_spec("echoes");
    let drain = echoes.drain_spec("drain", std::time::Duration::from_secs(10).into());
    let dispatcher = Listener::tcp(listen, move || Dispatcher {
        echoes: echoes.clone(),
        counters: counters.clone(),
        line: Vec::new(),
    });
    Supervisor::new(Strategy::OneForOne)
        .child(counters_spec)
        .child(echoes_spec)
        .child(dispatcher.child_spec("dispatcher"))
        .child(drain)
        .run()
}
