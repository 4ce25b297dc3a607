//! Faults that strike in the middle of things: the panel takes a while, and meanwhile something happens.

use crate::{
    access::DEADLINES,
    by_hand::{ByHand, stranger},
    stage::{Stage, everywhere_at_once},
};
use fleet::client::Client;
use panel::{Ensured, PanelError, Removed};
use panel_sim::{Fault, Generation, Pace};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// How long every call takes here, so that there is a middle to strike in.
const CALL: Duration = Duration::from_millis(200);

fn take_a_while(stage: &Stage) {
    stage.sim.set_pace(Pace { call: CALL, ..Pace::default() });
}

/// Ensures or removes one client: the first call reads, the second writes, the third reads back. Meanwhile, after so
/// many tenths of a call, `strike` happens.
async fn meanwhile<T>(call: impl Future<Output = T>, tenths: u32, strike: impl FnOnce()) -> T {
    let strike = async {
        sleep(CALL * tenths / 10).await;
        strike();
    };
    futures::join!(call, strike).0
}

#[tokio::test]
async fn an_answer_to_a_write_that_cannot_be_read_is_settled_by_reading_back() {
    let with = |fault| {
        everywhere_at_once(async move |stage| {
            let client = [stage.client(1)];
            take_a_while(&stage);
            let strike = || stage.sim.inject_next(fault, 1);
            assert_eq!(meanwhile(stage.ensure(&client), 5, strike).await, [Ensured::Added], "{fault:?}");
            let strike = || stage.sim.inject_next(fault, 1);
            assert_eq!(meanwhile(stage.remove(&client), 5, strike).await, [Removed::Removed], "{fault:?}");
            stage.sim.set_pace(Pace::default());
            stage.rest(&[]).await;
        })
    };
    futures::join!(with(Fault::Truncated), with(Fault::BadGateway));
}

#[tokio::test]
async fn a_panel_that_dies_in_the_middle_of_a_write_leaves_a_doubt_that_a_repetition_settles() {
    everywhere_at_once(async |stage| {
        let client = [stage.client(1)];
        take_a_while(&stage);
        let outcomes = meanwhile(stage.try_ensure(&client), 15, || stage.sim.inject(Fault::Dead)).await;
        for outcome in outcomes {
            assert!(outcome.as_ref().is_err_and(PanelError::is_unclear), "{outcome:?}");
        }
        sleep(CALL).await;
        stage.assert_holds(&client);
        stage.sim.heal();
        stage.sim.set_pace(Pace::default());
        stage.insist_on(&client).await;
        take_a_while(&stage);
        let outcomes = meanwhile(stage.try_remove(&client), 15, || stage.sim.inject(Fault::Dead)).await;
        assert!(outcomes[0].as_ref().is_err_and(PanelError::is_unclear), "{outcomes:?}");
        stage.sim.heal();
        stage.sim.set_pace(Pace::default());
        stage.insist_on_absence(&client).await;
        stage.rest(&[]).await;
    })
    .await;
}

#[tokio::test]
async fn sessions_that_end_in_the_middle_of_a_write_cost_a_login_and_nothing_else() {
    everywhere_at_once(async |stage| {
        let client = [stage.client(1)];
        stage.panel.status().await.unwrap();
        take_a_while(&stage);
        assert_eq!(meanwhile(stage.ensure(&client), 5, || stage.sim.end_sessions()).await, [Ensured::Added]);
        let removed = meanwhile(stage.remove(&client), 5, || stage.sim.end_sessions()).await;
        assert_eq!(removed, [Removed::Removed]);
        stage.sim.set_pace(Pace::default());
        stage.rest(&[]).await;
    })
    .await;
}

/// Every write takes longer than we wait, until a second from now; what has begun then still takes that long.
async fn overdue<T>(stage: &Stage, call: impl Future<Output = T>) -> T {
    let held = u32::try_from(stage.sim.clients(stage.inbound.id.0).len()).unwrap();
    let too_long = DEADLINES.write + Duration::from_millis(300);
    stage.sim.set_pace(Pace { held: too_long / held, ..Pace::default() });
    let relief = async {
        sleep(Duration::from_secs(1)).await;
        stage.sim.set_pace(Pace::default());
    };
    futures::join!(call, relief).0
}

#[tokio::test]
async fn what_takes_effect_after_we_gave_up_on_it_is_not_done_twice() {
    let added = everywhere_at_once(async |stage| {
        let client = [stage.client(1)];
        assert_eq!(overdue(&stage, stage.ensure(&client)).await, [Ensured::Added]);
        stage.rest(&client).await;
    });
    let changed = everywhere_at_once(async |stage| {
        let client = stage.client(1);
        stage.ensure(std::slice::from_ref(&client)).await;
        let changed = [Client { traffic_limit: 5, enabled: false, ..client }];
        assert_eq!(overdue(&stage, stage.ensure(&changed)).await, [Ensured::Updated]);
        stage.rest(&changed).await;
    });
    let removed = everywhere_at_once(async |stage| {
        let clients = stage.clients(1..3);
        stage.ensure(&clients).await;
        assert_eq!(overdue(&stage, stage.remove(&clients[..1])).await, [Removed::Removed]);
        stage.rest(&clients[1..]).await;
    });
    futures::join!(added, changed, removed);
}

#[tokio::test]
async fn a_reading_that_takes_too_long_is_no_empty_one() {
    everywhere_at_once(async |stage| {
        let clients = stage.clients(1..3);
        stage.ensure(&clients).await;
        stage.sim.inject_next(Fault::Slow(DEADLINES.read + CALL), 2);
        let reading = stage.panel.observe(stage.inbound.id);
        let (observation, outcomes) = futures::join!(reading, stage.try_remove(&clients[..1]));
        assert!(observation.unwrap_err().is_unreachable());
        assert!(outcomes[0].as_ref().is_err_and(PanelError::is_unreachable), "{outcomes:?}");
        stage.rest(&clients).await;
    })
    .await;
}

/// A program that does not read back writes to a 2.x panel: what it writes back is the array as it was before our
/// write, and lands between that and our reading back.
async fn overrun(stage: &Stage, by: &ByHand, name: &str) {
    stage.sim.inject_next(Fault::LostUpdate(CALL * 7 / 4), 1);
    let settings = json!({"clients": [stranger(name)]}).to_string();
    by.post("panel/api/inbounds/addClient", &json!({"id": stage.inbound.id.0, "settings": settings})).await;
}

#[tokio::test]
async fn what_a_strangers_write_undoes_is_done_again() {
    let stage = Stage::start(Generation::Two).await;
    let by = ByHand::log_in(&stage.sim).await;
    let clients = stage.clients(1..4);
    stage.ensure(&clients[..1]).await;
    take_a_while(&stage);
    let late = Duration::from_millis(50);
    let ensure = async {
        sleep(late).await;
        stage.ensure(&clients[1..]).await
    };
    let writes = stage.sim.writes();
    let ((), outcomes) = futures::join!(overrun(&stage, &by, "carol"), ensure);
    assert_eq!(outcomes, [Ensured::Added; 2]);
    assert_eq!(stage.sim.writes() - writes, 3, "ours was undone and repeated");
    let remove = async {
        sleep(late).await;
        stage.remove(&clients[..1]).await
    };
    let writes = stage.sim.writes();
    let ((), outcomes) = futures::join!(overrun(&stage, &by, "dave"), remove);
    assert_eq!(outcomes, [Removed::Removed]);
    assert_eq!(stage.sim.writes() - writes, 3, "ours was undone and repeated");
    stage.sim.set_pace(Pace::default());
    for name in ["carol", "dave"] {
        assert!(stage.ours().contains_key(name));
        stage.sim.remove_client(stage.inbound.id.0, name);
    }
    stage.rest(&clients[1..]).await;
}
