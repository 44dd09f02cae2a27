//! Openraft's settings, the same for every group.

use openraft::{ConfigError, SnapshotPolicy, StepDownPolicy};

use crate::bugs::{Bug, planted};
use crate::config::Config;

/// Entries of one append request at most; the log reader cuts by bytes long before.
const PAYLOAD_ENTRIES_MAX: u64 = 128;

pub(crate) fn of(config: &Config) -> Result<openraft::Config, ConfigError> {
    openraft::Config {
        cluster_name: "onsale".into(),
        heartbeat_interval: config.heartbeat_ms,
        election_timeout_min: config.election_min_ms,
        election_timeout_max: config.election_max_ms,
        // A node that cannot win must not raise the term under a healthy leader.
        enable_pre_vote: Some(true),
        // With the default a restarted leader resumes its term and may give a log id away twice:
        // acknowledged writes were lost in every simulated power cut.
        enable_leader_restore: Some(planted(Bug::LeaderRestored)),
        // A leader that lost its quorum falls silent in turns, so that those who hear only it can
        // elect another.
        quorum_loss_probe_interval: Some(config.election_max_ms * 2),
        // Snapshots are begun by bytes, not by entries: an entry is one command or a thousand.
        snapshot_policy: SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: config.keep_entries,
        max_payload_entries: PAYLOAD_ENTRIES_MAX,
        // A follower is sent a snapshot when the log it needs is gone, not when it lags.
        replication_lag_threshold: u64::MAX,
        install_snapshot_timeout: 120_000,
        api_batch_linger_ms: 0,
        api_channel_size: Some(4_096),
        notification_channel_size: Some(4_096),
        state_machine_channel_size: Some(64),
        removed_leader_step_down: StepDownPolicy::After(config.heartbeat_ms),
        ..openraft::Config::default()
    }
    .validate()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_is_valid_and_keeps_what_safety_needs() {
        for (heartbeat_ms, election_min_ms, election_max_ms) in
            [(250, 1_000, 1_500), (40, 150, 250)]
        {
            let config = Config {
                heartbeat_ms,
                election_min_ms,
                election_max_ms,
                ..Config::default()
            };
            let profile = of(&config).expect("openraft takes the profile");
            assert_eq!(profile.enable_leader_restore, Some(false));
            assert_eq!(profile.enable_pre_vote, Some(true));
            assert_eq!(profile.allow_log_reversion, None);
            assert_eq!(profile.snapshot_policy, SnapshotPolicy::Never);
        }
    }
}
