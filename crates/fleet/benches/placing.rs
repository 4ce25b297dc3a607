//! How long it takes to find a home for one key, and for all keys of a large fleet.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use fleet::{
    id::{InboundId, KeyId, NodeId},
    node::{Health, Node, Policy},
    place::{Home, Key, Location, Wants, choose, place},
};
use std::hint::black_box;

const PLACES: [&str; 10] = ["Oslo", "Köln", "Riga", "Wien", "Rome", "Paris", "Sofia", "Tokyo", "Lima", "Quito"];

/// A thousand nodes of many sizes and strengths, with room for about 130,000 keys.
fn nodes(current_users: i64) -> Vec<Node> {
    (1..=1000_i64)
        .map(|id| Node {
            id: NodeId(id),
            name: format!("node-{id}"),
            location: PLACES.get(usize::try_from(id % 10).unwrap_or_default()).map(|place| (*place).to_owned()),
            policy: Policy::Active,
            health: Health::Up,
            inbound: Some(InboundId(1)),
            max_users: 80 + id % 101,
            priority: 50 + id % 151,
            weight: [0.5, 1.0, 1.5, 2.0][usize::try_from(id % 4).unwrap_or_default()],
            current_users,
        })
        .collect()
}

fn keys(count: i64, of: impl Fn(i64) -> (Option<Home>, Wants)) -> Vec<Key> {
    (1..=count)
        .map(|id| {
            let (home, wants) = of(id);
            Key { id: KeyId(id), home, wants }
        })
        .collect()
}

fn preferring(place: &str) -> Wants {
    Wants { location: Some(Location { name: place.to_owned(), required: false }), ..Wants::default() }
}

fn one_key(c: &mut Criterion) {
    let mut group = c.benchmark_group("choose among 1000 nodes");
    let (empty, full) = (nodes(10), nodes(1000));
    group.bench_function("any", |b| b.iter(|| choose(black_box(&empty), &Wants::default())));
    for place in ["oslo", "köln"] {
        let wants = preferring(place);
        group.bench_function(format!("preferring {place}"), |b| b.iter(|| choose(black_box(&empty), &wants)));
    }
    group.bench_function("none has room", |b| b.iter(|| choose(black_box(&full), &Wants::default())));
    group.finish();
}

fn all_keys(c: &mut Criterion) {
    let mut group = c.benchmark_group("place on 1000 nodes");
    group.sample_size(20);
    for count in [25_000_i64, 50_000, 100_000] {
        group.throughput(Throughput::Elements(count.unsigned_abs()));
        let mut bench = |what: &str, nodes: Vec<Node>, keys: Vec<Key>| {
            let id = BenchmarkId::new(what, count);
            group.bench_function(id, |b| b.iter(|| place(black_box(&nodes), black_box(&keys))));
        };
        bench("homeless", nodes(0), keys(count, |_| (None, Wants::default())));
        let place_of = |id: i64| PLACES[usize::try_from(id % 10).unwrap_or_default()];
        bench("homeless, with places", nodes(0), keys(count, |id| (None, preferring(place_of(id)))));
        let home = |id: i64| Some(Home { node: NodeId(id % 1000 + 1), confirmed: true });
        bench("settled", nodes(count / 1000), keys(count, |id| (home(id), Wants::default())));
        bench("without room", nodes(1000), keys(count, |_| (None, Wants::default())));
    }
    group.finish();
}

criterion_group!(benches, one_key, all_keys);
criterion_main!(benches);
