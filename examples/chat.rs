//! Chat: who connects hears all others. Try `nc 127.0.0.1 7008` twice, and type `/crash` in one of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use impresario::actor::{GroupChange, Info, ServerActor};
use impresario::prelude::*;
use impresario::server::serve;
use tokio::sync::mpsc;

/// The name of the room, and of the group of its members.
const ROOM: &str = "room";
/// The longest line.
const MAX_LINE: usize = 4_096;
/// Who has not read so many lines is thrown out.
const MAX_UNREAD: usize = 256;

#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:7008")]
    listen: String,
}

/// Numbers what is said, and passes it on to the members.
#[derive(Default)]
struct Room {
    said: u64,
    present: usize,
}

enum Say {
    Line(String, String),
    Crash,
}

impl GenServer for Room {
    type Call = ReplyTo<usize>;
    type Cast = Say;

    /// Who is in the group is not for the room to know: after a crash it asks again, and nobody has to come back.
    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        ctx.monitor_group(ROOM);
        Ok(())
    }

    fn handle_call(
        &mut self,
        who: ReplyTo<usize>,
        _: &mut ServerContext<'_, Self>,
    ) -> Result<(), ExitReason> {
        who.send(self.present);
        Ok(())
    }

    fn handle_cast(&mut self, say: Say, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let Say::Line(who, line) = say else { panic!("/crash was said") };
        self.said += 1;
        tell_all(ctx.env(), &format!("{} {who}: {line}\n", self.said));
        Ok(())
    }

    fn handle_info(&mut self, info: Info, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let Info::Group(event) = info else { return Ok(()) };
        let news = match event.change {
            GroupChange::Members(members) => {
                self.present = members.len();
                "the room is open"
            }
            GroupChange::Joined(_) => {
                self.present += 1;
                "somebody came"
            }
            GroupChange::Left(_) => {
                self.present -= 1;
                "somebody left"
            }
        };
        tell_all(ctx.env(), &format!("* {news}, {} here\n", self.present));
        Ok(())
    }
}

fn tell_all(env: &ChildContext, line: &str) {
    let line: Arc<str> = line.into();
    for member in env.system().servers_of::<Member>(ROOM) {
        // One that ends at this moment does not hear it.
        let _ = member.cast(Arc::clone(&line));
    }
}

/// A connection, as the room knows it.
struct Member {
    lines: mpsc::Sender<Arc<str>>,
}

impl GenServer for Member {
    type Call = Infallible;
    type Cast = Arc<str>;

    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let lines = self.lines.clone();
        ctx.spawn(async move { lines.closed().await }, |_, (), _| Err(ExitReason::Normal));
        ctx.env().system().join(ROOM, &ctx.pid())?;
        Ok(())
    }

    fn handle_cast(&mut self, line: Arc<str>, _: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        self.lines.try_send(line).map_err(|_| ExitReason::Normal)
    }
}

#[derive(Clone)]
struct Chat {
    room: ServerRef<Room>,
    members: DynamicRef<mpsc::Sender<Arc<str>>>,
}

impl Chat {
    /// One connection: what is typed goes to the room, what the room says comes back.
    async fn connection(self, mut socket: Socket) -> io::Result<()> {
        let (lines, mut heard) = mpsc::channel(MAX_UNREAD);
        if self.members.start(lines).is_err() {
            return socket.send("* closed\n").await;
        }
        let (mut typed, mut draining) = (Vec::new(), socket.draining());
        loop {
            tokio::select! {
                () = &mut draining => break,
                line = heard.recv() => match line {
                    Some(line) => socket.send(&*line).await?,
                    None => break,
                },
                data = socket.recv() => match data? {
                    Some(data) => typed.extend_from_slice(&data),
                    None => break,
                },
            }
            while let Some(end) = typed.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = typed.drain(..=end).collect();
                self.typed(String::from_utf8_lossy(&line).trim_end(), &mut socket).await?;
            }
            if typed.len() > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is too long"));
            }
        }
        socket.close().await;
        Ok(())
    }

    async fn typed(&self, line: &str, socket: &mut Socket) -> io::Result<()> {
        let said = match line {
            "/crash" => self.room.cast(Say::Crash),
            "/who" => {
                let answer = match self.room.call(|who| who).wait().await {
                    Ok(present) => format!("* {present} here\n"),
                    Err(error) => format!("* nobody knows: {error}\n"),
                };
                return socket.send(answer).await;
            }
            _ => self.room.cast(Say::Line(socket.peer_addr().to_string(), line.to_owned())),
        };
        match said {
            Ok(()) => Ok(()),
            Err(error) => socket.send(format!("* nobody heard that: {error}\n")).await,
        }
    }
}

fn main() -> ExitCode {
    let chat = Chat { room: ServerRef::new(), members: DynamicRef::new() };
    let connection = {
        let chat = chat.clone();
        serve(move |socket| chat.clone().connection(socket))
    };
    let member =
        DynamicSupervisor::new(|env: &ChildContext, lines| Ok(ServerActor::new(Member { lines }, env)));
    Supervisor::new(Strategy::OneForOne)
        .intensity(Intensity::new(10, Duration::from_secs(1)))
        .child(chat.room.child_spec("room", |_| Ok(Room::default())).registered(ROOM))
        .child(chat.members.child_spec("members", member))
        .child(Listener::tcp(Args::parse().listen, connection).child_spec("chat"))
        .run()
}
