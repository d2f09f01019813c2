//! Echo: every connection is an actor of its own. Try `nc 127.0.0.1 7007`; with `--tls`, try
//! `openssl s_client -quiet -connect 127.0.0.1:7007`.
use clap::Parser;
use impresario::prelude::*;

/// An echo: everybody gets back what they send.
#[derive(Parser)]
struct Args {
    /// Where to listen: HOST:PORT or unix:PATH.
    #[arg(long, default_value = "127.0.0.1:7007")]
    listen: String,
    /// A line equal to this makes the handler panic.
    #[arg(long, default_value = "")]
    panic_on: String,
    /// How many threads serve connections; with 0 the one that accepts does.
    #[arg(long, default_value_t = 0)]
    arbiters: usize,
    /// How many connections there may be.
    #[arg(long, default_value = "10000")]
    max_connections: std::num::NonZeroUsize,
    #[command(flatten)]
    encryption: impresario_examples::Encryption,
}

/// The word that kills it, and as much of the present line as matters.
struct Echo(String, Vec<u8>);

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        let Echo(word, line) = self;
        for byte in data.iter().filter(|_| !word.is_empty()) {
            assert!(*byte != b'\n' || line != word.as_bytes(), "a line was {word:?}");
            line.truncate(if *byte == b'\n' { 0 } else { word.len() });
            line.extend((*byte != b'\n').then_some(byte));
        }
        socket.send(data).await?;
        Ok(Next::Continue)
    }
}

fn main() -> ExitCode {
    let Args { listen, panic_on, arbiters, max_connections, encryption } = Args::parse();
    let echo = Listener::on(listen, encryption.transport().wrap(move || Echo(panic_on.clone(), Vec::new())))
        .arbiters(arbiters)
        .max_connections(max_connections.get());
    Supervisor::new(Strategy::OneForOne).child(echo.child_spec("echo")).run()
}
