//! Where the postings of each cell are: a hash table of 16 bytes a cell.
//!
//! ```text
//! cell -> hash -> one of 1 or 256 tables -> | key 8 | value 8 | .. |   open addressing, linear probing
//! ```
//!
//! Four slots share a cache line, so that a probe is one miss, found or not; `hashbrown` has two,
//! one for its control bytes. A table grows by a third when three quarters are taken: it is two
//! thirds full on average, and a cell takes 25 bytes. 256 tables grow one by one, so that no change
//! has to wait until millions of cells have moved.
//!
//! The keys of the hash are random, since clients choose where their fences lie.

use std::hash::{BuildHasher, RandomState};
use std::mem::size_of;

use super::cell::Cell;
use crate::engine::relocate::Mover;
use crate::engine::table::rounded;

/// Tables where there are many cells.
const TABLES: usize = 256;
/// Cells from which on there are many; it is one table again at an eighth of them.
const MANY: usize = 8192;
/// Slots of the smallest table.
const FIRST: usize = 8;

/// A cell's number with the two highest bits for the kind of its value; 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    key: u64,
    value: u64,
}

/// The bits of a key that are a cell.
const CELL: u64 = u64::MAX >> 2;

/// What a cell has: 64 bits and what they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) kind: u8,
    pub(super) bits: u64,
}

impl Slot {
    const fn new(cell: Cell, value: Value) -> Self {
        Self {
            key: (value.kind as u64) << 62 | cell.0,
            value: value.bits,
        }
    }

    const fn value(self) -> Value {
        Value {
            kind: (self.key >> 62) as u8,
            bits: self.value,
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Table {
    slots: Vec<Slot>,
    len: usize,
}

/// Values by cell.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    keys: [u64; 2],
    /// 1 or `TABLES`.
    tables: Vec<Table>,
    len: usize,
}

impl Default for Directory {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            keys: [random.hash_one(1), random.hash_one(2) | 1],
            tables: vec![Table::default()],
            len: 0,
        }
    }
}

/// Where a probe begins.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    table: u32,
    slot: u32,
}

/// Mixes the bits of a cell (the folded product of wyhash, public domain).
#[expect(clippy::cast_possible_truncation, reason = "the halves of a product")]
const fn hash(keys: [u64; 2], cell: u64) -> u64 {
    let product = ((cell ^ keys[0]).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ keys[1]) as u128;
    let product = product * (keys[1] as u128);
    product as u64 ^ (product >> 64) as u64
}

impl Table {
    /// The slot a hash belongs to: in the order of hashes, for any number of slots.
    const fn home(&self, hash: u64) -> usize {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as usize
    }

    fn find(&self, from: usize, cell: Cell) -> Option<usize> {
        let mut at = from;
        loop {
            let key = self.slots.get(at)?.key;
            if key & CELL == cell.0 {
                return Some(at);
            }
            if key == 0 {
                return None;
            }
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
    }

    /// Adds a slot whose cell is not there; there must be room.
    fn push(&mut self, slot: Slot, hash: u64) {
        let mut at = self.home(hash);
        while self.slots[at].key != 0 {
            at += 1;
            if at == self.slots.len() {
                at = 0;
            }
        }
        self.slots[at] = slot;
        self.len += 1;
    }

    /// Empties a slot, and moves up those behind it that would not be found over the gap.
    fn remove(&mut self, mut gap: usize, hash_of: impl Fn(Slot) -> u64) {
        let count = self.slots.len();
        let mut at = gap;
        loop {
            at = (at + 1) % count;
            let slot = self.slots[at];
            if slot.key == 0 {
                break;
            }
            let home = self.home(hash_of(slot));
            // How far each lies behind the slot that is looked at.
            if (at + count - home) % count >= (at + count - gap) % count {
                self.slots[gap] = slot;
                gap = at;
            }
        }
        self.slots[gap] = Slot::default();
        self.len -= 1;
    }

    fn resize(&mut self, count: usize, hash_of: impl Fn(Slot) -> u64) {
        let fresh = Self {
            slots: vec![Slot::default(); count],
            len: 0,
        };
        for slot in std::mem::replace(self, fresh).slots {
            if slot.key != 0 {
                self.push(slot, hash_of(slot));
            }
        }
    }
}

impl Directory {
    /// Shows its allocations to a mover.
    pub(super) fn relocate(&mut self, mover: &mut impl Mover) {
        mover.vector(&mut self.tables);
        for table in &mut self.tables {
            mover.vector(&mut table.slots);
        }
    }

    /// How many cells there are.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    fn hash_of(&self) -> impl Fn(Slot) -> u64 + use<> {
        let keys = self.keys;
        move |slot| hash(keys, slot.key & CELL)
    }

    #[expect(clippy::cast_possible_truncation, reason = "below 256")]
    const fn table_of(&self, hash: u64) -> usize {
        hash as usize & (self.tables.len() - 1)
    }

    /// Where the probe for a cell begins. Touches no slot.
    #[expect(clippy::cast_possible_truncation, reason = "tables are small")]
    pub(super) fn place(&self, cell: Cell) -> Place {
        let hash = hash(self.keys, cell.0);
        let table = self.table_of(hash);
        Place {
            table: table as u32,
            slot: self.tables[table].home(hash) as u32,
        }
    }

    /// Brings the slot at a place near: a load that nothing waits for.
    pub(super) fn touch(&self, place: Place) -> u64 {
        let table = &self.tables[place.table as usize];
        table
            .slots
            .get(place.slot as usize)
            .map_or(0, |slot| slot.key)
    }

    /// The value of a cell whose place is known.
    pub(super) fn get_at(&self, place: Place, cell: Cell) -> Option<Value> {
        let table = &self.tables[place.table as usize];
        let at = table.find(place.slot as usize, cell)?;
        Some(table.slots[at].value())
    }

    /// The value of a cell.
    pub(super) fn get(&self, cell: Cell) -> Option<Value> {
        self.get_at(self.place(cell), cell)
    }

    /// Gives a cell a value.
    pub(super) fn set(&mut self, cell: Cell, value: Value) {
        let hash_of = self.hash_of();
        let (hash, slot) = (hash(self.keys, cell.0), Slot::new(cell, value));
        let table = self.table_of(hash);
        let table = &mut self.tables[table];
        if let Some(at) = table.find(table.home(hash), cell) {
            table.slots[at] = slot;
            return;
        }
        if (table.len + 1) * 4 > table.slots.len() * 3 {
            table.resize((table.slots.len() * 4).div_ceil(3).max(FIRST), hash_of);
        }
        table.push(slot, hash);
        self.len += 1;
        if self.len > MANY && self.tables.len() == 1 {
            self.spread(TABLES);
        }
    }

    /// Takes a cell out.
    pub(super) fn remove(&mut self, cell: Cell) {
        let hash_of = self.hash_of();
        let hash = hash(self.keys, cell.0);
        let table = self.table_of(hash);
        let table = &mut self.tables[table];
        let Some(at) = table.find(table.home(hash), cell) else {
            return;
        };
        table.remove(at, &hash_of);
        // Half a table stays for what comes next; four times too much does not.
        if table.slots.len() > FIRST && table.len * 4 < table.slots.len() {
            table.resize((table.len * 2).max(FIRST), hash_of);
        }
        self.len -= 1;
        if self.len < MANY / 8 && self.tables.len() > 1 {
            self.spread(1);
        }
    }

    /// Enters all cells into so many tables.
    fn spread(&mut self, tables: usize) {
        let hash_of = self.hash_of();
        let fresh = Table {
            slots: vec![Slot::default(); (self.len * 2 / tables).max(FIRST)],
            len: 0,
        };
        let old = std::mem::replace(&mut self.tables, vec![fresh; tables]);
        for slot in old.into_iter().flat_map(|table| table.slots) {
            if slot.key == 0 {
                continue;
            }
            let hash = hash_of(slot);
            let table = self.table_of(hash);
            let table = &mut self.tables[table];
            if (table.len + 1) * 4 > table.slots.len() * 3 {
                table.resize(table.slots.len() * 2, &hash_of);
            }
            table.push(slot, hash);
        }
    }

    /// Every cell with its value, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Cell, Value)> {
        let slots = self.tables.iter().flat_map(|table| &table.slots);
        slots
            .filter(|slot| slot.key != 0)
            .map(|slot| (Cell(slot.key & CELL), slot.value()))
    }

    /// Bytes of its own allocations.
    pub(super) fn heap_bytes(&self) -> usize {
        let tables = self.tables.iter();
        let slots: usize = tables
            .map(|table| rounded(table.slots.capacity() * size_of::<Slot>()))
            .sum();
        slots + rounded(self.tables.capacity() * size_of::<Table>())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn cells_come_and_go_as_in_a_map() {
        const CELLS: u32 = 20_000;
        let mut directory = Directory::default();
        let mut model = BTreeMap::new();
        let cell = |number: u32| Cell::new(8 + number % 3, number * 7 % 4001, number);
        for number in 0..CELLS * 2 {
            let at = number.wrapping_mul(2_654_435_761) % CELLS;
            let value = Value {
                kind: (number % 3) as u8,
                bits: number.into(),
            };
            if number % 3 == 0 && number > CELLS / 2 {
                directory.remove(cell(at));
                model.remove(&cell(at));
            } else {
                directory.set(cell(at), value);
                model.insert(cell(at), value);
            }
            assert_eq!(directory.len(), model.len());
        }
        assert_eq!(directory.tables.len(), TABLES);
        let check = |directory: &Directory, model: &BTreeMap<Cell, Value>| {
            for number in 0..CELLS {
                assert_eq!(
                    directory.get(cell(number)),
                    model.get(&cell(number)).copied()
                );
            }
            assert_eq!(directory.iter().collect::<BTreeMap<_, _>>(), *model);
        };
        check(&directory, &model);
        let full = directory.heap_bytes();
        for number in 10..CELLS {
            directory.remove(cell(number));
            model.remove(&cell(number));
        }
        check(&directory, &model);
        assert_eq!(directory.tables.len(), 1);
        assert!(directory.heap_bytes() < full / 100, "the tables shrink");
    }
}
