// Whoever gives a cell back by its address answers for it.
use core::alloc::Layout;
use kmem::{Heap, Lin, Pages, Pool, Source, Tree, free, refs, shred};

fn main() {
    let layout = Layout::new::<u64>();

    let heap = Heap::new_in(Pages::new());
    let cell = heap.alloc(layout).unwrap();
    heap.free(cell.cast());
    heap.resize(cell.cast(), 16);
    Source::free(&heap, cell.cast(), layout);
    free(heap.alloc_ptr(layout).unwrap());
    shred(heap.alloc_ptr(layout).unwrap());

    let lin = Lin::new_in(Pages::new());
    let mark = lin.mark().unwrap();
    lin.rewind(mark);

    let pool = Pool::new_in(layout, Pages::new());
    pool.free(pool.alloc().unwrap().cast());

    let counted = refs::alloc(&heap, layout).unwrap();
    refs::upref(counted.cast());
    refs::downref(counted.cast());

    let tree = Tree::new_in(Heap::new_in(Pages::new()));
    tree.alloc(tree.root().unwrap(), layout);
    tree.free(tree.root().unwrap());
}
