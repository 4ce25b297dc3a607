//! By what the panel lets us in, and what we say when it does not.

use crate::{
    access::{DEADLINES, TestClock, access, access_by_login, login},
    stage::{BOTH, Stage, everywhere},
};
use panel::{Access, Credential, Generation as Found, Login, Panel, PanelError, Step};
use panel_sim::{Generation, Setup, Sim};
use std::time::Duration;

async fn sim(generation: Generation, setup: Setup) -> Sim {
    Sim::start(generation, setup).await.unwrap()
}

fn client(access: Access) -> Panel {
    Panel::new(access, TestClock::default().clock()).unwrap()
}

/// The code of the second factor holds for half a minute: not to begin in its last moment.
async fn early_in_a_half_minute(clock: &TestClock) {
    let now = clock.now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() % 30_000;
    if now > 28_000 {
        tokio::time::sleep(Duration::from_millis(30_001 - u64::try_from(now).unwrap())).await;
    }
}

#[tokio::test]
async fn what_a_panel_is_is_found_by_asking_whatever_lets_us_in() {
    for generation in BOTH {
        let sim = sim(generation, Setup::default()).await;
        for access in [access(&sim), access_by_login(&sim)] {
            let version = client(access).status().await.unwrap().version;
            match generation {
                Generation::Two => assert_eq!((version.generation, version.panel), (Found::V2, None)),
                Generation::Three => {
                    assert_eq!((version.generation, version.panel.as_deref()), (Found::V3, Some("3.6.0")));
                }
            }
        }
    }
}

#[tokio::test]
async fn a_token_comes_first_and_a_wrong_login_beside_it_does_not_matter() {
    let sim = sim(Generation::Three, Setup::default()).await;
    let wrong = Login { password: "wrong".into(), ..login(sim.setup()) };
    let panel = client(Access { login: Some(wrong), ..access(&sim) });
    for _ in 0..10 {
        panel.status().await.unwrap();
    }
    assert!(matches!(panel.examine().await.authorised, Step::Good { found: Credential::Token, .. }));
    sim.revoke_tokens();
    let error = panel.status().await.unwrap_err();
    assert!(error.is_unauthorised() && error.to_string().contains("neither is the API token"), "{error}");
}

#[tokio::test]
async fn a_wrong_token_falls_back_to_the_login_also_in_the_middle_of_writing() {
    let stage = Stage::start(Generation::Three).await;
    let both = Access { login: Some(login(stage.sim.setup())), ..access(&stage.sim) };
    let stage = stage.let_in_by(both);
    stage.ensure(&stage.clients(1..4)).await;
    stage.sim.revoke_tokens();
    stage.ensure(&stage.clients(1..8)).await;
    assert!(matches!(stage.panel.examine().await.authorised, Step::Good { found: Credential::Login, .. }));
    stage.rest(&stage.clients(1..8)).await;
}

#[tokio::test]
async fn a_revoked_token_without_a_login_is_our_mistake_and_changes_nothing() {
    let stage = Stage::start(Generation::Three).await;
    let clients = stage.clients(1..4);
    stage.ensure(&clients).await;
    stage.sim.revoke_tokens();
    for outcome in stage.try_ensure(&stage.clients(1..8)).await {
        assert!(outcome.unwrap_err().is_unauthorised());
    }
    assert!(stage.try_remove(&clients).await.iter().all(Result::is_err));
    let error = stage.panel.observe(stage.inbound.id).await.unwrap_err();
    assert!(error.is_unauthorised() && error.is_misconfigured() && error.to_string().contains("token"), "{error}");
    stage.assert_holds(&clients);
}

#[tokio::test]
async fn a_token_on_a_panel_that_knows_none_does_not_keep_the_login_out() {
    let stage = Stage::start(Generation::Two).await;
    let both = Access { token: Some("t0ken".into()), ..access(&stage.sim) };
    let stage = stage.let_in_by(both);
    stage.ensure(&stage.clients(1..4)).await;
    assert_eq!(stage.panel.status().await.unwrap().version.generation, Found::V2);
    let alone = client(Access { token: Some("t0ken".into()), login: None, ..access(&stage.sim) });
    let error = alone.status().await.unwrap_err();
    assert!(error.is_misconfigured() && error.to_string().contains("2.x panel has no tokens"), "{error}");
    stage.rest(&stage.clients(1..4)).await;
}

#[tokio::test]
async fn a_second_factor_is_given_when_its_secret_is_known() {
    for generation in BOTH {
        let setup = Setup { totp_secret: Some("JBSWY3DPEHPK3PXP".into()), ..Setup::default() };
        let sim = sim(generation, setup).await;
        let clock = TestClock::default();
        let panel = Panel::new(access_by_login(&sim), clock.clock()).unwrap();
        early_in_a_half_minute(&clock).await;
        panel.status().await.unwrap();
        for secret in [None, Some("GEZDGNBVGY3TQOJQ".into())] {
            let login = Login { totp_secret: secret, ..login(sim.setup()) };
            let error = client(Access { login: Some(login), ..access_by_login(&sim) }).status().await.unwrap_err();
            assert!(error.is_unauthorised() && error.to_string().contains("second factor"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_base_path_is_kept_and_a_wrong_one_is_told_from_a_dead_node() {
    for generation in BOTH {
        let sim = sim(generation, Setup { base_path: "/s3cret/".into(), ..Setup::default() }).await;
        for good in [sim.url(), sim.url().trim_end_matches('/').to_owned()] {
            let panel = client(Access { url: good.parse().unwrap(), ..access(&sim) });
            panel.status().await.unwrap();
            assert_eq!(panel.inbounds().await.unwrap(), []);
        }
        for path in ["/", "/other/", "/s3cret/s3cret/"] {
            let url = format!("http://{}{path}", sim.address()).parse::<url::Url>().unwrap();
            for right in [access(&sim), access_by_login(&sim)] {
                let error = client(Access { url: url.clone(), ..right }).status().await.unwrap_err();
                assert!(matches!(error, PanelError::Unsuitable { .. }) && !error.is_unreachable(), "{path}: {error:?}");
                assert!(error.is_misconfigured() && error.to_string().contains("base path"), "{path}: {error}");
                assert!(!error.to_string().contains("s3cret"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn after_two_refused_logins_not_even_the_right_password_is_tried_for_a_quarter_of_an_hour() {
    for generation in BOTH {
        let sim = sim(generation, Setup { password: "before".into(), ..Setup::default() }).await;
        let changed = self::sim(generation, Setup { password: "after".into(), ..Setup::default() }).await;
        let login = login(changed.setup());
        let clock = TestClock::default();
        let access = Access { token: None, login: Some(login), deadlines: DEADLINES, ..access(&sim) };
        let panel = Panel::new(access, clock.clock()).unwrap();
        for _ in 0..2 {
            assert!(panel.status().await.unwrap_err().is_unauthorised());
        }
        sim.restore(&changed.backup());
        clock.advance(Duration::from_mins(14));
        let error = panel.status().await.unwrap_err();
        assert!(error.is_unauthorised() && error.to_string().contains("not trying again before"), "{error}");
        clock.advance(Duration::from_mins(1));
        panel.status().await.unwrap();
    }
}

#[tokio::test]
async fn however_often_we_are_asked_the_operator_is_not_locked_out() {
    let sim = sim(Generation::Three, Setup::default()).await;
    let wrong = Login { password: "wrong".into(), ..login(sim.setup()) };
    let panel = client(Access { login: Some(wrong), ..access_by_login(&sim) });
    for _ in 0..10 {
        assert!(panel.inbounds().await.unwrap_err().is_unauthorised());
    }
    client(access_by_login(&sim)).inbounds().await.unwrap();
}

#[tokio::test]
async fn sessions_that_end_are_renewed_by_whatever_call_notices() {
    everywhere(async |stage| {
        let by_login = access_by_login(&stage.sim);
        let stage = stage.let_in_by(by_login);
        let clients = stage.clients(1..4);
        stage.sim.end_sessions();
        stage.ensure(&clients).await;
        stage.sim.end_sessions();
        stage.panel.status().await.unwrap();
        stage.sim.end_sessions();
        assert_eq!(stage.panel.observe(stage.inbound.id).await.unwrap().clients.len(), 5);
        stage.sim.end_sessions();
        stage.remove(&clients[1..]).await;
        stage.sim.restart();
        stage.panel.inbounds().await.unwrap();
        stage.rest(&clients[..1]).await;
    })
    .await;
}
