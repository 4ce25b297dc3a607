//! The loops that close the gap between what is written and what panels hold.
//!
//! A pass takes no input, may run twice, and leaves what it could not do to the next one. [`driver`] decides when
//! passes run; [`sync`] has one loop per node, the only writer to that node's panel; [`place`] gives homes to keys
//! whose node cannot take them after all; [`roster`] starts and stops the node loops as nodes come and go.

pub mod driver;
pub mod place;
pub mod roster;
pub mod sync;

use fleet::id::NodeId;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Wakes loops ahead of their time. A poke carries no message, and a lost one costs a period. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Pokes(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    roster: Arc<Notify>,
    place: Arc<Notify>,
    nodes: Mutex<BTreeMap<NodeId, Arc<Notify>>>,
}

impl Pokes {
    /// Something was written that some panel should hear of: the roster finds out which.
    pub fn poke_unsettled(&self) {
        self.0.roster.notify_one();
    }

    /// A node changed for the worse, or a key is without a home.
    pub fn poke_place(&self) {
        self.0.place.notify_one();
    }

    /// This node's panel has something to hear.
    pub fn poke_node(&self, node: NodeId) {
        self.of_node(node).notify_one();
    }

    pub(crate) fn of_node(&self, node: NodeId) -> Arc<Notify> {
        self.0.nodes.lock().unwrap_or_else(PoisonError::into_inner).entry(node).or_default().clone()
    }

    pub(crate) fn of_place(&self) -> Arc<Notify> {
        self.0.place.clone()
    }

    pub(crate) fn of_roster(&self) -> Arc<Notify> {
        self.0.roster.clone()
    }
}
