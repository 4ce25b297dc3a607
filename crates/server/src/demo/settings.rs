//! The demo's settings: everything in the order of production, and sooner.

use crate::config::Config;
use fleet::health::rules::{Rules, Timing};
use std::time::Duration;

/// Settings under which a failover takes seconds, and the way back through probation not much longer.
///
/// Nothing is read from files or the environment: the demo is the same for everybody, and never touches a database
/// that belongs to somebody.
pub fn settings() -> Config {
    let mut config = Config::default();
    config.panels.connect_timeout = Duration::from_secs(1);
    config.panels.read_timeout = Duration::from_secs(3);
    config.panels.write_timeout = Duration::from_secs(20);
    config.panels.issue_wait = Duration::from_secs(20);
    config.sync.full_interval = Duration::from_secs(10);
    config.sync.retry_interval = Duration::from_millis(500);
    config.sync.poll = Duration::from_millis(100);
    config.health.timing = Timing {
        interval: Duration::from_secs(3),
        liveness: Duration::from_secs(1),
        recheck: Duration::from_millis(500),
        liveness_deadline: Duration::from_secs(1),
        connect_deadline: Duration::from_secs(1),
        check_deadline: Duration::from_secs(3),
    };
    config.health.rules =
        Rules { failures: 3, spread: Duration::from_secs(2), probation_checks: 3, probation: Duration::from_secs(8) };
    config.moves.grace = Duration::from_mins(3);
    // In several passes, so that one sees them go.
    config.moves.per_pass = 12;
    config.moves.per_target = 12;
    // What happens is shown; only what should not is logged as well.
    "error".clone_into(&mut config.log.level);
    config
}

#[cfg(test)]
mod tests {
    use super::settings;

    #[test]
    fn the_shortened_settings_make_sense() {
        let health = settings().health;
        health.timing.validate().unwrap();
        health.rules.validate().unwrap();
    }
}
