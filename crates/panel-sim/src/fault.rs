//! What goes wrong between a caller and the panel, or inside it, switched on and off while it runs.

use std::time::Duration;

/// One way to fail. Faults on answers concern calls below `panel/api` and the login; those on writes concern calls
/// that change clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nobody listens: connections are refused, those under way are cut.
    Dead,
    /// Connections are accepted and nothing is ever said.
    BlackHole,
    /// The link is down: packets are swallowed, not even a connection comes about.
    Cut,
    /// The panel refuses connections; its xray serves on.
    PanelDead,
    /// The public ports refuse connections (a firewall, a block); the panel answers and says that all is well.
    PortClosed,
    /// Every answer comes this much later.
    Slow(Duration),
    /// The next writes are applied, and the connection is closed without an answer.
    AnswerLost,
    /// Writes answer 500 and change nothing.
    ErrorBefore,
    /// Writes are applied and answer 500.
    ErrorAfter,
    /// Writes answer "database is locked" (on 2.x with what that leaves behind).
    Locked,
    /// Answers of `panel/api` end in the middle of their JSON.
    Truncated,
    /// 2.x only: a write works on the client array as it was this long ago, as two at the same time do. On 3.x, whose
    /// writes take turns, nothing happens.
    LostUpdate(Duration),
    /// A listing of clients or inbounds is empty and a success.
    EmptyLists,
    /// A proxy in front of the panel answers 502 for it.
    BadGateway,
}

/// How long a panel takes for what it does. Zero by default: a panel made of memory answers at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// For every call.
    pub call: Duration,
    /// For every client in a write.
    pub client: Duration,
    /// In every write, for every client that the inbound holds already.
    pub held: Duration,
}

/// Which of the faults that were switched on strikes this call, and for how many more.
#[derive(Debug, Clone, Default)]
pub(crate) struct Faults {
    on: Vec<(Fault, Option<u32>)>,
}

impl Faults {
    /// Switches a fault on, for the next `times` calls that it concerns, or until it is switched off.
    pub(crate) fn inject(&mut self, fault: Fault, times: Option<u32>) {
        self.on.push((fault, times));
    }

    pub(crate) fn clear(&mut self) {
        self.on.clear();
    }

    /// The first fault that concerns such a call, used up by one.
    pub(crate) fn strike(&mut self, concerns: impl Fn(Fault) -> bool) -> Option<Fault> {
        let at = self.on.iter().position(|(fault, _)| concerns(*fault))?;
        let (fault, left) = &mut self.on[at];
        let fault = *fault;
        if let Some(left) = left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.on.remove(at);
            }
        }
        Some(fault)
    }
}
