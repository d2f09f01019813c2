//! Echo: every connection is an actor of its own. Try `nc 127.0.0.1 7007`; with `--tls`, try
//! `openssl s_client -quiet -connect 127.0.0.1:7007`.
use clap::Parser;
use impresario::prelude::*;

/// An echo server: sends each client its own bytes back.
#[derive(Parser)]
struct Args {
    /// Listening address: HOST:PORT or unix:PATH.
    #[arg(long, default_value = "127.0.0.1:7007")]
    listen: String,
    /// A line equal to this text makes the handler panic.
    #[arg(long, default_value = "")]
    panic_on: String,
    /// Number of threads that serve connections; with 0, the accepting thread serves them.
    #[arg(long, default_value_t = 0)]
    arbiters: usize,
    /// Maximum number of open connections.
    #[arg(long, default_value = "10000")]
    max_connections: std::num::NonZeroUsize,
    #[command(flatten)]
    encryption: impresario_examples::Encryption,
}

/// The line on which it panics, and the start of the current line.
struct Echo(String, Vec<u8>);

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        let Echo(panic_on, line) = self;
        for byte in data.iter().filter(|_| !panic_on.is_empty()) {
            assert!(*byte != b'\n' || line != panic_on.as_bytes(), "a line was {panic_on:?}");
            line.truncate(if *byte == b'\n' { 0 } else { panic_on.len() });
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
