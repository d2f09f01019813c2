//! Echo: every connection is an actor of its own. Try `nc 127.0.0.1 7007`.
use std::net::SocketAddr;

use clap::Parser;
use impresario::prelude::*;

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7007")]
    listen: SocketAddr,
    /// A line equal to this makes the handler panic.
    #[arg(long)]
    panic_on: Option<String>,
}

struct Echo(Option<String>);

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        if let Some(word) = &self.0 {
            assert!(!data.split(|b| *b == b'\n').any(|line| line == word.as_bytes()), "a line was {word:?}");
        }
        socket.send(data).await?;
        Ok(Next::Continue)
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let echo = Listener::tcp(args.listen, move || Echo(args.panic_on.clone())).max_connections(10_000);
    Supervisor::new(Strategy::OneForOne).child(echo.child_spec("echo")).run()
}
