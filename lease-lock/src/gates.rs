//! The queue inside a process: for each lock only one task at a time waits at Redis, the others wait here in the
//! order they came.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// The gates at which somebody stands. tokio's mutex is first come, first served.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

/// The right to wait at Redis for one lock.
pub(crate) struct Pass<'a> {
    gates: &'a Gates,
    name: &'a str,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Gates {
    /// Whether somebody of this process already waits for this lock.
    pub(crate) fn is_queued(&self, name: &str) -> bool {
        self.gates().contains_key(name)
    }

    /// The pass if nobody stands at the gate.
    pub(crate) fn try_enter<'a>(&'a self, name: &'a str) -> Option<Pass<'a>> {
        let gate = self.gate(name);
        // Made first: dropped without a guard it still removes a gate that nobody stands at.
        let mut pass = Pass { gates: self, name, guard: None };
        pass.guard = Some(gate.try_lock_owned().ok()?);
        Some(pass)
    }

    /// The pass, after all who came earlier.
    pub(crate) async fn enter<'a>(&'a self, name: &'a str) -> Pass<'a> {
        let mut pass = Pass { gates: self, name, guard: None };
        pass.guard = Some(self.gate(name).lock_owned().await);
        pass
    }

    fn gate(&self, name: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut gates = self.gates();
        if let Some(gate) = gates.get(name) {
            return gate.clone();
        }
        gates.entry(name.to_owned()).or_default().clone()
    }

    fn gates(&self) -> MutexGuard<'_, HashMap<String, Arc<tokio::sync::Mutex<()>>>> {
        // Nothing here is left half done by a panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass<'_> {
    pub(crate) fn is_for(&self, name: &str) -> bool {
        self.name == name
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.guard = None;
        let mut gates = self.gates.gates();
        // Every task at the gate has a share of it, so one share left is the map's own.
        if gates.get(self.name).is_some_and(|gate| Arc::strong_count(gate) == 1) {
            gates.remove(self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Gates;

    #[tokio::test]
    async fn a_gate_lets_one_in_and_is_gone_when_nobody_stands_at_it() {
        let gates = Gates::default();
        let pass = gates.enter("a").await;
        assert!(pass.is_for("a") && gates.is_queued("a") && !gates.is_queued("b"));
        assert!(gates.try_enter("a").is_none());
        let second = tokio::time::timeout(std::time::Duration::from_millis(1), gates.enter("a"));
        assert!(second.await.is_err());
        assert!(
            gates.is_queued("a"),
            "a task that gave up must not take the gate of the one inside with it"
        );
        drop(pass);
        assert!(!gates.is_queued("a"));
        drop(gates.try_enter("a").unwrap());
        assert!(!gates.is_queued("a"));
    }
}
