//! How a test gets to a panel: its clock, its credentials, its patience.

use panel::{Access, Clock, Deadlines, Login, Tls};
use panel_sim::{Setup, Sim};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, SystemTime},
};

/// As short as a busy machine allows.
pub(crate) const DEADLINES: Deadlines =
    Deadlines { connect: Duration::from_millis(500), read: Duration::from_secs(2), write: Duration::from_secs(3) };

/// The machine's clock and what a test added to it.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<AtomicU64>);

impl TestClock {
    #[expect(clippy::disallowed_methods, reason = "a test's clock starts from the machine's")]
    pub(crate) fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_millis(self.0.load(SeqCst))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), SeqCst);
    }

    pub(crate) fn clock(&self) -> Clock {
        let clock = self.clone();
        Arc::new(move || clock.now())
    }
}

/// With a token where there are some, else with the login.
pub(crate) fn access(sim: &Sim) -> Access {
    let token = sim.create_token("muster");
    let login = token.is_none().then(|| login(sim.setup()));
    Access {
        url: sim.url().parse().unwrap(),
        token: token.map(Into::into),
        login,
        tls: Tls::Verify,
        allow_http: true,
        deadlines: DEADLINES,
    }
}

/// With the login alone.
pub(crate) fn access_by_login(sim: &Sim) -> Access {
    Access { token: None, login: Some(login(sim.setup())), ..access(sim) }
}

pub(crate) fn login(setup: &Setup) -> Login {
    Login {
        username: setup.username.clone(),
        password: setup.password.clone().into(),
        totp_secret: setup.totp_secret.clone().map(Into::into),
    }
}
