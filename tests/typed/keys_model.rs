//! `KeyTree` beside a naive model, through random calls.

use std::collections::HashMap;

use kmem::{Cond, Heap, Key, KeyTree, Lin, Pages, Pool, Source};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(not(target_arch = "wasm32"))]
use crate::tally::panics;
use crate::tally::{Tally, Told};

/// What a value is said to be: its number, and who is above and below.
struct Entry {
    number: usize,
    parent: Option<Key>,
    children: Vec<Key>,
}

#[derive(Default)]
struct Model {
    entries: HashMap<Key, Entry>,
    tops: Vec<Key>,
    /// The keys of those that are there, in no order, to choose from.
    live: Vec<Key>,
    /// Keys of what has gone.
    stale: Vec<Key>,
}

impl Model {
    fn list(&mut self, parent: Option<Key>) -> &mut Vec<Key> {
        match parent {
            Some(key) => &mut self.entries.get_mut(&key).expect("the parent is there").children,
            None => &mut self.tops,
        }
    }

    fn insert(&mut self, key: Key, number: usize, parent: Option<Key>) {
        assert!(!self.stale.contains(&key), "a key comes once");
        self.list(parent).push(key);
        self.live.push(key);
        let before = self.entries.insert(key, Entry { number, parent, children: Vec::new() });
        assert!(before.is_none(), "a key names one value");
    }

    /// A value and everything below it, parents before children.
    fn subtree(&self, key: Key) -> Vec<Key> {
        let mut order = vec![key];
        let mut at = 0;
        while at < order.len() {
            // Depth first: the children come right after their parent.
            let children = self.entries[&order[at]].children.clone();
            order.splice(at + 1..at + 1, children);
            at += 1;
        }
        order
    }

    fn numbers(&self, keys: &[Key]) -> Vec<usize> {
        keys.iter().map(|key| self.entries[key].number).collect()
    }

    fn free(&mut self, key: Key) {
        let parent = self.entries[&key].parent;
        self.list(parent).retain(|other| *other != key);
        for key in self.subtree(key) {
            self.entries.remove(&key);
            self.live.retain(|other| *other != key);
            self.stale.push(key);
        }
    }

    fn move_to(&mut self, key: Key, parent: Option<Key>) -> Result<(), Cond> {
        if parent.is_some_and(|parent| self.subtree(key).contains(&parent)) {
            return Err(Cond::InUse);
        }
        let old = self.entries[&key].parent;
        self.list(old).retain(|other| *other != key);
        self.list(parent).push(key);
        self.entries.get_mut(&key).expect("it is there").parent = parent;
        Ok(())
    }

    fn compare<S: Source>(&self, tree: &KeyTree<Told<'_>, S>) {
        assert_eq!(tree.len(), self.entries.len());
        assert!(tree.children(None).eq(self.tops.iter().copied()));
        let whole: Vec<Key> = self.tops.iter().flat_map(|key| self.subtree(*key)).collect();
        assert!(tree.subtree(None).eq(whole.iter().copied()));
        for (key, entry) in &self.entries {
            assert_eq!((tree[*key].number(), tree.parent(*key)), (entry.number, entry.parent));
            assert!(tree.children(Some(*key)).eq(entry.children.iter().copied()));
        }
        assert!(self.stale.iter().all(|key| tree.get(*key).is_none()));
    }
}

/// Values that there should be about.
const ABOUT: usize = 450;

fn random_calls<S: Source>(source: S, seed: u32, steps: usize) {
    let mut random = seed;
    let mut below = |most: usize| {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        random as usize % most.max(1)
    };
    let tally = Tally::new();
    let mut tree = KeyTree::new_in(source);
    let mut model = Model::default();
    let mut sum = 0;
    for step in 0..steps {
        let some = model.live.get(below(model.live.len())).copied();
        let other = model.live.get(below(model.live.len())).copied().filter(|_| below(8) > 0);
        match (some, below(100)) {
            (Some(key), 0..5) => {
                // What goes may be large: let the tree not shrink too far.
                let doomed = model.subtree(key);
                if doomed.len() < 60 || model.live.len() > 2 * ABOUT {
                    let numbers = model.numbers(&doomed);
                    release(&mut tree, key, &numbers, &tally, below(4));
                    assert_eq!(tally.take_gone(), numbers, "each once, parents first");
                    model.free(key);
                }
            }
            (Some(key), 5..25) => assert_eq!(tree.move_to(key, other), model.move_to(key, other)),
            (Some(key), 25..35) => {
                let value = tree.get_mut(key).expect("it is there");
                let before = value.number();
                *value = tally.make();
                let number = value.number();
                assert_eq!(tally.take_gone(), [before]);
                model.entries.get_mut(&key).expect("it is there").number = number;
            }
            (Some(key), 35..40) => {
                let entry = &model.entries[&key];
                let siblings = entry.parent.map_or(&model.tops, |parent| &model.entries[&parent].children);
                let at = siblings.iter().position(|one| *one == key).expect("among its siblings");
                assert_eq!(tree.next(key), siblings.get(at + 1).copied());
                assert_eq!(tree.prev(key), at.checked_sub(1).map(|before| siblings[before]));
                assert_eq!(tree.child(Some(key)), entry.children.first().copied());
            }
            (Some(key), 40..55) if model.live.len() > ABOUT => {
                let leaf = model.subtree(key).pop().expect("itself at least");
                tree.free(leaf).expect("it is there");
                assert_eq!(tally.take_gone(), [model.entries[&leaf].number]);
                model.free(leaf);
            }
            _ if model.live.len() < 2 * ABOUT => {
                let told = tally.make();
                let number = told.number();
                let key = tree.insert(other, told).expect("room");
                model.insert(key, number, other);
            }
            _ => {}
        }
        for _ in 0..3 {
            if let Some(key) = model.stale.get(below(model.stale.len())) {
                assert!(tree.get(*key).is_none());
                assert_eq!((tree.free(*key), tree.move_to(*key, some)), (Err(Cond::BadAddress), Err(Cond::BadAddress)));
            }
        }
        tree.check().expect("the tree is whole");
        assert_eq!((tree.len(), tally.alive()), (model.entries.len(), model.entries.len()));
        if step.is_multiple_of(100) {
            model.compare(&tree);
        }
        sum += model.entries.len();
    }
    model.compare(&tree);
    assert!(sum / steps >= 300, "few values on average: {}", sum / steps);
    assert!(model.stale.len() > steps / 20, "few went: {}", model.stale.len());
    let rest: Vec<Key> = model.tops.iter().flat_map(|key| model.subtree(*key)).collect();
    drop(tree);
    assert_eq!((tally.take_gone(), tally.alive()), (model.numbers(&rest), 0));
}

/// Releases a value in one of the ways there are; one of them has a destructor panic.
fn release<S: Source>(tree: &mut KeyTree<Told<'_>, S>, key: Key, numbers: &[usize], tally: &Tally, way: usize) {
    match way {
        #[cfg(not(target_arch = "wasm32"))]
        0 => {
            tally.arm(numbers[numbers.len() / 2]);
            assert!(panics(|| tree.free(key)).contains("panics when it is dropped"));
        }
        #[cfg(feature = "shred")]
        1 => tree.shred(key).expect("it is there"),
        _ => {
            let _ = (numbers, tally);
            tree.free(key).expect("it is there");
        }
    }
}

#[test]
fn a_tree_over_a_heap_does_what_the_model_does() {
    let heap = Heap::new_in(Pages::new());
    random_calls(&heap, 0x9e37_79b9, 12_000);
    assert_eq!(heap.stats().live, 0);
    heap.check().expect("the heap is whole");
    random_calls(Heap::new_in(Pages::new()), 0x1b87_3593, 6000);
}

#[test]
fn a_tree_over_a_region_does_what_the_model_does() {
    random_calls(Lin::with_headers_in(Pages::new()), 0x85eb_ca6b, 6000);
}

#[test]
fn a_tree_over_a_pool_does_what_the_model_does() {
    // Large enough for the blocks of slots, each twice the one before.
    let pool = Pool::with_headers_in(std::alloc::Layout::new::<[u64; 4096]>(), Pages::new());
    random_calls(&pool, 0xc2b2_ae35, 3000);
    assert_eq!(pool.stats().live, 0);
    pool.check().expect("the pool is whole");
}
