//! Log lines: how they look is fixed at start, how many there are can change at any time.

use srv_config::{LogFormat, LogLevel};
use std::io::{IsTerminal, stderr};
use std::sync::OnceLock;
use tracing_subscriber::{
    EnvFilter, Registry, fmt, layer::SubscriberExt, reload, util::SubscriberInitExt,
};

/// Libraries that tell every frame and every statement at debug follow only down to `info`.
const TALKATIVE: &str =
    "h2=info,hyper=info,hyper_util=info,rustls=info,sqlx=warn,tower=info,tonic=info,notify=info";

/// What kube's client says of a failure is said by whoever made the request, and once.
const REPEATED: &str = "kube_client=off,kube_runtime::watcher=off";

static LEVEL: OnceLock<LogLevelHandle> = OnceLock::new();

/// Changes how much the process logs, while it runs. Clones change the same process.
#[derive(Clone)]
pub struct LogLevelHandle(reload::Handle<EnvFilter, Registry>);

impl LogLevelHandle {
    /// From now on events of `level` and above are logged.
    pub fn set(&self, level: LogLevel) {
        // Fails only when the subscriber is gone, and then nobody logs.
        let _ = self.0.reload(filter(level));
    }
}

/// Starts logging to stderr. A process logs in one way: a second call changes the level and leaves the format.
pub fn start(format: LogFormat, level: LogLevel) -> LogLevelHandle {
    let handle = LEVEL.get_or_init(|| {
        let (filter, handle) = reload::Layer::new(filter(level));
        // A file or a collector shows colours as garbage.
        let lines = fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
        let registry = tracing_subscriber::registry().with(filter);
        // A program that has set its own subscriber keeps it.
        let _ = match format {
            LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
            LogFormat::Text => registry.with(lines.with_target(false)).try_init(),
        };
        LogLevelHandle(handle)
    });
    handle.set(level);
    handle.clone()
}

fn filter(level: LogLevel) -> EnvFilter {
    let name = level.as_str();
    EnvFilter::new(match level {
        LogLevel::Trace => name.to_owned(),
        LogLevel::Error | LogLevel::Warn => format!("{name},{REPEATED}"),
        LogLevel::Info | LogLevel::Debug => format!("{name},{TALKATIVE},{REPEATED}"),
    })
}
