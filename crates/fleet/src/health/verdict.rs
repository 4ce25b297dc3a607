//! What one reading says of its node.

use super::reading::{Depth, LayerResult, Port, Reading, Xray};

/// What one reading says. The reason names the layer: `tcp refused`, `port 443: no answer within 2 s`.
///
/// | panel | public ports | full | light |
/// |---|---|---|---|
/// | answers, xray running | open | good | alive |
/// | answers, xray running | closed | bad | bad |
/// | answers, xray stopped or failed | any | bad | |
/// | answers, xray not known yet | open | undecided | |
/// | answers, xray not known yet | closed | bad | |
/// | answers | not known | undecided | undecided |
/// | silent | open, or not known | degraded | degraded |
/// | silent | closed | bad | bad |
/// | not a panel, or does not let us in | any | misconfigured | |
///
/// Keys live behind each port in use, so one closed port is "closed". "Not known": no inbound is, or none was tried;
/// nobody is moved for that. A light look knows of the panel only whether it accepts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Users are served, and more may come. Only a full reading says so.
    Good,
    /// Users are not served.
    Bad {
        /// Layer and reason, for people.
        why: String,
    },
    /// The panel does not answer, but users are served, or nothing is known to the contrary.
    Degraded {
        /// Layer and reason, for people.
        why: String,
    },
    /// Our settings for the panel are wrong, whatever its ports do: a fault of ours, no outage.
    Misconfigured {
        /// Layer and reason, for people.
        why: String,
    },
    /// It proves neither.
    Undecided,
    /// All that a light reading tried accepts: proves life, not health.
    Alive,
}

/// What the way to the panel came to.
enum Panel {
    Unknown,
    Silent(String),
    Misconfigured(String),
    /// Accepts (light) or lets us in (full).
    Answers,
}

/// What the public ports came to, taken together.
enum Ports {
    Unknown,
    Open,
    Closed(String),
}

impl Reading {
    /// What this reading says by the table at [`Verdict`]. Depends on nothing but the layers.
    pub fn verdict(&self) -> Verdict {
        match (self.find_panel(), self.find_ports()) {
            (Panel::Misconfigured(why), _) => Verdict::Misconfigured { why },
            (Panel::Silent(panel), Ports::Closed(port)) => Verdict::Bad { why: format!("{panel}, {port}") },
            (Panel::Silent(why), Ports::Open | Ports::Unknown) => Verdict::Degraded { why },
            (Panel::Answers, ports) => self.answered(ports),
            (Panel::Unknown, Ports::Closed(why)) => Verdict::Bad { why },
            (Panel::Unknown, Ports::Open | Ports::Unknown) => Verdict::Undecided,
        }
    }

    /// Whether this is a light look that found the panel accepting. It cannot tell a panel that lets us in from one
    /// that does not, so it says nothing new of a misconfigured node, whatever its ports do.
    pub(super) fn knows_only_ports(&self) -> bool {
        self.depth == Depth::Light && matches!(self.find_panel(), Panel::Answers)
    }

    fn answered(&self, ports: Ports) -> Verdict {
        match (&self.panel.xray, ports, self.depth) {
            (Xray::Stopped { .. }, _, _) => Verdict::Bad { why: "xray stopped".to_owned() },
            (Xray::Error { why, .. }, _, _) if why.is_empty() => Verdict::Bad { why: "xray failed".to_owned() },
            (Xray::Error { why, .. }, _, _) => Verdict::Bad { why: format!("xray failed: {why}") },
            (_, Ports::Closed(why), _) => Verdict::Bad { why },
            (_, Ports::Open, Depth::Light) => Verdict::Alive,
            (Xray::Running { .. }, Ports::Open, Depth::Full) => Verdict::Good,
            (Xray::Running { .. } | Xray::NotYet { .. } | Xray::NotReached, _, _) => Verdict::Undecided,
        }
    }

    fn find_panel(&self) -> Panel {
        let panel = &self.panel;
        let way = [("name", Some(&panel.name)), ("tcp", Some(&panel.tcp)), ("tls", panel.tls.as_ref())];
        for (layer, result) in way.into_iter().chain([("http", Some(&panel.http))]) {
            if let Some(why) = result.and_then(LayerResult::find_fault) {
                return Panel::Silent(format!("{layer} {why}"));
            }
        }
        if let Some(why) = panel.path.find_fault() {
            return Panel::Misconfigured(format!("no panel at that path: {why}"));
        }
        if let Some(why) = panel.authorised.find_fault() {
            return Panel::Misconfigured(format!("unauthorised: {why}"));
        }
        let last = match self.depth {
            Depth::Light => &panel.tcp,
            Depth::Full => &panel.authorised,
        };
        if last.is_good() { Panel::Answers } else { Panel::Unknown }
    }

    fn find_ports(&self) -> Ports {
        let faults: Vec<String> = self.ports.iter().filter_map(Port::find_fault).collect();
        if !faults.is_empty() {
            return Ports::Closed(faults.join(", "));
        }
        let are_open = !self.ports.is_empty() && self.ports.iter().all(|port| port.tcp.is_good());
        if are_open { Ports::Open } else { Ports::Unknown }
    }
}
