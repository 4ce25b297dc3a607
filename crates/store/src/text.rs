//! Texts that must fit their columns. PostgreSQL refuses what is too long for its column and keeps no NUL at all;
//! SQLite takes both: what one engine cannot keep is refused, or cut, on both.

use crate::StoreError;

/// Lets through what an operator wrote if it fits as it is.
pub(crate) fn fits(what: &'static str, value: &str, most: usize) -> Result<(), StoreError> {
    if value.contains('\0') {
        return Err(StoreError::Nul { what });
    }
    if value.len() <= most { Ok(()) } else { Err(StoreError::TooLong { what, length: value.len(), most }) }
}

/// What people call themselves, or a panel answered, is not worth a refusal: it is cut to `most` characters, and
/// rid of NUL.
pub(crate) fn cut(value: &str, most: usize) -> String {
    value.chars().filter(|c| *c != '\0').take(most).collect()
}
