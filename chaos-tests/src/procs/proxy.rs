//! A way to a listener that can be shut, for machines where namespaces cannot be made: a relay of bytes
//! between partners and one node, in this process. While it is shut nothing passes and nothing is told.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::watch;

pub struct Proxy {
    address: String,
    shut: watch::Sender<bool>,
    held_up: Arc<AtomicU64>,
    /// Ends the relay when it is dropped.
    _runtime: Runtime,
}

const READ_BYTES: usize = 16 << 10;

impl Proxy {
    pub fn start(to: &str) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?.to_string();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (shut, gate) = watch::channel(false);
        let held_up = Arc::new(AtomicU64::new(0));
        let listener = {
            let _inside = runtime.enter();
            tokio::net::TcpListener::from_std(listener)?
        };
        let (to, held) = (to.to_owned(), Arc::clone(&held_up));
        runtime.spawn(async move {
            while let Ok((here, _)) = listener.accept().await {
                let (to, gate, held) = (to.clone(), gate.clone(), Arc::clone(&held));
                tokio::spawn(async move {
                    let Ok(there) = TcpStream::connect(&to).await else {
                        return;
                    };
                    let ((from_here, to_here), (from_there, to_there)) =
                        (here.into_split(), there.into_split());
                    // A connection that breaks on one side is let go on both.
                    tokio::select! {
                        _ = carry(from_here, to_there, gate.clone(), &held) => {}
                        _ = carry(from_there, to_here, gate, &held) => {}
                    }
                });
            }
        });
        Ok(Proxy {
            address,
            shut,
            held_up,
            _runtime: runtime,
        })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn shut(&self) {
        self.shut.send_replace(true);
    }

    /// How often something was held up meanwhile.
    pub fn open(&self) -> u64 {
        self.shut.send_replace(false);
        self.held_up.swap(0, Ordering::Relaxed)
    }
}

async fn carry(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut gate: watch::Receiver<bool>,
    held_up: &AtomicU64,
) -> io::Result<()> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if *gate.borrow() {
            held_up.fetch_add(1, Ordering::Relaxed);
        }
        if gate.wait_for(|shut| !shut).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..count]).await?;
    }
}
