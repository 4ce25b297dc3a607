//! The simulated users: each has a key, and an app that uses the link it was last given.
//!
//! Most apps fetch their link again and again, and follow a key at once. Some hold a plain link: theirs goes on
//! pointing to the old node, until it works again there or its user has had enough and asks for it anew.

use super::{
    fleet::Fleet,
    picture::{Picture, Residence},
};
use crate::{
    app::App,
    ops::keys::{Ask, IssueError},
};
use fleet::{id::KeyId, place::Wants};
use futures::future::try_join_all;
use std::time::Duration;
use store::users::Profile;
use tokio::time::Instant;

/// One user in so many holds a plain link.
const PLAIN: usize = 8;
/// How long such a user waits for his link to work again.
const PATIENCE: Duration = Duration::from_secs(45);
/// What an app receives between two looks at it, in bytes.
const BYTES: i64 = 200_000;
/// The first one's Telegram id.
const FIRST: i64 = 700_000_001;

/// All of them.
#[derive(Debug)]
pub struct Users(Vec<User>);

#[derive(Debug)]
struct User {
    key: KeyId,
    holds_plain_link: bool,
    /// What his app connects to: node and client.
    app: Option<Residence>,
    /// Since when it does not get through.
    cut_off: Option<Instant>,
}

impl Users {
    /// So many users ask for their keys, all at the same time, and get them.
    pub async fn arrive(app: &App, count: usize) -> Result<Self, IssueError> {
        let asks = (FIRST..).take(count).map(|telegram_id| {
            let newcomer = Profile { first_name: Some("Demo".to_owned()), ..Profile::default() };
            let ask = Ask { telegram_id, newcomer: Some(newcomer), renew: false, wants: Wants::default() };
            async move { app.intake.obtain(ask).await?.key }
        });
        let keys = try_join_all(asks).await?;
        let user = |(number, key)| User { key, holds_plain_link: number % PLAIN == 0, app: None, cut_off: None };
        Ok(Self((1..).zip(keys).map(user).collect()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many get through at this moment.
    pub fn online(&self) -> usize {
        self.0.iter().filter(|user| user.cut_off.is_none()).count()
    }

    /// How many of the others hold a link to a node that their key has left.
    pub fn holding_old_links(&self, picture: &Picture) -> usize {
        let holds_old = |user: &&User| user.app.as_ref() != picture.homes.get(&user.key);
        self.0.iter().filter(|user| user.cut_off.is_some()).filter(holds_old).count()
    }

    /// Everybody uses what his app holds, as long as it works.
    pub fn live(&mut self, picture: &Picture, fleet: &Fleet, now: Instant) {
        for user in &mut self.0 {
            let has_enough = user.cut_off.is_some_and(|since| now - since >= PATIENCE);
            let asks = !user.holds_plain_link || user.app.is_none() || has_enough;
            if let Some(home) = picture.homes.get(&user.key).filter(|_| asks) {
                user.app = Some(home.clone());
            }
            let gets_through = user.app.as_ref().is_some_and(|at| fleet.use_traffic(&at.node, &at.client, BYTES));
            user.cut_off = if gets_through { None } else { user.cut_off.or(Some(now)) };
        }
    }
}
