//! The servers of Impresario, written as a user writes them.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use impresario::http as impresario_http;
use impresario::prelude::{
    App, Handler, Listener, Main, Next, Pool, Router, Socket, Strategy, Supervisor, io,
};
use impresario::server::{Tls, Transport};

use crate::error::Error;
use crate::payload::HELLO;
use crate::tls;

/// Number of workers in rows with processes.
const WORKERS: u32 = 2;

struct Echo;

impl Handler for Echo {
    async fn data(&mut self, data: Bytes, socket: &mut Socket) -> io::Result<Next> {
        socket.send(data).await?;
        Ok(Next::Continue)
    }
}

/// The response of the peer, so that only the framework differs.
#[derive(Clone)]
struct Hello;

impl<B> tower_service::Service<Request<B>> for Hello {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Full::new(Bytes::from_static(HELLO)))))
    }
}

/// An echo in one process.
pub(crate) fn echo(address: SocketAddr) -> ExitCode {
    let echo = Listener::tcp(address, || Echo);
    Supervisor::new(Strategy::OneForOne).child(echo.child_spec("echo")).run()
}

/// An echo with TLS in one process.
pub(crate) fn tls_echo(address: SocketAddr) -> Result<ExitCode, Error> {
    let transport = Transport::new().tls(&Tls::from_config(tls::server::config()?));
    let echo = Listener::tcp(address, transport.wrap(|| Echo));
    Ok(Supervisor::new(Strategy::OneForOne).child(echo.child_spec("echo")).run())
}

/// HTTP in one process.
pub(crate) fn http(address: SocketAddr) -> ExitCode {
    let hello = Listener::tcp(address, impresario_http::service(Hello));
    Supervisor::new(Strategy::OneForOne).child(hello.child_spec("hello")).run()
}

/// HTTP in worker processes, with or without a router.
pub(crate) fn workers(address: SocketAddr, router: bool) -> ExitCode {
    let hello = App::new("hello", || impresario_http::service(Hello)).pool(Pool::fixed(WORKERS));
    let main = Main::new();
    if router {
        main.app(hello).router(Router::listen(address).to("hello")).run()
    } else {
        main.app(hello.listen(address)).run()
    }
}
