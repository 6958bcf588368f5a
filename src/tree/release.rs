//! Releasing a subtree: ask the guards, run the destructors, give the memory back.

use core::ptr;

use super::Tree;
use super::node::N;
use crate::cell::State;
use crate::wipe::wipe_if;
use crate::{Cond, Source};

/// A subtree that is going. If a destructor panics, the others still run and the memory still goes.
struct Doom<'t, S: Source> {
    tree: &'t Tree<S>,
    top: N,
    /// The node whose destructors are to run next.
    next: Option<N>,
    shred: bool,
}

impl<S: Source> Doom<'_, S> {
    fn run_destructors(&mut self) {
        while let Some(node) = self.next {
            if !self.tree.run_hook(node) {
                self.next = node.after(self.top);
            }
        }
    }
}

impl<S: Source> Drop for Doom<'_, S> {
    fn drop(&mut self) {
        self.run_destructors();
        self.tree.give_back(self.top, self.shred);
    }
}

impl<S: Source> Tree<S> {
    /// Whether a guard in a subtree refuses; `whole` says whether its top is asked too.
    pub(super) fn refuses(&self, top: N, whole: bool) -> bool {
        if self.hooked.get() == 0 {
            return false;
        }
        let mut at = if whole { Some(top) } else { top.after(top) };
        while let Some(node) = at {
            if node.refuses() {
                return true;
            }
            at = node.after(top);
        }
        false
    }

    pub(super) fn release_subtree(&self, top: N, shred: bool) -> Result<(), Cond> {
        if self.refuses(top, true) {
            return Err(Cond::InUse);
        }
        self.release_unasked(top, shred);
        Ok(())
    }

    pub(super) fn release_unasked(&self, top: N, shred: bool) {
        top.unlink();
        let hooked = self.hooked.get() > 0;
        if Some(top) == N::of(self.root.get()) {
            self.root.set(ptr::null());
        }
        let mut at = Some(top).filter(|_| hooked);
        while let Some(node) = at {
            node.set_state(State::Doomed);
            at = node.after(top);
        }
        drop(Doom { tree: self, top, next: Some(top).filter(|_| hooked), shred });
        if !self.refused.get().is_null() {
            let _ = self.offer_refused();
        }
    }

    /// Gives a subtree's blocks back, children before parents.
    fn give_back(&self, top: N, shred: bool) {
        let mut node = top.deepest_first();
        loop {
            let next = if node == top { None } else { node.next().map(N::deepest_first).or_else(|| node.parent()) };
            self.give_back_node(node, shred);
            match next {
                Some(next) => node = next,
                None => return,
            }
        }
    }

    fn give_back_node(&self, node: N, shred: bool) {
        let tainted = shred || node.is_tainted() || self.id.is_tainted();
        // SAFETY: the node's own payload, used no more.
        unsafe { wipe_if(tainted, node.payload(), node.payload_size()) };
        if self.hooked.get() > 0 {
            self.drop_extra(node);
        }
        let Some(block) = node.block() else { return };
        self.live.set(self.live.get() - 1);
        self.count(0, block.layout.size());
        // SAFETY: the block came from the source with this layout and is used no more.
        if unsafe { self.source.free(block.start, block.layout) }.is_err() {
            node.set_state(State::Free);
            node.set_next(self.refused.replace(node.as_ptr()));
        }
    }

    /// Offers the source again what it refused.
    pub(super) fn offer_refused(&self) -> Result<(), Cond> {
        let mut answer = Ok(());
        let mut at = N::of(self.refused.replace(ptr::null()));
        while let Some(node) = at {
            at = node.next();
            let block = node.block().ok_or(Cond::FailAssert)?;
            // SAFETY: as when it was refused.
            if let Err(cond) = unsafe { self.source.free(block.start, block.layout) } {
                answer = Err(cond);
                node.set_next(self.refused.replace(node.as_ptr()));
            }
        }
        answer
    }

    pub(super) fn refused_bytes(&self) -> usize {
        let (mut bytes, mut at) = (0, N::of(self.refused.get()));
        while let Some(node) = at {
            bytes += node.block().map_or(0, |block| block.layout.size());
            at = node.next();
        }
        bytes
    }
}
