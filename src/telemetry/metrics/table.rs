//! What counting consists of: numbers that threads share, and tables of them.

use std::marker::PhantomData;
use std::ops::Index;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

use super::family::MetricValue;
use super::labels::Label;

/// Only grows. Relaxed: a page needs no order among numbers.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub(super) fn value(&self) -> MetricValue {
        MetricValue::Counter(self.get() as f64)
    }
}

/// Goes up and down.
#[derive(Debug, Default)]
pub(super) struct Gauge(AtomicI64);

impl Gauge {
    pub(super) fn shift(&self, by: i64) {
        self.0.fetch_add(by, Relaxed);
    }

    pub(super) fn value(&self) -> MetricValue {
        MetricValue::Gauge(self.0.load(Relaxed) as f64)
    }
}

/// A value for each value of a label. Tables of tables have two labels.
#[derive(Debug)]
pub(super) struct Table<L, V> {
    values: Box<[V]>,
    label: PhantomData<fn(L)>,
}

impl<L: Label, V> Table<L, V> {
    pub(super) fn new(value: impl Fn() -> V) -> Self {
        Self {
            values: L::ALL.iter().map(|_| value()).collect(),
            label: PhantomData,
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (L, &V)> {
        L::ALL.iter().copied().zip(&self.values)
    }
}

impl<L: Label, V: Default> Default for Table<L, V> {
    fn default() -> Self {
        Self::new(V::default)
    }
}

impl<L: Label, V> Index<L> for Table<L, V> {
    type Output = V;

    /// In range: there is a value for each of `ALL`, and an index is a position in it.
    fn index(&self, label: L) -> &V {
        &self.values[label.index()]
    }
}
