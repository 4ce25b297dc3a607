//! How long the users of a node that dies are without service. `cargo bench -p muster --bench failover`.
//!
//! Default settings; panels at the speed of real ones. Counted from the moment at which the node's machine is gone to
//! the last of its users' clients being on another panel.

#![expect(clippy::print_stdout, reason = "the figures are the point")]
#![expect(
    dead_code,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures"
)]

#[path = "../parts/load.rs"]
mod load;
#[path = "../parts/program.rs"]
mod program;

use panel_sim::{Fault, Generation, Pace, Sim};
use program::{Program, join, panel, real_pace};
use std::time::{Duration, Instant};
use tokio::time::sleep;

async fn failover(users: u64, how: Fault) {
    let folder = tempfile::tempdir().expect("a folder");
    let victim = panel(Generation::Two).await;
    join(folder.path(), "victim", &victim).await;
    let program = Program::start(folder.path());
    sleep(Duration::from_secs(1)).await;
    let made = load::run(program.address, 500, users, users).await;
    assert_eq!((made.failures, victim.count(1)), (0, users as usize));
    let mut others = Vec::new();
    for (name, generation) in [("second", Generation::Two), ("third", Generation::Three), ("fourth", Generation::Three)]
    {
        let sim = panel(generation).await;
        join(folder.path(), name, &sim).await;
        sim.set_pace(real_pace(generation));
        others.push(sim);
    }
    // So that every node was checked and nothing else is going on.
    sleep(Duration::from_secs(8)).await;
    let began = Instant::now();
    victim.inject(how);
    let mut first = None;
    let served = |others: &[Sim]| others.iter().map(|sim| sim.count(1)).sum::<usize>();
    while served(&others) < users as usize {
        if served(&others) > 0 {
            first.get_or_insert_with(|| began.elapsed());
        }
        assert!(began.elapsed() < Duration::from_mins(2), "{} of {users}", served(&others));
        sleep(Duration::from_millis(5)).await;
    }
    let last = began.elapsed();
    println!(
        "failover of {users} users, {how:?}: first on another panel after {:.1} s, last after {:.1} s",
        first.unwrap_or(last).as_secs_f64(),
        last.as_secs_f64()
    );
    for sim in &others {
        sim.set_pace(Pace::default());
    }
}

#[tokio::main]
async fn main() {
    for users in [1_000, 10_000] {
        for how in [Fault::Dead, Fault::Cut] {
            failover(users, how).await;
        }
    }
}
