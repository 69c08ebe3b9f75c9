//! One reading of the rendered configuration: text, revision and shards that belong together.

use super::ConfigError;
use srv_config::{CONFIG_FILE, REVISION_FILE, Revision, SHARDS_FILE, SHARDS_MAX};

/// Where a reading comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The mounted directory; it lags by a minute or so.
    Directory,
    /// The API.
    Api,
}

/// One reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) text: String,
    pub(super) revision: Revision,
    /// Over how many ConfigMaps the pods spread their acknowledgements. It follows the replicas, not the revision.
    pub(super) shards: u32,
    pub(super) origin: Origin,
}

impl Snapshot {
    /// From the values of the three keys; `place` is told in errors.
    pub(super) fn from_entries(
        place: &str,
        origin: Origin,
        mut entry: impl FnMut(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let malformed = |key: &str, reason: String| ConfigError::Malformed {
            what: format!("{place}/{key}"),
            reason,
        };
        let mut required =
            |key: &str| entry(key).ok_or_else(|| malformed(key, "is missing".to_owned()));
        let text = required(CONFIG_FILE)?;
        let revision = required(REVISION_FILE)?
            .parse::<Revision>()
            .map_err(|error| malformed(REVISION_FILE, error.to_string()))?;
        let shards = match entry(SHARDS_FILE) {
            None => 1,
            Some(number) => number
                .trim()
                .parse()
                .ok()
                .filter(|shards| (1..=SHARDS_MAX).contains(shards))
                .ok_or_else(|| {
                    malformed(SHARDS_FILE, format!("is not a number from 1 to {SHARDS_MAX}"))
                })?,
        };
        Ok(Self { text, revision, shards, origin })
    }

    /// Takes `other` over if it is newer, and tells whether its text has to be decided on. Of one revision only the
    /// number of shards can still change, and about that the directory never corrects the API.
    pub(super) fn advance(&mut self, other: Self) -> Advance {
        if other.revision.number > self.revision.number {
            *self = other;
            return Advance::Revision;
        }
        let behind = other.revision.number < self.revision.number;
        let outranked = (self.origin, other.origin) == (Origin::Api, Origin::Directory);
        if behind || outranked {
            return Advance::Nothing;
        }
        self.origin = other.origin;
        if self.shards == other.shards {
            return Advance::Nothing;
        }
        self.shards = other.shards;
        Advance::Shards
    }
}

/// What a reading brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advance {
    Nothing,
    Shards,
    Revision,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(number: i64, shards: u32, origin: Origin) -> Snapshot {
        let revision = Revision { number, hash: "1a2b3c4d5e6f".into() };
        Snapshot { text: format!("revision {number}"), revision, shards, origin }
    }

    fn read(entries: &[(&str, &str)]) -> Result<Snapshot, String> {
        Snapshot::from_entries("place", Origin::Api, |key| {
            entries.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn an_older_revision_never_replaces_a_newer_one() {
        let mut newest = snapshot(7, 1, Origin::Api);
        assert_eq!(newest.advance(snapshot(6, 4, Origin::Api)), Advance::Nothing);
        assert_eq!(newest.advance(snapshot(6, 4, Origin::Directory)), Advance::Nothing);
        assert_eq!(newest, snapshot(7, 1, Origin::Api));
    }

    #[test]
    fn a_newer_revision_wins_wherever_it_comes_from() {
        let mut newest = snapshot(7, 1, Origin::Api);
        assert_eq!(newest.advance(snapshot(8, 1, Origin::Directory)), Advance::Revision);
        assert_eq!(newest.advance(snapshot(9, 1, Origin::Api)), Advance::Revision);
        assert_eq!(newest.revision.number, 9);
    }

    #[test]
    fn shards_follow_the_replicas_but_a_stale_directory_never_corrects_the_api() {
        let mut newest = snapshot(7, 1, Origin::Directory);
        assert_eq!(newest.advance(snapshot(7, 2, Origin::Api)), Advance::Shards);
        assert_eq!(newest.advance(snapshot(7, 1, Origin::Directory)), Advance::Nothing);
        assert_eq!(newest.shards, 2);
    }

    #[test]
    fn what_is_missing_or_malformed_is_named() {
        assert_eq!(
            read(&[("revision", "7-1a2b3c4d5e6f")]).unwrap_err(),
            "place/config.yaml: is missing"
        );
        assert_eq!(read(&[("config.yaml", "")]).unwrap_err(), "place/revision: is missing");
        assert!(
            read(&[("config.yaml", ""), ("revision", "x")])
                .unwrap_err()
                .starts_with("place/revision")
        );
        let shards =
            [("config.yaml", ""), ("revision", "7-1a2b3c4d5e6f"), ("acknowledgement-shards", "17")];
        assert_eq!(
            read(&shards).unwrap_err(),
            "place/acknowledgement-shards: is not a number from 1 to 16"
        );
    }
}
