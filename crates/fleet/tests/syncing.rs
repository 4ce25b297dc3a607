//! Telling a panel what it should hold: once is enough, and what is not ours is not touched.

use crate::{
    chance::cases,
    panels::{NOW, Panel, any_desired, any_panel, client, identity, shown, stranger},
};
use fleet::{
    client::{Client, ObservedClient, credential},
    inbound::Protocol,
    key::{ClientName, Identity},
    sync::{Desired, Difference, Drift, Observed, Step, diff},
};
use proptest::{collection::vec, prelude::*};
use std::collections::BTreeSet;

const VLESS: Protocol = Protocol::Vless { encryption: None };

fn identities(desired: &Desired) -> impl Iterator<Item = &Identity> {
    desired.clients.values().map(|client| &client.identity).chain(desired.retired.values())
}

/// Names of ours under which somebody else's client stands: neither our credential nor our subscription id.
fn taken(desired: &Desired, panel: &Panel) -> BTreeSet<ClientName> {
    let is_theirs = |client: &ObservedClient, identity: &Identity| {
        client.name == identity.name
            && !client.credential.eq_ignore_ascii_case(&credential(&panel.protocol, identity.uuid))
            && client.sub_id != identity.sub_id
    };
    let taken = identities(desired).filter(|identity| panel.clients.iter().any(|client| is_theirs(client, identity)));
    taken.map(|identity| identity.name.clone()).collect()
}

fn listed(observed: &Observed, name: &ClientName) -> bool {
    observed.clients.iter().any(|client| client.name == *name)
}

fn named(step: &Step) -> &ClientName {
    match step {
        Step::Remove(identity) => &identity.name,
        Step::Ensure(client) => &client.identity.name,
    }
}

fn conflicts(difference: &Difference) -> BTreeSet<ClientName> {
    let conflict = |drift: &Drift| match drift {
        Drift::Conflict { name } => Some(name.clone()),
        Drift::Missing(_) | Drift::Changed { .. } | Drift::Strangers { .. } => None,
    };
    difference.drift.iter().filter_map(conflict).collect()
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn what_was_carried_out_leaves_no_difference(desired in any_desired(), mut panel in any_panel(0..=8)) {
        let first = diff(&desired, &panel.protocol, &panel.listing(), NOW);
        panel.carry_out(&first.steps);
        let second = diff(&desired, &panel.protocol, &panel.listing(), NOW);
        prop_assert_eq!(&second.steps, &[], "after {:?}", first);
        let taken = taken(&desired, &panel);
        let settled: Vec<_> = desired.clients.keys().filter(|name| !taken.contains(name)).cloned().collect();
        prop_assert_eq!(second.settled, settled);
        let left: Vec<_> = desired.retired.keys().filter(|name| !desired.clients.contains_key(name)).collect();
        for name in left {
            let is_there = taken.contains(name);
            prop_assert!(second.gone.contains(name) || is_there, "{} is neither gone nor taken", name);
        }
    }

    #[test]
    fn a_listing_cut_short_proves_nothing_absent(
        desired in any_desired(), mut panel in any_panel(0..=8), shows in vec(any::<bool>(), 0..=8),
    ) {
        let observed = panel.listing_cut_short(&shows);
        let difference = diff(&desired, &panel.protocol, &observed, NOW);
        prop_assert_eq!(&difference.gone, &[]);
        for step in &difference.steps {
            if let Step::Remove(identity) = step {
                prop_assert!(listed(&observed, &identity.name), "{} was not listed", identity.name);
            }
        }
        for drift in &difference.drift {
            prop_assert!(!matches!(drift, Drift::Missing(_)), "{:?} of a listing that was cut short", drift);
        }
        if taken(&desired, &panel).is_empty() {
            panel.carry_out(&difference.steps);
            let whole = diff(&desired, &panel.protocol, &panel.listing(), NOW);
            panel.carry_out(&whole.steps);
            prop_assert_eq!(diff(&desired, &panel.protocol, &panel.listing(), NOW).steps, []);
        }
    }

    #[test]
    fn what_is_not_ours_is_in_no_step(desired in any_desired(), mut panel in any_panel(0..=10)) {
        let before = panel.clients.clone();
        let taken = taken(&desired, &panel);
        let ours: BTreeSet<&ClientName> = identities(&desired).map(|identity| &identity.name).collect();
        let difference = diff(&desired, &panel.protocol, &panel.listing(), NOW);
        for step in &difference.steps {
            prop_assert!(ours.contains(named(step)) && !taken.contains(named(step)), "{:?}", step);
        }
        prop_assert_eq!(&conflicts(&difference), &taken);
        panel.carry_out(&difference.steps);
        let theirs = |client: &&ObservedClient| !ours.contains(&client.name) || taken.contains(&client.name);
        let kept: Vec<_> = panel.clients.iter().filter(theirs).map(|client| &client.name).collect();
        prop_assert_eq!(kept, before.iter().filter(theirs).map(|client| &client.name).collect::<Vec<_>>());
        let strangers = before.iter().filter(|client| !ours.contains(&client.name)).count();
        let counted = difference.drift.iter().filter(|d| matches!(d, Drift::Strangers { count } if *count == strangers));
        prop_assert_eq!(counted.count(), usize::from(strangers > 0));
    }

    #[test]
    fn every_name_of_ours_gets_one_answer(desired in any_desired(), panel in any_panel(0..=8)) {
        let difference = diff(&desired, &panel.protocol, &panel.listing(), NOW);
        let taken = taken(&desired, &panel);
        let answers = difference.steps.iter().map(named).chain(&difference.settled).chain(&difference.gone);
        let mut answers: Vec<&ClientName> = answers.filter(|name| !taken.contains(name)).collect();
        answers.sort();
        let names: BTreeSet<&ClientName> = identities(&desired).map(|identity| &identity.name).collect();
        prop_assert_eq!(answers, names.into_iter().filter(|name| !taken.contains(name)).collect::<Vec<_>>());
        let first_ensured = difference.steps.iter().position(|step| matches!(step, Step::Ensure(_)));
        let last_removed = difference.steps.iter().rposition(|step| matches!(step, Step::Remove(_)));
        prop_assert!(first_ensured.is_none_or(|ensured| last_removed.is_none_or(|removed| removed < ensured)));
    }

    #[test]
    fn nothing_is_gone_while_a_client_of_ours_is_listed(desired in any_desired(), panel in any_panel(0..=8)) {
        for name in diff(&desired, &panel.protocol, &panel.listing(), NOW).gone {
            let identity = &desired.retired[&name];
            let ours = credential(&panel.protocol, identity.uuid);
            let still = panel.clients.iter().find(|c| c.name == name && (c.credential == ours || c.sub_id == identity.sub_id));
            prop_assert!(still.is_none(), "{:?}", still);
        }
    }

    #[test]
    fn a_change_is_told_with_each_field_once(desired in any_desired(), panel in any_panel(0..=10)) {
        for drift in diff(&desired, &panel.protocol, &panel.listing(), NOW).drift {
            if let Drift::Changed { fields, .. } = drift {
                prop_assert_eq!(fields.iter().collect::<BTreeSet<_>>().len(), fields.len(), "{:?}", fields);
            }
        }
    }
}

fn want<const N: usize>(clients: [&Client; N]) -> Desired {
    let clients = clients.into_iter().map(|client| (client.identity.name.clone(), client.clone())).collect();
    Desired { clients, ..Desired::default() }
}

fn retire(key: i64) -> Desired {
    Desired { retired: [(identity(key).name, identity(key))].into(), ..Desired::default() }
}

fn holding(clients: &[ObservedClient]) -> Observed {
    Observed { clients: clients.to_vec(), complete: true }
}

#[test]
fn a_client_whose_time_is_up_may_be_disabled_by_the_panel() {
    let ended = Client { expires_at_ms: NOW, ..client(1) };
    let disabled = holding(&[ObservedClient { enabled: false, ..shown(&ended, &VLESS) }]);
    let difference = diff(&want([&ended]), &VLESS, &disabled, NOW);
    assert_eq!((difference.steps, difference.settled), (vec![], vec![identity(1).name]));
    // A moment before its end nobody but an operator disabled it, and a longer time is written at once.
    assert_eq!(diff(&want([&ended]), &VLESS, &disabled, NOW - 1).steps, [Step::Ensure(ended)]);
    let prolonged = Client { expires_at_ms: NOW + 1, ..client(1) };
    assert_eq!(diff(&want([&prolonged]), &VLESS, &disabled, NOW).steps, [Step::Ensure(prolonged)]);
}

#[test]
fn a_client_that_should_be_disabled_is_not_left_enabled_by_its_end() {
    let blocked = Client { enabled: false, expires_at_ms: NOW - 1, ..client(1) };
    let enabled = holding(&[ObservedClient { enabled: true, ..shown(&blocked, &VLESS) }]);
    assert_eq!(diff(&want([&blocked]), &VLESS, &enabled, NOW).steps, [Step::Ensure(blocked)]);
}

#[test]
fn a_name_with_a_credential_and_a_subscription_of_others_is_left_alone() {
    let observed = holding(&[stranger(&identity(1).name)]);
    let conflict = [Drift::Conflict { name: identity(1).name }];
    let wanted = diff(&want([&client(1)]), &VLESS, &observed, NOW);
    assert_eq!((wanted.steps, wanted.settled, &wanted.drift[..]), (vec![], vec![], &conflict[..]));
    let retired = diff(&retire(1), &VLESS, &observed, NOW);
    assert_eq!((retired.steps, retired.gone, &retired.drift[..]), (vec![], vec![identity(1).name], &conflict[..]));
}

#[test]
fn either_credential_or_subscription_makes_a_client_ours() {
    let just_so = shown(&client(1), &VLESS);
    for half in [
        ObservedClient { sub_id: String::new(), ..just_so.clone() },
        ObservedClient { credential: "changed by an operator".to_owned(), ..just_so },
    ] {
        assert_eq!(
            diff(&want([&client(1)]), &VLESS, &holding(std::slice::from_ref(&half)), NOW).steps,
            [Step::Ensure(client(1))]
        );
        assert_eq!(diff(&retire(1), &VLESS, &holding(&[half]), NOW).steps, [Step::Remove(identity(1))]);
    }
}

#[test]
fn a_client_without_subscription_is_not_known_by_that() {
    let mut anonymous = client(1);
    anonymous.identity.sub_id.clear();
    let theirs = ObservedClient { sub_id: String::new(), ..stranger(&anonymous.identity.name) };
    let difference = diff(&want([&anonymous]), &VLESS, &holding(&[theirs]), NOW);
    assert_eq!((difference.steps, difference.drift), (vec![], vec![Drift::Conflict { name: identity(1).name }]));
}

#[test]
fn case_matters_in_a_password_and_not_in_a_uuid() {
    for (protocol, same) in [(VLESS, true), (Protocol::Vmess, true), (Protocol::Trojan, false)] {
        let mut shouted = shown(&client(1), &protocol);
        shouted.credential.make_ascii_uppercase();
        let steps = diff(&want([&client(1)]), &protocol, &holding(&[shouted]), NOW).steps;
        assert_eq!(steps.is_empty(), same, "{protocol:?}");
    }
}

#[test]
fn what_somebody_changed_is_told_by_field() {
    let changed = ObservedClient { enabled: false, traffic_limit: 7, ..shown(&client(1), &VLESS) };
    let difference = diff(&want([&client(1), &client(2)]), &VLESS, &holding(&[changed]), NOW);
    assert_eq!(
        difference.drift,
        [
            Drift::Changed { name: identity(1).name, fields: vec!["enabled", "traffic_limit"] },
            Drift::Missing(identity(2).name),
        ]
    );
}
