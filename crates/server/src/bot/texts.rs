//! What people read in the bot: Russian, or English where the user's language is known to be another.

use crate::ops::keys::IssueError;
use fleet::place::NoRoomKind;

/// The two languages of the bot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Russian.
    Ru,
    /// English.
    En,
}

impl Language {
    /// From Telegram's `language_code`; Russian where none is known.
    pub fn of(code: Option<&str>) -> Self {
        match code {
            Some(code) if !code.to_ascii_lowercase().starts_with("ru") => Self::En,
            Some(_) | None => Self::Ru,
        }
    }
}

/// One text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Text {
    /// The account is there.
    UserReady,
    /// The account was taken over as told.
    UserUpdated,
    /// The key works.
    KeyReady,
    /// A new key replaced the old one.
    KeyReplaced,
    /// The key is shown no more.
    KeyRevoked,
    /// No such key.
    KeyUnknown,
    /// Everything about the account is in the answer.
    DashboardReady,
    /// All steps went well.
    AllDone,
    /// Nobody has the Telegram id.
    UserUnknown,
    /// The account ran out.
    Expired,
    /// The account is blocked.
    Blocked,
    /// No node is able to serve.
    NoHealthyNode,
    /// All nodes are full.
    NoCapacity,
    /// No panel confirmed in time.
    NotConfirmed,
    /// A failure of ours.
    Internal,
}

impl Text {
    /// The text in a language.
    pub fn in_language(self, language: Language) -> &'static str {
        let (ru, en) = self.both();
        match language {
            Language::Ru => ru,
            Language::En => en,
        }
    }

    fn both(self) -> (&'static str, &'static str) {
        match self {
            Self::UserReady => ("Пользователь готов", "The account is ready"),
            Self::UserUpdated => ("Данные пользователя обновлены", "The account was updated"),
            Self::KeyReady => ("Ключ готов", "The key is ready"),
            Self::KeyReplaced => ("Ключ обновлён", "The key was replaced"),
            Self::KeyRevoked => ("Ключ удалён", "The key was deleted"),
            Self::KeyUnknown => ("Ключ не найден", "There is no such key"),
            Self::DashboardReady => ("Данные загружены", "The account was loaded"),
            Self::AllDone => ("Готово", "Done"),
            Self::UserUnknown => ("Пользователь не найден", "Unknown user"),
            Self::Expired => ("Срок подписки истёк", "The subscription has expired"),
            Self::Blocked => ("Аккаунт заблокирован", "The account is blocked"),
            Self::NoHealthyNode => (
                "Сейчас нет доступных серверов. Попробуйте позже",
                "No server is available right now. Please try again later",
            ),
            Self::NoCapacity => (
                "Сейчас нет свободных мест. Попробуйте позже",
                "All servers are full right now. Please try again later",
            ),
            Self::NotConfirmed => {
                ("Сервер не ответил вовремя. Попробуйте ещё раз", "The server did not answer in time. Please try again")
            }
            Self::Internal => ("Внутренняя ошибка. Попробуйте позже", "Internal error. Please try again later"),
        }
    }

    /// What to tell about a key that could not be had.
    pub fn of(error: &IssueError) -> Self {
        match error {
            IssueError::UnknownUser(_) => Self::UserUnknown,
            IssueError::Expired(_) => Self::Expired,
            IssueError::Blocked => Self::Blocked,
            IssueError::NoRoom(why) => match why.kind {
                NoRoomKind::NoHealthyNode => Self::NoHealthyNode,
                NoRoomKind::NoCapacity => Self::NoCapacity,
            },
            IssueError::Inbound(..) => Self::NoHealthyNode,
            IssueError::NotConfirmed => Self::NotConfirmed,
            IssueError::Store(_) => Self::Internal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_russian_unless_another_is_known() {
        for (code, language) in [
            (None, Language::Ru),
            (Some("ru"), Language::Ru),
            (Some("RU-ru"), Language::Ru),
            (Some("en"), Language::En),
            (Some("de"), Language::En),
        ] {
            assert_eq!(Language::of(code), language, "{code:?}");
        }
    }
}
