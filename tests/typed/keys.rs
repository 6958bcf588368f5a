//! `KeyTree`: what keys find, in which order values go, and what a panic leaves.

use std::alloc::Layout;
use std::cell::RefCell;
use std::mem::MaybeUninit;

use kmem::{Cond, Heap, Key, KeyTree, Lin, Owned, Pages, Pool, Source};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(feature = "shred")]
use crate::sources::{NEEDLE, needles};
#[cfg(not(target_arch = "wasm32"))]
use crate::tally::panics;
use crate::tally::{Tally, Told};

fn whole<T, S: Source>(tree: &KeyTree<T, S>) {
    tree.check().expect("the tree is whole");
}

/// Numbered 0 to 6: 0 over 1 (over 2 and 3), 4 and 5; and 6 beside 0.
fn family<'t, S: Source>(tree: &KeyTree<Told<'t>, S>, tally: &'t Tally) -> [Key; 7] {
    let insert = |parent| tree.insert(parent, tally.make()).expect("room");
    let a = insert(None);
    let b = insert(Some(a));
    [a, b, insert(Some(b)), insert(Some(b)), insert(Some(a)), insert(Some(a)), insert(None)]
}

#[test]
fn parents_go_before_children_and_siblings_first_to_last() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new());
    let mut tree = KeyTree::new_in(&heap);
    let keys = family(&tree, &tally);
    tree.free(keys[1]).expect("it is there");
    assert_eq!(tally.take_gone(), [1, 2, 3]);
    whole(&tree);
    tree.free(keys[0]).expect("it is there");
    assert_eq!(tally.take_gone(), [0, 4, 5]);
    assert_eq!((tree.len(), tree[keys[6]].number()), (1, 6));
    whole(&tree);
    drop(tree);
    assert_eq!((tally.take_gone(), heap.stats().live), (vec![6], 0));

    let tree = KeyTree::new_in(&heap);
    family(&tree, &tally);
    drop(tree);
    assert_eq!((tally.take_gone(), heap.stats().live), ((7..14).collect(), 0));
}

#[test]
fn links_are_those_of_the_family() {
    let tally = Tally::new();
    let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let k = family(&tree, &tally);
    assert_eq!(k.map(|key| tree.parent(key)), [None, Some(k[0]), Some(k[1]), Some(k[1]), Some(k[0]), Some(k[0]), None]);
    assert_eq!(k.map(|key| tree.next(key)), [Some(k[6]), Some(k[4]), Some(k[3]), None, Some(k[5]), None, None]);
    assert_eq!(k.map(|key| tree.prev(key)), [None, None, None, Some(k[2]), Some(k[1]), Some(k[4]), Some(k[0])]);
    assert_eq!(k.map(|key| tree.child(Some(key))), [Some(k[1]), Some(k[2]), None, None, None, None, None]);
    assert_eq!(tree.child(None), Some(k[0]));
    assert!(tree.children(Some(k[0])).eq([k[1], k[4], k[5]]) && tree.children(None).eq([k[0], k[6]]));
    assert!(tree.subtree(Some(k[1])).eq([k[1], k[2], k[3]]) && tree.subtree(None).eq(k));
    assert!(format!("{tree:?}").contains("number: 5"));
}

#[test]
fn an_empty_tree_takes_nothing_and_finds_nothing() {
    let heap = Heap::new_in(Pages::new());
    let mut tree: KeyTree<u8, _> = KeyTree::new_in(&heap);
    let other = KeyTree::new_in(&heap);
    let key = other.insert(None, 7_u8).expect("room");
    assert!(tree.is_empty() && tree.get(key).is_none() && tree.child(None).is_none());
    assert_eq!((tree.children(None).count(), tree.subtree(None).count(), tree.len()), (0, 0, 0));
    assert_eq!(
        (tree.free(key), tree.insert(Some(key), 1).expect_err("gone").cond),
        (Err(Cond::BadAddress), Cond::BadAddress)
    );
    whole(&tree);
}

#[test]
fn a_stale_key_finds_nothing_for_good() {
    let tally = Tally::new();
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let home = tree.insert(None, tally.make()).expect("room");
    let mut stale = Vec::new();
    for _ in 0..3000 {
        let key = tree.insert(Some(home), tally.make()).expect("room");
        assert_ne!(stale.last(), Some(&key), "the place is used again, the key is not");
        assert_eq!(tree[key].number(), tally.made() - 1);
        tree.free(key).expect("it is there");
        stale.push(key);
    }
    let newest = tree.insert(None, tally.make()).expect("room");
    for key in stale {
        assert!(key != newest && tree.get(key).is_none() && tree.get_mut(key).is_none());
        assert_eq!((tree.parent(key), tree.child(Some(key)), tree.next(key), tree.prev(key)), (None, None, None, None));
        assert_eq!((tree.free(key), tree.move_to(key, None)), (Err(Cond::BadAddress), Err(Cond::BadAddress)));
        assert_eq!(tree.move_to(newest, Some(key)), Err(Cond::BadAddress));
        assert_eq!(tree.subtree(Some(key)).count() + tree.children(Some(key)).count(), 0);
        #[cfg(feature = "shred")]
        assert_eq!((tree.shred(key), tree.taint(key)), (Err(Cond::BadAddress), Err(Cond::BadAddress)));
        let refused = tree.insert(Some(key), tally.make()).expect_err("the parent has gone");
        assert_eq!((refused.cond, refused.value.number()), (Cond::BadAddress, tally.made() - 1));
    }
    assert_eq!((tree.len(), tally.alive()), (2, 2));
    whole(&tree);
}

#[test]
fn a_moved_value_is_the_last_child_and_never_its_own() {
    let tally = Tally::new();
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let k = family(&tree, &tally);
    tree.move_to(k[1], Some(k[6])).expect("another branch");
    assert!(tree.subtree(None).eq([k[0], k[4], k[5], k[6], k[1], k[2], k[3]]));
    for below in [k[1], k[2], k[3]] {
        assert_eq!(tree.move_to(k[1], Some(below)), Err(Cond::InUse));
    }
    assert_eq!(tree.move_to(k[6], Some(k[3])), Err(Cond::InUse));
    tree.move_to(k[4], Some(k[0])).expect("the same parent");
    tree.move_to(k[2], None).expect("to the top");
    assert!(tree.subtree(None).eq([k[0], k[5], k[4], k[6], k[1], k[3], k[2]]));
    whole(&tree);
    tree.free(k[6]).expect("it is there");
    assert_eq!(tally.gone(), [6, 1, 3]);
}

#[test]
fn values_stay_where_they_are_while_others_come() {
    let tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let first = tree.insert(None, String::from("first")).expect("room");
    let seen: &String = &tree[first];
    for number in 0..5000 {
        tree.insert(Some(first), number.to_string()).expect("room");
    }
    assert_eq!((seen.as_str(), tree.len()), ("first", 5001));
    assert!(std::ptr::eq(seen, &tree[first]));
    assert!(tree.children(Some(first)).zip(0..).all(|(key, number)| tree[key] == number.to_string()));
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn whichever_destructor_panics_all_run_and_the_memory_comes_back() {
    let heap = Heap::new_in(Pages::new());
    for bomb in 0..7 {
        let tally = Tally::new();
        let tree = KeyTree::new_in(&heap);
        family(&tree, &tally);
        tally.arm(bomb);
        assert!(panics(|| drop(tree)).contains(&format!("value {bomb}")));
        assert_eq!((tally.gone(), heap.stats().live), ((0..7).collect(), 0));
        heap.check().expect("the heap is whole");
    }
    for bomb in 0..6 {
        let tally = Tally::new();
        let mut tree = KeyTree::new_in(&heap);
        let keys = family(&tree, &tally);
        tally.arm(bomb);
        let message = panics(|| match bomb {
            #[cfg(feature = "shred")]
            4.. => tree.shred(keys[0]),
            _ => tree.free(keys[0]),
        });
        assert!(message.contains(&format!("value {bomb}")));
        assert_eq!((tree.len(), tally.gone()), (1, (0..6).collect()));
        assert!(keys[..6].iter().all(|key| tree.get(*key).is_none()));
        whole(&tree);
        let again = tree.insert(Some(keys[6]), tally.make()).expect("it goes on");
        assert_eq!(tree[again].number(), 7);
        drop(tree);
        assert_eq!((tally.alive(), heap.stats().live), (0, 0));
        heap.check().expect("the heap is whole");
    }
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn a_chain_as_long_as_you_like_goes_in_little_stack() {
    let run = || {
        let tally = Tally::new();
        let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
        let top = tree.insert(None, tally.make()).expect("room");
        let mut last = top;
        for _ in 0..100_000 {
            last = tree.insert(Some(last), tally.make()).expect("room");
        }
        assert_eq!(tree.move_to(top, Some(last)), Err(Cond::InUse));
        tree.free(top).expect("it is there");
        assert_eq!((tree.len(), tally.alive()), (0, 0));
    };
    let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(run).expect("a thread");
    thread.join().expect("no panic");
}

/// A value with others of its own in the heap that the tree lies in.
struct Owner<'s, 't> {
    _mine: Owned<'s, Told<'t>, Heap<Pages>>,
    more: RefCell<Vec<Owned<'s, [u8; 100], Heap<Pages>>>>,
    heap: &'s Heap<Pages>,
}

impl Drop for Owner<'_, '_> {
    fn drop(&mut self) {
        // Frees, allocates and frees again while the tree's nodes go.
        self.more.borrow_mut().clear();
        let fresh = Owned::new_in([7_u8; 300], self.heap).expect("room");
        assert_eq!(fresh[299], 7);
    }
}

#[test]
fn a_destructor_may_use_the_store_that_its_tree_lies_in() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new());
    let mut tree = KeyTree::new_in(&heap);
    let mut last = None;
    for number in 0..200 {
        let owner = Owner {
            _mine: Owned::new_in(tally.make(), &heap).expect("room"),
            more: RefCell::new((0..3).map(|_| Owned::new_in([1; 100], &heap).expect("room")).collect()),
            heap: &heap,
        };
        let key = tree.insert(if number % 3 == 0 { None } else { last }, owner).map_err(|_| ()).expect("room");
        last = Some(key);
    }
    let tops: Vec<Key> = tree.children(None).collect();
    for key in &tops[..40] {
        tree.free(*key).expect("it is there");
        heap.check().expect("the heap is whole");
        whole(&tree);
    }
    drop(tree);
    assert_eq!((tally.alive(), heap.stats().live), (0, 0));
}

#[test]
fn a_tree_can_hold_trees() {
    let tally = Tally::new();
    let heap = Heap::new_in(Pages::new());
    let mut forest = KeyTree::new_in(&heap);
    let keys: Vec<Key> = (0..10)
        .map(|_| {
            let tree = KeyTree::new_in(&heap);
            family(&tree, &tally);
            forest.insert(None, tree).map_err(|_| ()).expect("room")
        })
        .collect();
    forest.move_to(keys[1], Some(keys[0])).expect("another branch");
    forest.free(keys[0]).expect("it is there");
    assert_eq!((tally.alive(), tally.gone()), (56, (0..14).collect()));
    drop(forest);
    assert_eq!((tally.alive(), heap.stats().live), (0, 0));
}

#[repr(align(512))]
struct Wide(u8);

#[test]
fn values_have_the_alignment_of_their_type_and_may_have_no_bytes() {
    let mut wide = KeyTree::new_in(Heap::new_in(Pages::new()));
    let keys: Vec<Key> = (0..100).map(|n| wide.insert(None, Wide(n)).map_err(|_| ()).expect("room")).collect();
    for (key, number) in keys.iter().zip(0..) {
        let value = wide.get_mut(*key).expect("it is there");
        assert!((&raw const *value).addr().is_multiple_of(512) && value.0 == number);
    }
    let mut none = KeyTree::new_in(Heap::new_in(Pages::new()));
    let keys: Vec<Key> = (0..100).map(|_| none.insert(None, ()).expect("room")).collect();
    none.free(keys[50]).expect("it is there");
    assert_eq!((none.len(), none.get(keys[50]), none.get(keys[51])), (99, None, Some(&())));
}

#[test]
fn what_a_source_refuses_changes_nothing() {
    let tally = Tally::new();
    let mut room = [MaybeUninit::uninit(); 16384];
    let heap = Heap::fixed(&mut room);
    let mut tree = KeyTree::new_in(&heap);
    let mut keys = Vec::new();
    let cond = loop {
        match tree.insert(keys.last().copied(), tally.make()) {
            Ok(key) => keys.push(key),
            Err(refused) => {
                assert_eq!(refused.value.number(), keys.len());
                break refused.cond;
            }
        }
    };
    assert!(cond == Cond::NoRoom && keys.len() > 32, "{cond} after {}", keys.len());
    whole(&tree);
    assert!(keys.iter().enumerate().all(|(at, key)| tree[*key].number() == at));
    tree.free(keys[keys.len() - 3]).expect("it is there");
    tree.insert(Some(keys[0]), tally.make()).expect("there is room again");
    drop(tree);
    assert_eq!((tally.alive(), heap.stats().live), (0, 0));

    let nothing = Heap::new_in(Pages::new()).limit(0);
    let empty = KeyTree::new_in(&nothing);
    assert_eq!(empty.insert(None, tally.make()).map(drop).map_err(Cond::from), Err(Cond::NoRoom));
    assert_eq!((empty.len(), tally.alive()), (0, 0));

    // A pool's cells hold nodes, but only the first blocks of slots.
    let pool = Pool::new_in(Layout::new::<[u64; 128]>(), Pages::new());
    let tree = KeyTree::new_in(&pool);
    let placed = (0..1000).take_while(|_| tree.insert(None, tally.make()).is_ok()).count();
    assert!((32..1000).contains(&placed), "{placed}");
    whole(&tree);
    drop(tree);
    assert_eq!((tally.alive(), pool.stats().live), (0, 0));
}

#[test]
fn a_tree_stands_on_a_region() {
    let tally = Tally::new();
    let mut lin = Lin::new_in(Pages::new());
    lin.scope(|scope| {
        let mut tree = KeyTree::new_in(&scope);
        let keys = family(&tree, &tally);
        tree.free(keys[1]).expect("it is there");
        let again = family(&tree, &tally);
        assert!(keys[1..4].iter().all(|key| tree.get(*key).is_none()) && tree[again[3]].number() == 10);
        whole(&tree);
    });
    assert_eq!((tally.alive(), lin.stats().bytes), (0, 0));
}

#[cfg(not(target_arch = "wasm32"))]
#[test]
fn looking_up_a_stale_key_by_index_panics() {
    let mut tree = KeyTree::new_in(Heap::new_in(Pages::new()));
    let key = tree.insert(None, 7).expect("room");
    tree.free(key).expect("it is there");
    assert!(panics(|| tree[key]).contains("still in the tree"));
}

#[cfg(feature = "shred")]
#[test]
fn what_is_shredded_or_tainted_leaves_no_byte() {
    type Secrets<'r> = KeyTree<[u8; 400], Heap<kmem::Fixed<'r>>>;
    let left = |act: &dyn Fn(&mut Secrets<'_>, Key)| {
        let mut room = [MaybeUninit::new(0_u8); 32768];
        let mut tree = KeyTree::new_in(Heap::fixed(&mut room));
        let parent = tree.insert(None, [0; 400]).expect("room");
        for _ in 0..3 {
            tree.insert(Some(parent), [NEEDLE; 400]).expect("room");
        }
        act(&mut tree, parent);
        drop(tree);
        needles(&room)
    };
    assert!(left(&|tree, parent| tree.free(parent).expect("it is there")) > 300, "the test would see them");
    assert_eq!(left(&|tree, parent| tree.shred(parent).expect("it is there")), 0);
    assert_eq!(
        left(&|tree, parent| {
            let keys: Vec<Key> = tree.children(Some(parent)).collect();
            keys.iter().for_each(|key| tree.taint(*key).expect("it is there"));
            tree.move_to(keys[0], None).expect("to the top");
            tree.free(keys[1]).expect("it is there");
        }),
        0
    );
}
