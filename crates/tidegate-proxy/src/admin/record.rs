//! Sends a trace of one service to whoever asked for it, while it happens.
//!
//! The service's lock is held to copy the machine once and then to exchange a buffer of steps; all that costs time (turning
//! them into text, sending it) is done here. The file is written by the client with its own rights: the gate touches none.

use super::TIMEOUT;
use crate::service::Service;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tidegate_core::trace::{Begin, Step, Writer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, sleep_until, timeout};

/// Between two looks at what was noted.
const PAUSE: Duration = Duration::from_millis(50);

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/jsonl\r\nConnection: close\r\n\r\n";

/// A recording that has begun. Dropped, it is over.
pub(super) struct Recording {
    service: Arc<Service>,
    begin: Option<Begin>,
    over: bool,
    duration: Duration,
}

impl Recording {
    /// Begins one; `None` when somebody records this service already.
    pub(super) fn begin(service: Arc<Service>, duration: Duration) -> Option<Recording> {
        let begin = Some(service.record()?);
        Some(Recording { service, begin, over: false, duration })
    }

    /// Sends the trace until its time is over, or the client says that it has enough by closing its side.
    pub(super) async fn send(mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) {
        // Whatever fails: the client sees a trace without its last line, and says so.
        let _incomplete = self.lines(stream).await;
    }

    async fn lines(&mut self, stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
        let end = Instant::now() + self.duration;
        let begin = self.begin.take();
        // A machine with many clients takes a while to write down; health checks are answered meanwhile.
        let first = move || -> io::Result<(Writer, Vec<u8>)> {
            let (mut writer, mut out) = (Writer::default(), HEAD.to_vec());
            begin.iter().try_for_each(|begin| writer.begin(begin, &mut out))?;
            Ok((writer, out))
        };
        let (mut writer, mut out) = tokio::task::spawn_blocking(first).await??;
        let mut steps: Vec<Step> = Vec::new();
        let mut next = Instant::now();
        loop {
            let enough = tokio::select! {
                () = sleep_until(next.min(end)) => next >= end,
                () = closed(stream) => true,
            };
            let cut = self.service.recorded(&mut steps);
            steps.drain(..).try_for_each(|step| writer.step(step, &mut out))?;
            if enough || cut {
                writer.end(cut, &mut out)?;
                self.stop(); // before the client sees the end: it may ask for the next one at once
            }
            timeout(TIMEOUT, stream.write_all(&out)).await??;
            out.clear();
            if enough || cut {
                return timeout(TIMEOUT, stream.shutdown()).await?;
            }
            next = Instant::now() + PAUSE;
        }
    }

    fn stop(&mut self) {
        if !std::mem::replace(&mut self.over, true) {
            self.service.record_no_more();
        }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Waits until the client closes its side.
async fn closed(stream: &mut (impl AsyncRead + Unpin)) {
    let mut rest = [0; 64];
    while matches!(stream.read(&mut rest).await, Ok(n) if n > 0) {}
}
