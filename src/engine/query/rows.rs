//! The rows of an answer: 8 bytes a number, in pieces.
//!
//! An answer is complete before a word of it is sent, since a reply that has begun cannot become
//! an error when the query has to stop. Rows are the smallest form it can wait in, and their
//! pieces are freed one by one as they are sent: a row turns into the longer text of a protocol,
//! and both are never held at once.

use std::ops::ControlFlow;

use crate::engine::Timestamp;
use crate::engine::series::Order;

/// Rows in a piece, but for the last one.
const PIECE_ROWS: usize = 8192;

/// Rows of a time and a fixed number of values each, up to a limit.
#[derive(Clone, Debug)]
pub struct Rows {
    width: usize,
    /// Rows that may still come.
    room: u64,
    len: usize,
    pieces: Vec<Piece>,
}

/// Consecutive rows.
#[derive(Clone, Debug, Default)]
pub struct Piece {
    times: Vec<i64>,
    /// The values of the first row, then those of the second, ...
    values: Vec<f64>,
    width: usize,
}

impl Piece {
    /// Times, and the values of all rows.
    pub fn columns(&self) -> (&[i64], &[f64]) {
        (&self.times, &self.values)
    }

    /// Its rows: a time and its values each.
    pub fn rows(&self) -> impl Iterator<Item = (Timestamp, &[f64])> {
        self.times
            .iter()
            .copied()
            .zip(self.values.chunks_exact(self.width))
    }
}

impl Rows {
    /// No rows yet, at most `limit`, with `width` values each, which is at least 1.
    pub fn new(width: usize, limit: u64) -> Self {
        Self {
            width,
            room: limit,
            len: 0,
            pieces: Vec::new(),
        }
    }

    /// Number of values in a row.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a row; says whether there is room for more.
    #[inline]
    pub fn push(&mut self, time_ms: Timestamp, values: &[f64]) -> ControlFlow<()> {
        let piece = self.open_piece();
        piece.times.push(time_ms);
        piece.values.extend_from_slice(values);
        self.count(1)
    }

    /// Adds rows of one value, given in order of time, in an order; says whether there is room for
    /// more.
    pub fn extend(&mut self, times: &[i64], values: &[f64], order: Order) -> ControlFlow<()> {
        let wanted = usize::try_from(self.room).unwrap_or(usize::MAX);
        let len = times.len().min(wanted);
        let piece = self.open_piece();
        match order {
            Order::Ascending => {
                piece.times.extend_from_slice(&times[..len]);
                piece.values.extend_from_slice(&values[..len]);
            }
            Order::Descending => {
                piece.times.extend(times.iter().rev().take(len));
                piece.values.extend(values.iter().rev().take(len));
            }
        }
        self.count(len)
    }

    /// Puts the rows of `others` behind these, whatever the limit.
    pub fn append(&mut self, others: Self) {
        self.len += others.len;
        self.pieces.extend(others.pieces);
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    /// The pieces, in order, to be freed one by one.
    pub fn into_pieces(self) -> impl Iterator<Item = Piece> {
        self.pieces.into_iter()
    }

    #[inline]
    fn open_piece(&mut self) -> &mut Piece {
        let is_full = |piece: &Piece| piece.times.len() >= PIECE_ROWS;
        if self.pieces.last().is_none_or(is_full) {
            self.pieces.push(self.fresh_piece());
        }
        let last = self.pieces.len() - 1;
        &mut self.pieces[last]
    }

    /// The first piece grows with what comes; those behind it are mostly filled.
    fn fresh_piece(&self) -> Piece {
        let rows = if self.pieces.is_empty() {
            0
        } else {
            PIECE_ROWS
        };
        Piece {
            times: Vec::with_capacity(rows),
            values: Vec::with_capacity(rows * self.width),
            width: self.width,
        }
    }

    #[inline]
    fn count(&mut self, rows: usize) -> ControlFlow<()> {
        self.len += rows;
        self.room = self.room.saturating_sub(rows as u64);
        if self.room == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(rows: Rows) -> Vec<(Timestamp, Vec<f64>)> {
        let row = |(time, values): (Timestamp, &[f64])| (time, values.to_vec());
        let pieces: Vec<Piece> = rows.into_pieces().collect();
        pieces
            .iter()
            .flat_map(|piece| piece.rows().map(row))
            .collect()
    }

    #[test]
    fn rows_come_back_in_order_up_to_the_limit() {
        let mut rows = Rows::new(1, 3);
        assert!(
            rows.extend(&[1, 2], &[1.0, 2.0], Order::Descending)
                .is_continue()
        );
        assert!(
            rows.extend(&[0, 9], &[0.0, 9.0], Order::Ascending)
                .is_break()
        );
        assert_eq!(rows.len(), 3);
        assert_eq!(all(rows), [(2, vec![2.0]), (1, vec![1.0]), (0, vec![0.0])]);
    }

    #[test]
    fn many_rows_take_several_pieces_and_append() {
        let mut rows = Rows::new(2, u64::MAX);
        let mut others = Rows::new(2, u64::MAX);
        let count = PIECE_ROWS + 1;
        for time in 0..u32::try_from(count).unwrap() {
            let (time_ms, value) = (i64::from(time), f64::from(time));
            assert!(rows.push(time_ms, &[value, -value]).is_continue());
            assert!(others.push(time_ms, &[value, value]).is_continue());
        }
        rows.append(others);
        assert_eq!(rows.len(), 2 * count);
        let all = all(rows);
        assert_eq!(all[count - 1], (8192, vec![8192.0, -8192.0]));
        assert_eq!(all[count + 1], (1, vec![1.0, 1.0]));
    }
}
