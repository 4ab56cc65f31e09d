//! Structured logs: JSON lines that CloudWatch Logs Insights can query.

use tracing::Level;
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// Starts logging at `level`: `TRACE` to `ERROR`, INFO if it is absent or unknown.
///
/// The level applies only to this crate. Other crates log warnings and errors at any level: at TRACE the
/// Lambda runtime prints the raw event with its presigned URL, and HTTP clients print headers.
pub fn start(level: Option<&str>) {
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(Level::INFO);
    let targets = Targets::new().with_default(Level::WARN).with_target("cognito_m2m", level);
    let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // Fails only if logging has been started before.
    let _ = tracing_subscriber::registry().with(targets).with(lines).try_init();
    std::panic::set_hook(Box::new(|info| {
        // The message is left out: it may quote anything.
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}
