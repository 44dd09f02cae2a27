//! What is injected into a simulated node: links of the simulation as its network, tasks instead of
//! threads, a wall clock that can be wrong, and an end of the process that the world carries out.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use cluster::components::{Halt, Io, Lanes, Net, WallClock};
use futures::future::BoxFuture;
use futures::stream::{BoxStream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use turmoil::net::{TcpListener, TcpStream};

use super::computer::Computer;
use super::trace::Trace;

/// Peers listen here; what crosses these connections is part of the trace, byte by byte.
pub const PEER_PORT: u16 = 7101;
/// Partners listen here. Their answers carry maps without a sequence and their bytes are not traced:
/// what the answers say is.
pub const PARTNER_PORT: u16 = 7201;

/// The simulated links, as one host sees them.
pub struct Links {
    pub trace: Trace,
    pub host: String,
    /// `None` for a host that never ends itself.
    pub computer: Option<Arc<Computer>>,
}

#[async_trait]
impl Net for Links {
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Io>> {
        let stream = TcpStream::connect(split(address)?).await;
        let outcome = if stream.is_ok() { "dialled" } else { "refused" };
        self.trace
            .event(&self.host, outcome, format_args!("{address}"));
        Ok(Box::new(self.watched(stream?, address)?))
    }

    async fn listen(
        &self,
        address: &str,
    ) -> io::Result<BoxStream<'static, io::Result<Box<dyn Io>>>> {
        let (_, port) = split(address)?;
        let listener = TcpListener::bind(("0.0.0.0", port)).await?;
        let links = Links {
            trace: self.trace.clone(),
            host: self.host.clone(),
            computer: self.computer.clone(),
        };
        let here = format!("here:{port}");
        let accepted = futures::stream::unfold(
            (listener, links, here),
            |(listener, links, here)| async move {
                let accepted = listener.accept().await;
                let stream = accepted.and_then(|(stream, from)| {
                    links
                        .trace
                        .event(&links.host, "accepted", format_args!("{from} at {here}"));
                    Ok(Box::new(links.watched(stream, &here)?) as Box<dyn Io>)
                });
                Some((stream, (listener, links, here)))
            },
        );
        Ok(accepted.boxed())
    }
}

impl Links {
    fn watched(&self, stream: TcpStream, address: &str) -> io::Result<Watched> {
        let (_, port) = split(address)?;
        Ok(Watched {
            stream,
            trace: self.trace.clone(),
            host: self.host.clone(),
            computer: self.computer.clone(),
            is_peers: port == PEER_PORT,
        })
    }
}

fn split(address: &str) -> io::Result<(&str, u16)> {
    let parts = address.rsplit_once(':');
    parts
        .and_then(|(host, port)| Some((host, port.parse().ok()?)))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not host:port"))
}

/// A connection whose writes are part of the trace.
struct Watched {
    stream: TcpStream,
    trace: Trace,
    host: String,
    computer: Option<Arc<Computer>>,
    is_peers: bool,
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self
            .computer
            .as_ref()
            .is_some_and(|computer| computer.is_mute())
        {
            return Poll::Pending;
        }
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let (Poll::Ready(Ok(length)), true) = (&written, self.is_peers) {
            self.trace.bytes(&self.host, &buf[..*length]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Writers that may block are tasks here: the simulated disk sleeps instead.
pub struct Tasks;

impl Lanes for Tasks {
    fn run(&self, _: &str, future: BoxFuture<'static, ()>) {
        tokio::spawn(future);
    }
}

/// The wall clock of a computer.
pub struct Wall(pub Arc<Computer>);

impl WallClock for Wall {
    fn now_ms(&self) -> u64 {
        self.0.wall_ms()
    }
}

/// Marks the process as ended; the world crashes the host before it runs again.
pub struct End {
    pub computer: Arc<Computer>,
    pub trace: Trace,
}

impl Halt for End {
    fn halt(&self, why: &str) {
        self.trace
            .event(&self.computer.name, "halt", format_args!("{why}"));
        self.computer.halt(why);
    }
}
