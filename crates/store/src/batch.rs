//! Many rows per statement, in few different statements.
//!
//! Both databases keep prepared statements by their text, and a list of 37 values is another text than one of 38.
//! Lists therefore come only in lengths that are powers of two: a handful of texts serves every length, and stays
//! prepared. The longest keeps the number of values far below what a statement may have (32,766 in SQLite, 65,535
//! in PostgreSQL).

/// Rows per statement.
const MOST: usize = 512;

/// For rows to insert: every row once, in order, in parts whose lengths are powers of two.
pub(crate) fn parts<T>(mut rows: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let length = MOST.min(1 << rows.len().checked_ilog2()?);
        let (part, rest) = rows.split_at(length);
        rows = rest;
        Some(part)
    })
}

/// For values to look up or to match, where naming one twice does no harm: the last is repeated until the length
/// is a power of two.
pub(crate) fn padded<T: Clone>(values: &[T]) -> impl Iterator<Item = Vec<T>> {
    values.chunks(MOST).map(|chunk| {
        let mut padded = chunk.to_vec();
        if let Some(last) = chunk.last() {
            padded.resize(chunk.len().next_power_of_two(), last.clone());
        }
        padded
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_comes_once_and_in_order_in_few_lengths() {
        let rows: Vec<usize> = (0..3000).collect();
        let mut lengths = BTreeSet::new();
        for count in 0..rows.len() {
            assert_eq!(parts(&rows[..count]).flatten().copied().collect::<Vec<_>>(), rows[..count]);
            lengths.extend(parts(&rows[..count]).map(<[usize]>::len));
        }
        assert_eq!(lengths.len(), 10, "{lengths:?}");
    }

    #[test]
    fn padding_adds_no_value_and_drops_none() {
        let values: Vec<usize> = (0..1200).collect();
        let mut lengths = BTreeSet::new();
        for count in 0..values.len() {
            let seen: BTreeSet<usize> = padded(&values[..count]).flatten().collect();
            assert!(seen.iter().eq(&values[..count]), "{count}");
            lengths.extend(padded(&values[..count]).map(|chunk| chunk.len()));
        }
        assert_eq!(lengths.len(), 10, "{lengths:?}");
    }
}
