//! Anything at any time: random clients come, change and go while faults strike and strangers do as they please.

use crate::stage::{BOTH, Stage};
use fleet::client::Client;
use panel::Removed;
use panel_sim::{Fault, Generation};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::{collections::BTreeMap, time::Duration};

const OPERATIONS: usize = 200;
/// So few that they meet often.
const KEYS: u32 = 40;

const FAULTS: [Fault; 8] = [
    Fault::AnswerLost,
    Fault::ErrorBefore,
    Fault::ErrorAfter,
    Fault::Locked,
    Fault::Truncated,
    Fault::BadGateway,
    Fault::Slow(Duration::from_millis(5)),
    Fault::LostUpdate(Duration::from_millis(2)),
];

/// What was asked for last, by key: a client, or that there be none.
type Wanted = BTreeMap<u32, Option<Client>>;

#[tokio::test]
async fn whatever_happens_the_panel_ends_up_with_what_was_asked_for_last() {
    let seed = std::env::var("MUSTER_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_124);
    println!("MUSTER_SEED={seed}");
    for generation in BOTH {
        live_through(generation, StdRng::seed_from_u64(seed)).await;
    }
}

#[expect(clippy::print_stdout, reason = "shown when it fails")]
async fn live_through(generation: Generation, mut chance: StdRng) {
    let stage = Stage::start(generation).await;
    let mut wanted = Wanted::new();
    let mut strangers: Vec<String> = Vec::new();
    for operation in 0..OPERATIONS {
        misfortune(&stage, &mut chance);
        let what = chance.random_range(0..100);
        println!("{generation:?} {operation}: {what}");
        match what {
            0..60 => ensure(&stage, &mut wanted, &mut chance).await,
            60..85 => remove(&stage, &mut wanted, &mut chance).await,
            85..95 => {
                let name = format!("stranger-{operation}");
                stage.stranger_comes(&name);
                strangers.push(name);
            }
            _ => {
                if let Some(name) = strangers.pop() {
                    stage.stranger_goes(&name);
                }
            }
        }
        if stage.sim.is_dark() || chance.random_bool(0.3) {
            stage.sim.heal();
        }
        stage.assert_strangers_are_as_before();
    }
    stage.sim.heal();
    let held: Vec<Client> = wanted.values().flatten().cloned().collect();
    let gone: Vec<Client> = wanted.iter().filter(|(_, c)| c.is_none()).map(|(key, _)| stage.client(*key)).collect();
    stage.insist_on_absence(&gone).await;
    stage.insist_on(&held).await;
    stage.rest(&held).await;
}

/// Perhaps something goes wrong soon.
fn misfortune(stage: &Stage, chance: &mut StdRng) {
    match chance.random_range(0..100) {
        // Until it is healed.
        0..5 => stage.sim.inject(Fault::Dead),
        5..40 => stage.sim.inject_next(*FAULTS.choose(chance).unwrap(), chance.random_range(1..5)),
        40..50 => stage.sim.end_sessions(),
        50..53 => stage.sim.restart(),
        _ => {}
    }
}

async fn ensure(stage: &Stage, wanted: &mut Wanted, chance: &mut StdRng) {
    let mut clients = BTreeMap::new();
    // Few are asked for by name, many are read as a list.
    let many = if chance.random_bool(0.2) { 20 } else { 4 };
    for _ in 0..chance.random_range(1..=many) {
        let key = chance.random_range(1..KEYS);
        let client = Client {
            enabled: chance.random_bool(0.8),
            traffic_limit: chance.random_range(0..3) * 1_000_000_000,
            expires_at_ms: chance.random_range(0..3) * 2_000_000_000_000,
            ..stage.client(key)
        };
        clients.insert(key, client);
    }
    let list: Vec<Client> = clients.values().cloned().collect();
    let outcomes = stage.try_ensure(&list).await;
    crate::stage::is_done(&outcomes);
    let held = stage.ours();
    for ((key, client), outcome) in clients.into_iter().zip(outcomes) {
        if outcome.is_ok() {
            let held = held.get(client.identity.name.as_str()).unwrap();
            let seen = (held.enabled, held.total, held.expires_at_ms);
            assert_eq!(seen, (client.enabled, client.traffic_limit, client.expires_at_ms), "{outcome:?}: {held:?}");
        }
        wanted.insert(key, Some(client));
    }
}

async fn remove(stage: &Stage, wanted: &mut Wanted, chance: &mut StdRng) {
    let share = if chance.random_bool(0.2) { 0.4 } else { 0.06 };
    let keys: Vec<u32> = (1..KEYS).filter(|_| chance.random_bool(share)).collect();
    let clients: Vec<Client> = keys.iter().map(|key| stage.client(*key)).collect();
    let outcomes = stage.try_remove(&clients).await;
    crate::stage::is_done(&outcomes);
    let held = stage.ours();
    for (key, outcome) in keys.into_iter().zip(outcomes) {
        let name = stage.client(key).identity.name;
        assert!(!matches!(outcome, Ok(Removed::NotOurs)), "{name} is ours");
        assert!(outcome.is_err() || !held.contains_key(name.as_str()), "{name} is still there: {outcome:?}");
        wanted.insert(key, None);
    }
}
