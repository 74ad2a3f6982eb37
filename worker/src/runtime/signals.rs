//! TERM, INT and HUP end the process in order, or by force.
use std::{io, thread, time::Duration};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The token is cancelled by the first of the signals; `end` is called when the process still runs after `patience`.
///
/// On a thread and a runtime of its own: all threads of the process's runtime may hang on a disk, the log's too.
pub fn watch(patience: Duration, end: impl FnOnce() + Send + 'static) -> io::Result<CancellationToken> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut signals: Vec<Signal> = {
        let _inside = runtime.enter();
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        kinds.into_iter().map(signal).collect::<Result<_, _>>()?
    };
    let stop = CancellationToken::new();
    let told = stop.clone();
    let waiting = move || {
        runtime.block_on(async {
            let received = signals.iter_mut().map(|s| Box::pin(s.recv()));
            futures::future::select_all(received).await;
        });
        told.cancel();
        thread::sleep(patience);
        end();
    };
    thread::Builder::new().name("signals".into()).spawn(waiting)?;
    Ok(stop)
}
