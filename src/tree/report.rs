//! A report of a subtree: one walker, and a text and a document of JSON made by it.

use core::cell::Cell as Var;
use core::ffi::CStr;
use core::fmt::{self, Write};
use core::ops::ControlFlow;
use core::ptr::NonNull;

use super::node::{HEADER, N};
use super::walk::Frozen;
use super::{Quota, Tree};
use crate::{Cond, Kind, Source};

/// What a report says of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'t> {
    /// The payload.
    pub node: NonNull<u8>,
    /// What it is used as: `tree`, or another for a node in which something else stands.
    pub kind: Kind,
    /// How far below the node that is reported on.
    pub depth: usize,
    /// Bytes of payload.
    pub size: usize,
    /// Bytes with the header, as a quota counts them.
    pub bytes: usize,
    /// Its name.
    pub name: Option<&'t CStr>,
    /// Whether its bytes are destroyed when it goes.
    pub tainted: bool,
    /// How many destructors it has.
    pub destructors: usize,
    /// Whether it has a guard.
    pub guarded: bool,
    /// What its subtree may take.
    pub quota: Option<Quota>,
}

/// A node and all below it, parent before children, to be walked or written out.
///
/// It is written as text by [`Display`](fmt::Display), and as JSON by [`json`](Self::json). While it is walked, whoever
/// would change the tree is refused with `in_use`.
///
/// ```
/// use core::alloc::Layout;
/// use kmem::{Heap, Pages, Tree};
///
/// let tree = Tree::new_in(Heap::new_in(Pages::new()));
/// let root = tree.root()?;
/// // SAFETY: live nodes, which are there as long as the report.
/// unsafe {
///     let request = tree.alloc(root, Layout::new::<[u8; 36]>())?.cast();
///     tree.set_name(request, Some(c"request"))?;
///     tree.alloc(request, Layout::new::<u64>())?;
///     let report = tree.report(request)?;
///     assert_eq!(report.to_string(), "request: 36 B\n  unnamed: 8 B\n2 nodes, 172 B with headers\n");
/// }
/// # Ok::<(), kmem::Cond>(())
/// ```
pub struct Report<'t> {
    top: N,
    care: &'t Var<u8>,
}

impl<'t> Report<'t> {
    /// Calls for each node until it is told to stop.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use core::ops::ControlFlow;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes, which are there as long as the report.
    /// let report = unsafe {
    ///     tree.alloc(root, Layout::new::<u64>())?;
    ///     tree.report(root)?
    /// };
    /// let mut nodes = 0;
    /// report.each(&mut |line| {
    ///     nodes += 1;
    ///     if line.depth > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// });
    /// assert_eq!(nodes, 2);
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    pub fn each(&self, visit: &mut dyn FnMut(&Line<'t>) -> ControlFlow<()>) {
        let _frozen = Frozen::by(self.care);
        let (mut node, mut depth) = (self.top, 0);
        loop {
            if visit(&Self::line(node, depth)).is_break() {
                return;
            }
            if let Some(child) = node.child() {
                (node, depth) = (child, depth + 1);
                continue;
            }
            while depth > 0 && node.next().is_none() {
                match node.parent() {
                    Some(parent) => (node, depth) = (parent, depth - 1),
                    None => return,
                }
            }
            match node.next() {
                Some(next) if depth > 0 => node = next,
                _ => return,
            }
        }
    }

    fn line(node: N, depth: usize) -> Line<'t> {
        let size = node.payload_size();
        Line {
            node: node.payload(),
            kind: node.kind().unwrap_or(Kind::Fail),
            depth,
            size,
            bytes: node.block().map_or(size + HEADER, |block| block.layout.size()),
            name: node.name(),
            tainted: node.is_tainted(),
            destructors: node.destructors(),
            guarded: node.is_guarded(),
            quota: node.quota(),
        }
    }

    /// The report as a document of JSON: an object with an array of `nodes`, and the sums.
    ///
    /// ```
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: the root is a live node, which is there as long as the report.
    /// let report = unsafe { tree.report(root)? };
    /// assert!(report.json().to_string().starts_with("{\"nodes\":[{\"depth\":0,"));
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    #[must_use]
    pub fn json(&self) -> impl fmt::Display + '_ {
        Json(self)
    }

    /// Writes with a function for each line, and gives the sums: nodes and bytes.
    fn write_each(&self, mut write: impl FnMut(&Line<'_>) -> fmt::Result) -> Result<(usize, usize), fmt::Error> {
        let (mut nodes, mut bytes, mut answer) = (0, 0, Ok(()));
        self.each(&mut |line| {
            nodes += 1;
            bytes += line.bytes;
            answer = write(line);
            if answer.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        answer.map(|()| (nodes, bytes))
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (nodes, bytes) = self.write_each(|line| {
            write!(f, "{:indent$}", "", indent = 2 * line.depth)?;
            match line.name {
                Some(name) => each_char(name, |c| f.write_char(if c.is_control() { ' ' } else { c }))?,
                None => f.write_str("unnamed")?,
            }
            write!(f, ": {} B", line.size)?;
            if line.kind != Kind::Tree {
                write!(f, ", used as {}", line.kind)?;
            }
            match line.destructors {
                0 => {}
                1 => f.write_str(", 1 destructor")?,
                many => write!(f, ", {many} destructors")?,
            }
            if line.guarded {
                f.write_str(", guarded")?;
            }
            if line.tainted {
                f.write_str(", tainted")?;
            }
            if let Some(Quota { bytes, used }) = line.quota {
                write!(f, ", {used} B of {bytes} B")?;
            }
            f.write_char('\n')
        })?;
        let (plural, headers) = if nodes == 1 { ("", "its header") } else { ("s", "headers") };
        writeln!(f, "{nodes} node{plural}, {bytes} B with {headers}")
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("node", &self.top.payload()).finish()
    }
}

struct Json<'r>(&'r Report<'r>);

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{\"nodes\":[")?;
        let mut first = true;
        let (nodes, bytes) = self.0.write_each(|line| {
            if !core::mem::take(&mut first) {
                f.write_char(',')?;
            }
            let (at, kind) = (line.node.addr(), line.kind);
            write!(f, "{{\"depth\":{},\"at\":{at},\"kind\":\"{kind}\",\"size\":{}", line.depth, line.size)?;
            write!(f, ",\"bytes\":{},\"name\":", line.bytes)?;
            match line.name {
                Some(name) => {
                    f.write_char('"')?;
                    each_char(name, |c| match c {
                        '"' | '\\' => write!(f, "\\{c}"),
                        '\0'..' ' => write!(f, "\\u{:04x}", u32::from(c)),
                        _ => f.write_char(c),
                    })?;
                    f.write_char('"')?;
                }
                None => f.write_str("null")?,
            }
            write!(f, ",\"tainted\":{},\"destructors\":{}", line.tainted, line.destructors)?;
            write!(f, ",\"guarded\":{},\"quota\":", line.guarded)?;
            match line.quota {
                Some(Quota { bytes, used }) => write!(f, "{{\"bytes\":{bytes},\"used\":{used}}}}}"),
                None => f.write_str("null}"),
            }
        })?;
        write!(f, "],\"count\":{nodes},\"bytes\":{bytes}}}")
    }
}

/// The characters of a name, with a replacement for what is none.
fn each_char(name: &CStr, mut write: impl FnMut(char) -> fmt::Result) -> fmt::Result {
    for chunk in name.to_bytes().utf8_chunks() {
        chunk.valid().chars().try_for_each(&mut write)?;
        if !chunk.invalid().is_empty() {
            write(char::REPLACEMENT_CHARACTER)?;
        }
    }
    Ok(())
}

impl<S: Source> Tree<S> {
    /// A report of a node and all below it: sizes, names, destructors, guards, quotas.
    ///
    /// ```
    /// use core::alloc::Layout;
    /// use kmem::{Heap, Pages, Tree};
    ///
    /// let tree = Tree::new_in(Heap::new_in(Pages::new()));
    /// let root = tree.root()?;
    /// // SAFETY: live nodes, which are there as long as the report.
    /// unsafe {
    ///     let node = tree.alloc(root, Layout::new::<[u8; 100]>())?.cast();
    ///     tree.set_quota(node, Some(4096))?;
    ///     println!("{}", tree.report(node)?);
    /// }
    /// # Ok::<(), kmem::Cond>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `in_use` if the node is being released.
    ///
    /// # Safety
    ///
    /// The address is that of a live node of this tree, which is not released as long as the report is used.
    pub unsafe fn report(&self, node: NonNull<u8>) -> Result<Report<'_>, Cond> {
        // SAFETY: the caller's promise.
        let top = unsafe { self.node(node) }?;
        Ok(Report { top, care: &self.care })
    }
}
