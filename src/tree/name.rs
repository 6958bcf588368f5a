//! Names of nodes, and types told by them.

use core::alloc::Layout;
use core::ffi::CStr;
use core::ptr::NonNull;

use super::Tree;
use super::node::N;
use super::release::Refused;
use crate::{Cond, Source};

/// A name: its length, and behind it its bytes with a zero at their end.
pub(super) struct Name {
    /// Bytes with the zero.
    len: usize,
}

impl Name {
    /// The block for a name of so many bytes.
    fn layout(len: usize) -> Result<Layout, Cond> {
        let size = len.checked_add(size_of::<Self>()).ok_or(Cond::BadSize)?;
        // If the source refuses to take it back, it must have room for a note of that.
        let size = size.max(size_of::<Refused>());
        Layout::from_size_align(size, align_of::<Self>().max(align_of::<Refused>())).map_err(|_| Cond::BadSize)
    }
}

/// The text of a name.
///
/// # Safety
///
/// The name is there, and stays as long as the text is used.
pub(super) unsafe fn text<'a>(name: NonNull<Name>) -> &'a CStr {
    // SAFETY: the caller's promise.
    let len = unsafe { name.read() }.len;
    // SAFETY: behind a name's length lie its bytes.
    let bytes = unsafe { name.add(1) };
    // SAFETY: so many, which nobody writes to until the name goes.
    let bytes = unsafe { NonNull::slice_from_raw_parts(bytes.cast::<u8>(), len).as_ref() };
    CStr::from_bytes_with_nul(bytes).unwrap_or_default()
}

/// What [`Tree::name`] says, where it is not known which tree a node is of: one that is being released does not tell.
///
/// ```
/// use kmem::{Heap, Pages, Tree, tree};
///
/// let tree = Tree::new_in(Heap::new_in(Pages::new()));
/// let root = tree.root()?;
/// // SAFETY: the root is a live node.
/// unsafe {
///     tree.set_name(root, Some(c"everything"))?;
///     assert_eq!(tree::name_of(root)?, Some(c"everything"));
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
///
/// # Errors
///
/// `fail_assert` if the node's header was overwritten.
///
/// # Safety
///
/// The address is that of a node of some tree, and the name is used no longer than it has it.
pub unsafe fn name_of<'a>(node: NonNull<u8>) -> Result<Option<&'a CStr>, Cond> {
    // SAFETY: the caller's promise.
    let node = unsafe { N::of_payload(node) };
    match node.stands() {
        Ok(()) | Err(Cond::InUse) => Ok(node.name()),
        Err(cond) => Err(cond),
    }
}

impl N {
    /// The node's name.
    pub(super) fn name<'a>(self) -> Option<&'a CStr> {
        // SAFETY: a name that a node has is there.
        self.name_ptr().map(|name| unsafe { text(name) })
    }
}

impl<S: Source> Tree<S> {
    /// Gives a node a name, which is copied; `None` takes it off.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.set_name(node, Some(c"request"))?;
    ///     assert_eq!(tree.name(node)?, Some(c"request"));
    ///     tree.set_name(node, None)?;
    ///     assert_eq!(tree.name(node)?, None);
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// What the source says: the node then has the name that it had; `in_use` if the node is being released, or while a
    /// guard is asked or the tree is walked.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree, and nobody looks at the name that it had.
    pub unsafe fn set_name(&self, node: NonNull<u8>, name: Option<&CStr>) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        let node = unsafe { self.node(node) }?;
        self.thaw()?;
        let new = match name {
            None => None,
            Some(name) => {
                self.make_room_for_rare(node)?;
                Some(self.make_name(name)?)
            }
        };
        if let Some(old) = node.replace_name(new) {
            self.free_name(old);
        }
        Ok(())
    }

    /// The name of a node, if it has one. Asked in a destructor, a node that is being released still has its name.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node.
    /// unsafe {
    ///     assert_eq!(tree.name(root)?, None);
    ///     tree.set_name(root, Some(c"everything"))?;
    ///     assert_eq!(tree.name(root)?, Some(c"everything"));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `fail_assert` if the node's header was found overwritten.
    ///
    /// # Safety
    ///
    /// The address is that of a node of this tree, and the name is used no longer than it has it.
    pub unsafe fn name<'a>(&self, node: NonNull<u8>) -> Result<Option<&'a CStr>, Cond> {
        // SAFETY: the caller's promise.
        unsafe { name_of(node) }
    }

    /// Whether a node has this name: a check of its type, where types are told by names.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Cond, Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<u64>())?.cast();
    ///     tree.set_name(node, Some(c"struct request"))?;
    ///     tree.check_name(node, c"struct request")?;
    ///     assert_eq!(tree.check_name(node, c"struct reply"), Err(Cond::Mismatch));
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `mismatch` if it has another or none; otherwise as for [`name`](Self::name).
    ///
    /// # Safety
    ///
    /// The address is that of a node of this tree.
    pub unsafe fn check_name(&self, node: NonNull<u8>, name: &CStr) -> Result<(), Cond> {
        // SAFETY: the caller's promise.
        match unsafe { self.name(node) }? {
            Some(has) if has == name => Ok(()),
            _ => Err(Cond::Mismatch),
        }
    }

    fn make_name(&self, name: &CStr) -> Result<NonNull<Name>, Cond> {
        let bytes = name.to_bytes_with_nul();
        let place = self.source.alloc(Name::layout(bytes.len())?)?.cast::<Name>();
        // SAFETY: just allocated for it.
        unsafe { place.write(Name { len: bytes.len() }) };
        // SAFETY: the bytes come behind it.
        let behind = unsafe { place.add(1) }.cast::<u8>();
        // SAFETY: there is room for all of them, in a block that nobody else has.
        unsafe { behind.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(place)
    }

    pub(super) fn free_name(&self, name: NonNull<Name>) {
        // SAFETY: a name that was made here, and that no node has any more.
        let len = unsafe { name.read() }.len;
        if let Ok(layout) = Name::layout(len) {
            // SAFETY: it came from the source with this layout, which has room for three words.
            unsafe { self.give_to_source(name.cast(), layout) };
        }
    }
}
