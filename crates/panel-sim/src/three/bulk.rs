//! Calls on many clients at once, and how they fail in part.

use crate::{
    call::Reply,
    three::{
        Asked, FAILED, Panel, add, body,
        client::Client,
        entry::{Entry, flag},
        store::NOT_FOUND,
    },
};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// What is said of an email without a record.
const NO_CLIENT: &str = "client not found";

/// Who was passed over, and why.
#[derive(Debug, Default)]
pub(super) struct Skipped(Vec<Value>);

impl Skipped {
    pub(super) fn push(&mut self, email: &str, reason: &str) {
        self.0.push(json!({"email": email, "reason": reason}));
    }

    /// `{"created": 3, "skipped": […]}`; the list only if there is somebody in it.
    pub(super) fn answer(self, done: &str, count: usize) -> Reply {
        let mut obj = Entry::from_iter([(done.to_owned(), json!(count))]);
        if !self.0.is_empty() {
            obj.insert("skipped".into(), Value::Array(self.0));
        }
        Reply::ok("", Value::Object(obj))
    }
}

pub(super) fn delete(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let object = match body::object(asked.call, "controller.bulkDelForm") {
        Ok(object) => object,
        Err(error) => return Reply::failed(FAILED, &error),
    };
    match body::texts(&object, "emails", "bulkDelForm") {
        Ok(emails) => {
            let (emails, skipped) = panel.known(&emails);
            panel.wipe(&emails, flag(&object, "keepTraffic"));
            skipped.answer("deleted", emails.len())
        }
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn enable(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    switch(panel, asked, true)
}

pub(super) fn disable(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    switch(panel, asked, false)
}

fn switch(panel: &mut Panel, asked: &Asked<'_>, enable: bool) -> Reply {
    match emails(asked) {
        Ok(emails) => {
            let (emails, skipped) = panel.known(&emails);
            panel.switch(&emails, enable, asked.now_ms);
            skipped.answer("changed", emails.len())
        }
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn reset_traffic(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    match emails(asked) {
        Ok(emails) => {
            let (emails, _) = panel.known(&emails);
            Reply::ok("", json!({"affected": panel.readmit(&emails, asked.now_ms)}))
        }
        Err(error) => Reply::failed(FAILED, &error),
    }
}

pub(super) fn attach(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let (emails, ids) = match emails_and_ids(asked) {
        Ok(asked) => asked,
        Err(error) => return Reply::failed(FAILED, &error),
    };
    let (emails, mut errors) = panel.found(&emails, &ids);
    let (mut attached, mut skipped) = (Vec::new(), Vec::new());
    for id in ids {
        match panel.attach_all(id, &emails, asked.now_ms) {
            Ok((new, old)) => {
                attached.extend(new);
                skipped.extend(old);
            }
            Err(_) if emails.is_empty() => {}
            Err(error) => errors.push(format!("inbound {id}: {error}")),
        }
    }
    three_lists("attached", &attached, &skipped, &errors)
}

pub(super) fn detach(panel: &mut Panel, asked: &Asked<'_>) -> Reply {
    let (emails, ids) = match emails_and_ids(asked) {
        Ok(asked) => asked,
        Err(error) => return Reply::failed(FAILED, &error),
    };
    let (emails, errors) = panel.found(&emails, &ids);
    let on_one = |email: &String| panel.store.links(email).iter().any(|id| ids.contains(id));
    let (detached, skipped): (Vec<String>, Vec<String>) = emails.into_iter().partition(on_one);
    for id in ids {
        panel.store.take_off(id, &detached);
    }
    three_lists("detached", &detached, &skipped, &errors)
}

/// An answer of three lists, each null if empty.
fn three_lists(done: &str, emails: &[String], skipped: &[String], errors: &[String]) -> Reply {
    let list = |texts: &[String]| if texts.is_empty() { Value::Null } else { json!(texts) };
    Reply::ok("", json!({done: list(emails), "skipped": list(skipped), "errors": list(errors)}))
}

fn emails(asked: &Asked<'_>) -> Result<Vec<String>, String> {
    let object = body::object(asked.call, "controller.bulkEmailsForm")?;
    body::texts(&object, "emails", "bulkEmailsForm")
}

fn emails_and_ids(asked: &Asked<'_>) -> Result<(Vec<String>, Vec<i64>), String> {
    let object = body::object(asked.call, "controller.bulkAttachForm")?;
    Ok((body::texts(&object, "emails", "bulkAttachForm")?, body::ids(&object, "inboundIds", "bulkAttachForm")?))
}

impl Panel {
    /// Those of the emails, trimmed and each once, that have a record.
    pub(super) fn known(&self, emails: &[String]) -> (Vec<String>, Skipped) {
        let (mut known, mut skipped, mut seen) = (Vec::new(), Skipped::default(), BTreeSet::new());
        for email in emails.iter().map(|email| email.trim()).filter(|email| !email.is_empty()) {
            if !seen.insert(email) {
                continue;
            }
            if self.store.record(email).is_some() {
                known.push(email.to_owned());
            } else {
                skipped.push(email, NO_CLIENT);
            }
        }
        (known, skipped)
    }

    /// Those of the emails that have a record, and a word on the others. Of emails that differ in case only, the first
    /// counts. Without inbounds nobody is looked for.
    fn found(&self, emails: &[String], ids: &[i64]) -> (Vec<String>, Vec<String>) {
        let (mut found, mut errors, mut seen) = (Vec::new(), Vec::new(), BTreeSet::new());
        for email in emails.iter().filter(|_| !ids.is_empty()) {
            if !seen.insert(email.to_lowercase()) {
                continue;
            }
            if self.store.record(email).is_some() {
                found.push(email.clone());
            } else {
                errors.push(format!("{email}: {NOT_FOUND}"));
            }
        }
        (found, errors)
    }

    /// Puts clients on one inbound. Gives who was put on it, and who was there.
    fn attach_all(&mut self, id: i64, emails: &[String], now_ms: i64) -> Result<(Vec<String>, Vec<String>), String> {
        let inbound = self.store.inbounds.get(&id).ok_or(NOT_FOUND)?;
        let (old, new): (Vec<&String>, Vec<&String>) = emails.iter().partition(|email| inbound.clients.has(email));
        let mut clients: Vec<Client> =
            new.into_iter().filter_map(|email| Some(self.store.record(email)?.client.clone())).collect();
        for client in &mut clients {
            client.updated_at = now_ms;
            add::fill(client, inbound, &mut self.rng);
        }
        let old = old.into_iter().cloned().collect();
        Ok((self.store.insert(id, &clients)?, old))
    }
}
