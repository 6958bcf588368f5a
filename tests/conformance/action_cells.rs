//! A test for each action of counted cells and of trees.

/// Counted cells.
pub mod refs {
    use std::ptr::NonNull;

    use kmem::{Cond, Heap, Kind, Ptr, refs};

    use crate::common::{differs, layout, raw_bytes, room, write_pattern};

    const SIZE: usize = 100;

    fn marked(cell: Result<NonNull<[u8]>, Cond>, number: u64) -> NonNull<u8> {
        let cell = cell.expect("there is room");
        assert_eq!((cell.len(), unsafe { refs::header(cell.cast()) }.refs()), (SIZE, 1), "it has one reference");
        write_pattern(cell.cast(), 0..SIZE, number);
        cell.cast()
    }

    fn is_ref(ptr: Ptr) -> NonNull<u8> {
        assert_eq!((ptr.kind(), ptr.size(), ptr.is_tainted()), (Kind::Ref, Some(SIZE), false));
        NonNull::new(ptr.payload()).expect("a live cell")
    }

    /// Leaves dirty memory where the next cell will be.
    fn dirty(heap: &Heap<kmem::Fixed<'_>>) -> NonNull<u8> {
        let cell = marked(refs::alloc(heap, layout(SIZE, 16)), 8);
        unsafe { refs::free(cell) }.expect("the last reference");
        cell
    }

    pub fn allocate() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let cells = [1, 2, 3].map(|number| marked(refs::alloc(&heap, layout(SIZE, 32)), number));
        for (number, cell) in (1..).zip(cells) {
            assert!(differs(cell, SIZE, number).is_none() && cell.addr().get().is_multiple_of(32));
        }
    }

    pub fn allocate_pointer() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let ptr = refs::alloc_ptr(&heap, layout(SIZE, 16)).expect("there is room");
        assert_eq!(unsafe { refs::header(is_ref(ptr)) }.refs(), 1);
        unsafe { kmem::free(ptr) }.expect("a live cell");
        assert_eq!(heap.stats().live, 0);
    }

    pub fn zero() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let place = dirty(&heap);
        let cell = refs::alloc_zeroed(&heap, layout(SIZE, 16)).expect("there is room").cast();
        assert_eq!((cell, raw_bytes(cell, SIZE)), (place, vec![0; SIZE]), "though the place was used before");
    }

    pub fn zero_pointer() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let place = dirty(&heap);
        let cell = is_ref(refs::alloc_zeroed_ptr(&heap, layout(SIZE, 16)).expect("there is room"));
        assert_eq!((cell, raw_bytes(cell, SIZE)), (place, vec![0; SIZE]), "though the place was used before");
    }

    pub fn free() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let cell = marked(refs::alloc(&heap, layout(SIZE, 16)), 1);
        assert_eq!(unsafe { refs::upref(cell) }, Ok(2));
        assert_eq!((unsafe { refs::free(cell) }, differs(cell, SIZE, 1)), (Ok(()), None), "it drops one reference");
        assert_eq!((unsafe { refs::header(cell) }.refs(), heap.stats().live), (1, 1));
        assert_eq!((unsafe { refs::free(cell) }, heap.stats().live), (Ok(()), 0));
    }

    #[cfg(feature = "shred")]
    pub fn shred() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let cell = marked(refs::alloc(&heap, layout(SIZE, 16)), 1);
        let other = marked(refs::alloc(&heap, layout(SIZE, 16)), 2);
        assert_eq!(unsafe { refs::upref(cell) }, Ok(2));
        assert_eq!((unsafe { refs::shred(cell) }, differs(cell, SIZE, 1)), (Ok(()), None), "another still has it");
        assert!(unsafe { refs::header(cell) }.id().is_tainted(), "but it is marked");
        assert_eq!(unsafe { refs::downref(cell) }, Ok(0));
        // The block's last word is the heap's again.
        assert!(raw_bytes(cell, SIZE)[..SIZE - 16].iter().all(|byte| *byte == 0), "the bytes go with the last one");
        assert_eq!(differs(other, SIZE, 2), None);
        unsafe { refs::taint(other) };
        assert_eq!(unsafe { refs::downref(other) }, Ok(0));
        assert!(raw_bytes(other, SIZE)[..SIZE - 16].iter().all(|byte| *byte == 0));
    }

    pub fn upref() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let cell = marked(refs::alloc(&heap, layout(SIZE, 16)), 1);
        for count in 2..10 {
            assert_eq!((unsafe { refs::upref(cell) }, unsafe { refs::header(cell) }.refs()), (Ok(count), count));
        }
        assert_eq!((differs(cell, SIZE, 1), heap.stats().live), (None, 1));
    }

    pub fn downref() {
        let mut bytes = room(4096);
        let heap = Heap::fixed(&mut bytes);
        let cell = marked(refs::alloc(&heap, layout(SIZE, 16)), 1);
        for _ in 0..5 {
            unsafe { refs::upref(cell) }.expect("far from the most");
        }
        for count in (0..=5).rev() {
            assert_eq!(heap.stats().live, 1);
            assert_eq!(unsafe { refs::downref(cell) }, Ok(count));
        }
        assert_eq!(heap.stats().live, 0, "the last one releases");
        heap.check().expect("the heap is whole");
    }
}

/// Trees.
pub mod tree {
    use std::ptr::NonNull;

    use kmem::{Cond, Fixed, Heap, Kind, Ptr, Source, Tree};

    use crate::common::{Watched, differs, layout, raw_bytes, room, write_pattern};

    const SIZE: usize = 100;

    type Place = NonNull<u8>;

    fn root<S: Source>(tree: &Tree<S>) -> Place {
        tree.root().expect("there is room")
    }

    fn node<S: Source>(tree: &Tree<S>, parent: Place, number: u64) -> Place {
        let node = unsafe { tree.alloc(parent, layout(SIZE, 16)) }.expect("there is room");
        assert_eq!(node.len(), SIZE);
        write_pattern(node.cast(), 0..SIZE, number);
        node.cast()
    }

    fn is_node<S: Source>(tree: &Tree<S>, ptr: Ptr) -> Place {
        assert_eq!((ptr.kind(), ptr.size(), ptr.is_tainted()), (Kind::Tree, Some(SIZE), false));
        let node = NonNull::new(ptr.payload()).expect("a live node");
        assert_eq!(unsafe { tree.header(node) }.parent(), Some(root(tree)));
        node
    }

    pub fn initialise() {
        let mut bytes = room(8192);
        let source = Watched::new(Fixed::new(&mut bytes));
        let tree = Tree::new_in(&source);
        assert_eq!((source.blocks(), tree.stats().live), (0, 0), "a new tree has taken nothing");
        let at = node(&tree, root(&tree), 1);
        assert_eq!((source.blocks(), tree.stats().live), (2, 2), "then the root and the node, each a block");
        assert_eq!(unsafe { tree.header(at) }.parent(), Some(root(&tree)));
        drop(tree);
        assert_eq!(source.blocks(), 0);
        let managed = Tree::managed_in(Heap::new_in(&source).first_block(1024));
        assert!(managed.alloc_ptr(root(&managed), layout(SIZE, 16)).is_ok() && source.blocks() == 1);
    }

    pub fn initialise_fixed() {
        let mut bytes = room(4096);
        let span = bytes.as_ptr_range();
        let span = span.start.addr()..span.end.addr();
        let tree = Tree::fixed(&mut bytes);
        let root = root(&tree);
        let mut nodes = 0;
        let refused = loop {
            match unsafe { tree.alloc(root, layout(SIZE, 16)) } {
                Ok(node) => assert!(span.contains(&node.cast::<u8>().addr().get()), "in the caller's bytes"),
                Err(cond) => break cond,
            }
            nodes += 1;
        };
        assert_eq!((refused, nodes > 8, tree.stats().live), (Cond::NoRoom, true, nodes + 1));
        tree.check().expect("a full tree is whole");
    }

    pub fn allocate() {
        let mut bytes = room(8192);
        let tree = Tree::fixed(&mut bytes);
        let parent = node(&tree, root(&tree), 1);
        let children = [2, 3].map(|number| node(&tree, parent, number));
        let header = unsafe { tree.header(parent) };
        assert_eq!((header.child(), header.lastchild()), (Some(children[0]), Some(children[1])));
        assert_eq!(
            (differs(parent, SIZE, 1), differs(children[0], SIZE, 2), differs(children[1], SIZE, 3)),
            (None, None, None)
        );
        let aligned = unsafe { tree.alloc(parent, layout(SIZE, 512)) }.expect("there is room").cast::<u8>();
        assert!(
            aligned.addr().get().is_multiple_of(512) && unsafe { tree.header(parent) }.lastchild() == Some(aligned)
        );
    }

    pub fn allocate_pointer() {
        let mut bytes = room(8192);
        let tree = Tree::fixed(&mut bytes);
        let ptr = tree.alloc_ptr(root(&tree), layout(SIZE, 16)).expect("there is room");
        let child = node(&tree, is_node(&tree, ptr), 1);
        assert_eq!((tree.stats().live, differs(child, SIZE, 1)), (3, None));
        unsafe { kmem::free(ptr) }.expect("a live node");
        assert_eq!(tree.stats().live, 1, "its subtree goes with it");
    }

    /// Leaves dirty memory where the next node will be.
    fn dirty(tree: &Tree<Heap<Fixed<'_>>>) -> Place {
        let place = node(tree, root(tree), 8);
        unsafe { tree.free(place) }.expect("a live node");
        place
    }

    pub fn zero() {
        let mut bytes = room(8192);
        let tree = Tree::fixed(&mut bytes);
        let place = dirty(&tree);
        let node = unsafe { tree.alloc_zeroed(root(&tree), layout(SIZE, 16)) }.expect("there is room").cast();
        assert_eq!((node, raw_bytes(node, SIZE)), (place, vec![0; SIZE]), "though the place was used before");
    }

    pub fn zero_pointer() {
        let mut bytes = room(8192);
        let tree = Tree::fixed(&mut bytes);
        let place = dirty(&tree);
        let node = is_node(&tree, tree.alloc_zeroed_ptr(root(&tree), layout(SIZE, 16)).expect("there is room"));
        assert_eq!((node, raw_bytes(node, SIZE)), (place, vec![0; SIZE]), "though the place was used before");
    }

    /// Two nodes under one, and one beside it.
    fn family(tree: &Tree<Heap<Fixed<'_>>>) -> [Place; 4] {
        let top = node(tree, root(tree), 1);
        let a = node(tree, top, 2);
        [top, a, node(tree, a, 3), node(tree, root(tree), 4)]
    }

    pub fn free() {
        let mut bytes = room(8192);
        let tree = Tree::fixed(&mut bytes);
        let [top, .., beside] = family(&tree);
        unsafe { tree.free(top) }.expect("no guard refuses");
        assert_eq!((tree.stats().live, tree.source().stats().live), (2, 2), "the whole subtree goes");
        let header = unsafe { tree.header(root(&tree)) };
        assert_eq!((header.child(), header.lastchild(), differs(beside, SIZE, 4)), (Some(beside), Some(beside), None));
        unsafe { tree.free(root(&tree)) }.expect("the root can be freed too");
        assert_eq!((tree.stats().live, tree.source().stats().live), (0, 0));
        tree.check().expect("an empty tree is whole");
    }

    #[cfg(feature = "shred")]
    pub fn shred() {
        let mut bytes = room(8192);
        let tree = Tree::fixed(&mut bytes);
        let [top, a, b, beside] = family(&tree);
        unsafe { tree.shred(top) }.expect("no guard refuses");
        for node in [top, a, b] {
            // The heap below has its lists in what is free: in the first words of a block, and the last.
            assert!(raw_bytes(node, SIZE)[..SIZE - 16].iter().all(|byte| *byte == 0), "the whole subtree's bytes");
        }
        assert_eq!((differs(beside, SIZE, 4), tree.stats().live), (None, 2));
    }

    pub fn destroy() {
        let mut bytes = room(16 << 10);
        let source = Watched::new(Heap::fixed(&mut bytes));
        let mut tree = Tree::new_in(&source);
        for _ in 0..3 {
            let top = node(&tree, root(&tree), 1000);
            for number in 0..20 {
                node(&tree, top, number);
            }
            #[cfg(feature = "shred")]
            unsafe { tree.taint_node(top) }.expect("a live node");
            let secret = raw_bytes(top, SIZE)[30..60].to_vec();
            source.keep_returned();
            assert!(source.holds(&secret) && source.blocks() == 22);
            tree.destroy().expect("the source takes its blocks back");
            let stats = tree.stats();
            assert_eq!((source.blocks(), stats.live, stats.bytes, stats.held), (0, 0, 0, 0));
            assert_eq!(source.holds(&secret), !cfg!(feature = "shred"), "a tainted node is shredded first");
        }
    }

    pub fn resize() {
        let mut bytes = room(8192);
        let tree = Tree::fixed(&mut bytes);
        let [top, a, b, beside] = family(&tree);
        let moved = unsafe { tree.resize(top, 600) }.expect("there is room").cast::<u8>();
        assert!(moved != top && differs(moved, SIZE, 1).is_none(), "it keeps its bytes");
        let header = unsafe { tree.header(moved) };
        assert_eq!((header.child(), header.lastchild(), header.next()), (Some(a), Some(a), Some(beside)));
        assert_eq!(unsafe { tree.header(a) }.parent(), Some(moved), "and all that link to it know");
        assert_eq!(unsafe { tree.header(root(&tree)) }.child(), Some(moved));
        let shorter = unsafe { tree.resize(b, 7) }.expect("smaller").cast::<u8>();
        assert_eq!(differs(shorter, 7, 3), None);
        tree.check().expect("the tree is whole");
        assert_eq!(unsafe { tree.resize(a, 50_000) }, Err(Cond::NoRoom));
        assert_eq!(unsafe { tree.resize(a, isize::MAX as usize) }, Err(Cond::BadSize));
        assert_eq!(unsafe { tree.resize(root(&tree), 50) }, Err(Cond::InUse), "the root holds nothing of yours");
        assert_eq!((differs(a, SIZE, 2), tree.stats().live), (None, 5));
        #[cfg(feature = "shred")]
        {
            unsafe { tree.taint_node(beside) }.expect("a live node");
            let secret = raw_bytes(beside, SIZE)[30..60].to_vec();
            let last = unsafe { tree.resize(beside, 900) }.expect("there is room").cast::<u8>();
            assert!(last != beside && raw_bytes(beside, SIZE)[30..60] != secret, "the old place is shredded");
            assert!(unsafe { tree.header(last) }.id().is_tainted(), "taint follows");
        }
    }
}
