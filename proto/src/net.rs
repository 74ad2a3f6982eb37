//! How a process opens gRPC connections: through the machine's network, or, in a test, through a simulated one.
use tonic::transport::{Channel, Endpoint, Error};

/// Connects now.
pub async fn connect(endpoint: Endpoint) -> Result<Channel, Error> {
    #[cfg(feature = "simulation")]
    if let Some(dial) = simulation::installed() {
        return endpoint.connect_with_connector(dial).await;
    }
    endpoint.connect().await
}

/// Connects when first used, and again whenever the connection broke.
pub fn connect_lazy(endpoint: Endpoint) -> Channel {
    #[cfg(feature = "simulation")]
    if let Some(dial) = simulation::installed() {
        return endpoint.connect_with_connector_lazy(dial);
    }
    endpoint.connect_lazy()
}

/// The simulated network, once a test has installed one for the whole process.
#[cfg(feature = "simulation")]
pub mod simulation {
    use std::{
        future::Future,
        io,
        pin::Pin,
        sync::OnceLock,
        task::{Context, Poll},
    };

    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncRead, AsyncWrite};
    use tonic::codegen::{Service, http::Uri};

    /// A simulated connection.
    pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
    impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

    /// A connection being made.
    pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn Io>>> + Send>>;
    type Answering = Pin<Box<dyn Future<Output = io::Result<TokioIo<Box<dyn Io>>>> + Send>>;

    static DIAL: OnceLock<fn(String) -> Connecting> = OnceLock::new();

    /// From now on every connection of this process is made by `dial`, which gets `host:port`.
    pub fn install(dial: fn(String) -> Connecting) {
        // A process simulates one world: the first stays.
        let _ = DIAL.set(dial);
    }

    /// Whether this process is a simulation.
    pub fn active() -> bool {
        DIAL.get().is_some()
    }

    pub(super) fn installed() -> Option<Dial> {
        DIAL.get().copied().map(Dial)
    }

    #[derive(Clone, Copy)]
    pub(super) struct Dial(fn(String) -> Connecting);

    impl Service<Uri> for Dial {
        type Response = TokioIo<Box<dyn Io>>;
        type Error = io::Error;
        type Future = Answering;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, uri: Uri) -> Answering {
            let connecting = (self.0)(uri.authority().map(ToString::to_string).unwrap_or_default());
            Box::pin(async move { connecting.await.map(TokioIo::new) })
        }
    }
}
