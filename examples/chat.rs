//! Chat: each client gets the lines of all clients. Try `nc 127.0.0.1 7008` twice, and type `/crash` in one of them.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use impresario::actor::{GroupChange, Info, ServerActor};
use impresario::prelude::*;
use impresario::server::serve;
use tokio::sync::mpsc;

/// Registered name of the room, and name of the group of its members.
const ROOM: &str = "room";
/// Maximum length of a line, in bytes.
const MAX_LINE: usize = 4_096;
/// Maximum number of lines that wait for a member. A member with more is disconnected.
const MAX_UNREAD: usize = 256;

#[derive(Parser)]
struct Args {
    /// Listening address: HOST:PORT.
    #[arg(long, default_value = "127.0.0.1:7008")]
    listen: String,
}

/// Numbers the lines and sends them to all members.
#[derive(Default)]
struct Room {
    lines: u64,
    present: usize,
}

enum RoomCast {
    Line(String, String),
    Crash,
}

impl GenServer for Room {
    type Call = ReplyTo<usize>;
    type Cast = RoomCast;

    /// The members are in a group, not in the state of the room, so a restarted room gets them from the group.
    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        ctx.monitor_group(ROOM);
        Ok(())
    }

    fn handle_call(
        &mut self,
        reply: ReplyTo<usize>,
        _: &mut ServerContext<'_, Self>,
    ) -> Result<(), ExitReason> {
        reply.send(self.present);
        Ok(())
    }

    fn handle_cast(&mut self, cast: RoomCast, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let RoomCast::Line(sender, line) = cast else { panic!("/crash was received") };
        self.lines += 1;
        send_to_all(ctx.env(), &format!("{} {sender}: {line}\n", self.lines));
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
                "a user joined"
            }
            GroupChange::Left(_) => {
                self.present -= 1;
                "a user left"
            }
        };
        send_to_all(ctx.env(), &format!("* {news}, {} present\n", self.present));
        Ok(())
    }
}

fn send_to_all(env: &ChildContext, line: &str) {
    let line: Arc<str> = line.into();
    for member in env.registry().servers_of::<Member>(ROOM) {
        // An error means that the member is just leaving.
        let _ = member.cast(Arc::clone(&line));
    }
}

/// The member process of a connection: passes lines of the room to it.
struct Member {
    lines: mpsc::Sender<Arc<str>>,
}

impl GenServer for Member {
    type Call = Infallible;
    type Cast = Arc<str>;

    fn init(&mut self, ctx: &mut ServerContext<'_, Self>) -> Result<(), ExitReason> {
        let lines = self.lines.clone();
        ctx.spawn(async move { lines.closed().await }, |_, (), _| Err(ExitReason::Normal));
        ctx.env().registry().join(ROOM, &ctx.pid())?;
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
    /// Serves one connection: sends its lines to the room, and the lines of the room to it.
    async fn connection(self, mut socket: Socket) -> io::Result<()> {
        let (lines, mut received) = mpsc::channel(MAX_UNREAD);
        if self.members.start(lines).is_err() {
            return socket.send("* closed\n").await;
        }
        let (mut buffer, mut draining) = (Vec::new(), socket.draining());
        loop {
            tokio::select! {
                () = &mut draining => break,
                line = received.recv() => match line {
                    Some(line) => socket.send(&*line).await?,
                    None => break,
                },
                data = socket.recv() => match data? {
                    Some(data) => buffer.extend_from_slice(&data),
                    None => break,
                },
            }
            while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = buffer.drain(..=end).collect();
                self.handle_line(String::from_utf8_lossy(&line).trim_end(), &mut socket).await?;
            }
            if buffer.len() > MAX_LINE {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 4096 bytes"));
            }
        }
        socket.close().await;
        Ok(())
    }

    async fn handle_line(&self, line: &str, socket: &mut Socket) -> io::Result<()> {
        let sent = match line {
            "/crash" => self.room.cast(RoomCast::Crash),
            "/who" => {
                let answer = match self.room.call(|reply| reply).wait().await {
                    Ok(present) => format!("* {present} present\n"),
                    Err(error) => format!("* the room does not answer: {error}\n"),
                };
                return socket.send(answer).await;
            }
            _ => self.room.cast(RoomCast::Line(socket.peer_addr().to_string(), line.to_owned())),
        };
        match sent {
            Ok(()) => Ok(()),
            Err(error) => socket.send(format!("* the room did not get this line: {error}\n")).await,
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
