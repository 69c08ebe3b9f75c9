//! How often an attempt is made again, and when to stop.

use crate::error::Error;
use crate::sell::redis_lock::LockError;
use crate::store::StoreError;
use srv_runtime::Deadline;
use std::sync::Arc;
use std::time::Duration;

/// How often one call may find another writer in its way. Every attempt waits for its turn in the database, so even
/// under a thousand rivals two or three are usual; more than this is a fault that waiting does not mend.
const CONFLICTS_MAX: u32 = 16;
/// How often one call tries to reach a database that is away. The first failure may be a connection that died idle.
const ABSENCES_MAX: u32 = 3;
/// The longest pause between two attempts: a few commits of a slow disk.
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// Why an attempt came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Setback {
    /// The database did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The database did not do the batch that it was part of.
    #[error(transparent)]
    Shared(#[from] Arc<StoreError>),
    /// The lease was not had.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The lane that had it fell over.
    #[error("the lane fell over")]
    LaneLost,
    /// Its deadline passed before its turn came. Nothing was done.
    #[error("the deadline passed before its turn came")]
    DeadlinePassed,
    /// There are too many before it. Nothing was done.
    #[error("too many calls are waiting already")]
    Overloaded {
        /// About how long the queue is.
        retry_after: Duration,
    },
}

/// What can be done about a setback.
enum Remedy {
    /// Another attempt: a rival was in the way.
    Rival,
    /// Another attempt: the database may be back.
    Absence,
    /// Another attempt, which finds out whether this one was done after all.
    LookUp,
    /// None that this call could wait for.
    None,
    /// None: a fault of ours.
    Fault,
}

impl Setback {
    /// The database's part in it.
    fn store(&self) -> Option<&StoreError> {
        match self {
            Self::Store(error) => Some(error),
            Self::Shared(error) => Some(error),
            Self::Lock(_) | Self::LaneLost | Self::DeadlinePassed | Self::Overloaded { .. } => None,
        }
    }

    /// Only a look can tell whether it was done.
    pub fn outcome_is_unknown(&self) -> bool {
        matches!(self.remedy(), Remedy::LookUp)
    }

    fn remedy(&self) -> Remedy {
        match (self, self.store()) {
            (_, Some(StoreError::OutcomeUnknown(_))) | (Self::LaneLost, _) => Remedy::LookUp,
            (_, Some(StoreError::Away(_))) => Remedy::Absence,
            (_, Some(StoreError::Conflict(_) | StoreError::Duplicate(_) | StoreError::Moved))
            | (Self::Lock(LockError::Lost), _) => Remedy::Rival,
            // It has waited for its turn already, for as long as that is worth.
            (_, Some(StoreError::Crowded(_))) => Remedy::None,
            (_, Some(StoreError::Broken(_) | StoreError::Corrupt(_))) => Remedy::Fault,
            (Self::Lock(_) | Self::DeadlinePassed | Self::Overloaded { .. }, _) => Remedy::None,
            (Self::Store(_) | Self::Shared(_), None) => Remedy::Fault,
        }
    }
}

/// One call's patience: it bears setbacks that another attempt may mend, a bounded number of them, until the call's
/// deadline.
#[derive(Debug)]
pub struct Patience {
    until: Deadline,
    conflicts: u32,
    absences: u32,
    outcome_unknown: bool,
}

impl Patience {
    /// Patience until this deadline.
    pub fn until(until: Deadline) -> Self {
        Self { until, conflicts: 0, absences: 0, outcome_unknown: false }
    }

    /// How often a rival was in the way.
    pub fn rivals(&self) -> u32 {
        self.conflicts
    }

    /// Returns after a pause if the attempt may be made again; otherwise says what the caller is told.
    ///
    /// An attempt whose COMMIT got no answer may be made again because no attempt does what is on record under its key:
    /// it looks the key up first, or meets it as it writes and then looks it up.
    pub async fn bear(&mut self, setback: impl Into<Setback>) -> Result<(), Error> {
        let setback = setback.into();
        let borne = match setback.remedy() {
            Remedy::Rival => self.conflict(),
            Remedy::Absence => self.absent(),
            Remedy::LookUp => {
                self.outcome_unknown = true;
                self.absent()
            }
            Remedy::None | Remedy::Fault => false,
        };
        let pause = self.pause();
        if !borne || self.until.remaining() <= pause {
            return Err(self.give_up(setback));
        }
        tracing::debug!(%setback, attempt = self.conflicts + self.absences, "trying again");
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn conflict(&mut self) -> bool {
        self.conflicts += 1;
        self.conflicts < CONFLICTS_MAX
    }

    fn absent(&mut self) -> bool {
        self.absences += 1;
        self.absences < ABSENCES_MAX
    }

    /// A random pause that doubles at most with each setback, so that rivals who met once do not meet again.
    fn pause(&self) -> Duration {
        let most =
            Duration::from_millis(1 << (self.conflicts + self.absences).min(6)).min(PAUSE_MAX);
        most.mul_f64(rand::random())
    }

    fn give_up(&self, setback: Setback) -> Error {
        match (setback.remedy(), setback) {
            (Remedy::Fault, setback) => Error::Broken(setback),
            (_, setback) if self.outcome_unknown => Error::OutcomeUnknown(setback),
            (_, Setback::Lock(error)) => Error::LockUnavailable(error),
            (_, Setback::DeadlinePassed) => Error::DeadlinePassed,
            (_, Setback::Overloaded { retry_after }) => Error::Overloaded { retry_after },
            (_, setback) => Error::StoreUnavailable(setback),
        }
    }
}
