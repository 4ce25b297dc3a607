//! Jobs and their lists.

use crate::scene::{Scene, now};
use chrono::TimeDelta;
use fleet::id::{JobId, KeyId, NodeId, UserId};
use store::jobs::{JobKind, JobState, MoveState, NewJob, NewMove};

fn new_move(key: i64, state: MoveState) -> NewMove {
    let from = Some(NodeId(1));
    NewMove { key: KeyId(key), user: UserId(key), from, to: Some(NodeId(2)), state, reason: None }
}

#[tokio::test]
async fn a_job_is_told_with_how_far_it_is() {
    for scene in Scene::all().await {
        let new = NewJob {
            kind: JobKind::Drain,
            node: Some(NodeId(7)),
            asked_by: "анна\0".repeat(300),
            deadline_at: Some(now() + TimeDelta::days(1)),
            note: Some("a new disk".to_owned()),
        };
        let tx = scene.store.write().await.unwrap();
        let id = tx.add_job(&new, now()).await.unwrap();
        let planned: Vec<_> = (1..=5).map(|key| new_move(key, MoveState::Planned)).collect();
        tx.add_moves(id, &planned, now()).await.unwrap();
        tx.add_moves(id, &[new_move(5, MoveState::Failed)], now()).await.unwrap();
        tx.set_moves(id, &[KeyId(1), KeyId(2)], MoveState::Waiting, Some("no room"), now()).await.unwrap();
        tx.set_moves(id, &[KeyId(3), KeyId(77)], MoveState::Done, None, now()).await.unwrap();
        tx.commit().await.unwrap();

        let read = scene.store.read();
        let job = read.job(id).await.unwrap().unwrap();
        assert_eq!((job.kind, job.node, job.state), (new.kind, new.node, JobState::Running));
        assert_eq!((job.deadline_at, job.note.as_deref()), (new.deadline_at, Some("a new disk")));
        assert_eq!((job.created_at, job.ended_at, job.asked_by.chars().count()), (now(), None, 255));
        let counts = [MoveState::Planned, MoveState::Waiting, MoveState::Done, MoveState::Failed];
        assert_eq!(counts.map(|state| job.moves.of(state)), [2, 2, 1, 0], "a key is on a list once");
        assert_eq!((job.moves.total(), job.moves.open()), (5, 4));
        let waiting = read.moves_in(id, &[MoveState::Waiting]).await.unwrap();
        assert_eq!(waiting.iter().map(|m| m.key.0).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(waiting[0].reason.as_deref(), Some("no room"));
        let page = read.moves_of(id, Some(KeyId(2)), 2).await.unwrap();
        assert_eq!(page.iter().map(|m| m.key.0).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(read.moves_of(id, None, u64::MAX).await.unwrap().len(), 5);
        assert!(read.job(JobId(id.0 + 1)).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_job_that_is_not_over_is_found_again() {
    for scene in Scene::all().await {
        let node = Some(NodeId(7));
        let drain = scene.job(JobKind::Drain, node, None).await;
        let rebalance = scene.job(JobKind::Rebalance, None, None).await;
        let find = async |kind, node| {
            scene.store.read().find_running_job(kind, node).await.unwrap().map(|job| (job.id, job.state))
        };
        assert_eq!(find(JobKind::Drain, node).await, Some((drain, JobState::Running)));
        assert_eq!(find(JobKind::Rebalance, None).await, Some((rebalance, JobState::Running)));
        assert_eq!((find(JobKind::Drain, None).await, find(JobKind::Failover, node).await), (None, None));
        let set = async |job, state| {
            let tx = scene.store.write().await.unwrap();
            let known = tx.set_job_state(job, state, now()).await.unwrap();
            tx.commit().await.unwrap();
            known
        };
        assert!(set(drain, JobState::Paused).await);
        assert_eq!(find(JobKind::Drain, node).await, Some((drain, JobState::Paused)));
        let open: Vec<_> = scene.store.read().open_jobs().await.unwrap().iter().map(|job| job.id).collect();
        assert_eq!(open, [drain, rebalance]);
        assert!(set(drain, JobState::Done).await && !set(JobId(99), JobState::Done).await);
        assert_eq!(find(JobKind::Drain, node).await, None);
        let jobs = scene.store.read().jobs(9).await.unwrap();
        assert_eq!((jobs.len(), jobs[0].id, jobs[1].ended_at), (2, rebalance, Some(now())));
        assert_eq!(scene.store.read().jobs(1).await.unwrap().len(), 1);

        let tx = scene.store.write().await.unwrap();
        tx.add_moves(drain, &[new_move(1, MoveState::Done)], now()).await.unwrap();
        assert_eq!(tx.forget_jobs(now()).await.unwrap(), 0);
        assert_eq!(tx.forget_jobs(now() + TimeDelta::seconds(1)).await.unwrap(), 1);
        assert!(tx.read().moves_of(drain, None, 9).await.unwrap().is_empty());
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn every_word_of_a_job_is_read_back() {
    for kind in JobKind::ALL {
        assert_eq!(JobKind::find(kind.as_str()), Some(*kind));
    }
    for state in MoveState::ALL {
        assert_eq!(MoveState::find(&state.to_string()), Some(*state));
    }
    assert_eq!((JobState::find("PAUSED"), JobState::find("paused")), (None, Some(JobState::Paused)));
}

#[tokio::test]
async fn a_deadline_is_only_ever_shortened() {
    for scene in Scene::all().await {
        let at = |hours| now() + TimeDelta::hours(hours);
        let (open, other) = (scene.job(JobKind::Drain, None, None).await, scene.job(JobKind::Drain, None, None).await);
        for (given, holds) in [(5, 5), (9, 5), (2, 2)] {
            let tx = scene.store.write().await.unwrap();
            tx.shorten_deadline(open, at(given)).await.unwrap();
            tx.commit().await.unwrap();
            assert_eq!(scene.store.read().job(open).await.unwrap().unwrap().deadline_at, Some(at(holds)));
        }
        assert_eq!(scene.store.read().job(other).await.unwrap().unwrap().deadline_at, None);
    }
}

#[tokio::test]
async fn a_move_that_stands_as_it_did_keeps_its_time() {
    for scene in Scene::all().await {
        let job = scene.job(JobKind::Drain, None, None).await;
        let at = |minutes| now() + TimeDelta::minutes(minutes);
        let stands = async |minutes, reason: Option<&str>| {
            let tx = scene.store.write().await.unwrap();
            tx.add_moves(job, &[new_move(1, MoveState::Planned)], now()).await.unwrap();
            tx.set_moves(job, &[KeyId(1)], MoveState::Waiting, reason, at(minutes)).await.unwrap();
            tx.commit().await.unwrap();
            let one = scene.store.read().moves_of(job, None, 1).await.unwrap().pop().unwrap();
            (one.at, one.reason)
        };
        let no_room = || Some("no room".to_owned());
        assert_eq!(stands(1, Some("no room")).await, (at(1), no_room()));
        assert_eq!(stands(2, Some("no room")).await, (at(1), no_room()));
        assert_eq!(stands(3, Some("held")).await, (at(3), Some("held".to_owned())));
        assert_eq!(stands(4, None).await, (at(4), None));
        assert_eq!(stands(5, None).await, (at(4), None));
        assert_eq!(stands(6, Some("no room")).await, (at(6), no_room()));
    }
}
