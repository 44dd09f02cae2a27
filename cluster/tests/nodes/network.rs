//! Loopback TCP under logical addresses, with links that can be cut: connections across a cut
//! neither break nor carry a byte, and dialling across it hangs, as in a real partition.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use async_trait::async_trait;
use cluster::components::{Io, Net};
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_stream::wrappers::{TcpListenerStream, WatchStream};

/// The wires between all nodes of a test.
#[derive(Clone)]
pub struct Wires {
    ports: Arc<Mutex<BTreeMap<String, u16>>>,
    /// Addresses cut off from all others.
    cut: watch::Sender<BTreeSet<String>>,
}

impl Wires {
    pub fn new() -> Self {
        Wires {
            ports: Arc::default(),
            cut: watch::Sender::new(BTreeSet::new()),
        }
    }

    /// What the node at `address` dials and listens with.
    pub fn net(&self, address: &str) -> Arc<dyn Net> {
        Arc::new(Node {
            wires: self.clone(),
            address: address.into(),
        })
    }

    pub fn isolate(&self, address: &str) {
        self.cut.send_modify(|cut| {
            cut.insert(address.into());
        });
    }

    pub fn heal(&self) {
        self.cut.send_modify(BTreeSet::clear);
    }
}

struct Node {
    wires: Wires,
    address: String,
}

impl Node {
    fn ends(&self, to: &str) -> [String; 2] {
        [self.address.clone(), to.into()]
    }
}

#[async_trait]
impl Net for Node {
    async fn dial(&self, address: &str) -> io::Result<Box<dyn Io>> {
        let ends = self.ends(address);
        let mut cut = self.wires.cut.subscribe();
        let open = |cut: &BTreeSet<String>| ends.iter().all(|end| !cut.contains(end));
        cut.wait_for(open).await.map_err(io::Error::other)?;
        let port = self.wires.ports.lock().unwrap().get(address).copied();
        let port = port.ok_or(io::ErrorKind::ConnectionRefused)?;
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(Wire {
            stream,
            ends,
            changes: WatchStream::new(self.wires.cut.subscribe()),
            cut: self.wires.cut.subscribe(),
        }))
    }

    async fn listen(
        &self,
        address: &str,
    ) -> io::Result<BoxStream<'static, io::Result<Box<dyn Io>>>> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        self.wires
            .ports
            .lock()
            .unwrap()
            .insert(address.into(), port);
        let accepted = TcpListenerStream::new(listener).map(|accepted| {
            let stream = accepted?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        });
        Ok(accepted.boxed())
    }
}

/// The dialling end of a connection: stops both directions while it is cut.
struct Wire {
    stream: TcpStream,
    ends: [String; 2],
    changes: WatchStream<BTreeSet<String>>,
    cut: watch::Receiver<BTreeSet<String>>,
}

impl Wire {
    /// Ready when open; else wakes with the next change of the cuts.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let is_open = {
                let cut = self.cut.borrow();
                self.ends.iter().all(|end| !cut.contains(end))
            };
            // Polled even when open, so that the next cut wakes nobody but a heal does.
            match self.changes.poll_next_unpin(cx) {
                Poll::Ready(Some(_)) => continue,
                Poll::Ready(None) | Poll::Pending if is_open => return Poll::Ready(()),
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_open(cx));
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_open(cx));
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
