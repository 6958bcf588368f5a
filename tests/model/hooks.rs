//! What the tree's model hangs on nodes: guards, and destructors that tell and act.

use core::alloc::Layout;
use core::cell::RefCell;
use core::ptr::NonNull;

use kmem::{Cond, Source, Tree};

use super::cells::differs;

/// What hooks and the model tell each other; hooks know it by address.
pub struct Talk {
    pub tree: *const (),
    /// Nodes that are going: address, tag and size.
    pub doomed: Vec<(NonNull<u8>, u32, usize)>,
    /// A node outside of what is going, which the first hook that wants to frees.
    pub outside: Option<NonNull<u8>>,
    /// Where hooks may act: the root, unless it goes too.
    pub root: Option<NonNull<u8>>,
    pub ran: Vec<usize>,
    pub born: Vec<NonNull<[u8]>>,
}

impl Talk {
    pub fn new() -> Box<RefCell<Self>> {
        Box::new(RefCell::new(Self {
            tree: core::ptr::null(),
            doomed: Vec::new(),
            outside: None,
            root: None,
            ran: Vec::new(),
            born: Vec::new(),
        }))
    }
}

/// A hook's context: its number, and where to tell.
struct Context {
    talk: *const RefCell<Talk>,
    number: usize,
}

/// The context of a new hook; [`hook`] or [`drop_context`] frees it.
pub fn context(talk: &RefCell<Talk>, number: usize) -> *mut () {
    Box::into_raw(Box::new(Context { talk, number })).cast()
}

/// Frees the context of a hook that will not run.
pub fn drop_context(context: *mut ()) {
    // SAFETY: only for what `context` made, of a hook that was taken off or never put on.
    drop(unsafe { Box::from_raw(context.cast::<Context>()) });
}

/// What a hook allocates.
pub const BORN: Layout = Layout::new::<[usize; 3]>();

/// Proves that what is going is readable, and acts on nodes in and outside of it.
pub unsafe fn hook<S: Source>(payload: NonNull<u8>, context: *mut ()) {
    // SAFETY: the model boxed the context for this hook, which runs once.
    let Context { talk, number } = *unsafe { Box::from_raw(context.cast::<Context>()) };
    if cfg!(panic = "unwind") && std::thread::panicking() {
        // The tree goes because the test failed already.
        return;
    }
    // SAFETY: the talk outlives the tree.
    let shared = unsafe { &*talk };
    let (tree, root, outside) = {
        let mut talk = shared.borrow_mut();
        let here = talk.doomed.iter().position(|(at, ..)| *at == payload).expect("only what is going has hooks run");
        for at in [0, here, talk.doomed.len() - 1] {
            let (at, tag, size) = talk.doomed[at];
            assert_eq!(differs(at, tag, size), None, "a doomed payload is not whole");
        }
        talk.ran.push(number);
        let outside = if number.is_multiple_of(3) { talk.outside.take() } else { None };
        (talk.tree.cast::<Tree<S>>(), talk.root, outside)
    };
    // SAFETY: the tree is where it was when the release began.
    let tree = unsafe { &*tree };
    // SAFETY: the node is doomed, so this is refused; the root and what is outside are live.
    unsafe {
        assert_eq!(tree.free(payload), Err(Cond::InUse));
        assert_eq!(tree.resize(payload, 500), Err(Cond::InUse));
        assert_eq!(tree.alloc(payload, BORN), Err(Cond::InUse));
        assert_eq!(tree.free_children(payload), Err(Cond::InUse));
        let Some(root) = root else { return };
        assert_eq!(tree.move_to(payload, root), Err(Cond::InUse));
        assert_eq!(tree.move_to(root, payload), Err(Cond::InUse));
        if number.is_multiple_of(2)
            && let Ok(bytes) = tree.alloc(root, BORN)
        {
            shared.borrow_mut().born.push(bytes);
        }
        if let Some(outside) = outside {
            tree.free(outside).expect("a node outside is freed");
        }
    }
}

/// Refuses while the flag that is its context is set.
pub unsafe fn guard(_: NonNull<u8>, context: *mut ()) -> bool {
    // SAFETY: the context is the address of a flag that outlives the tree.
    unsafe { context.cast::<bool>().read() }
}
