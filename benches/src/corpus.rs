//! What the real works are on.

use std::sync::OnceLock;

use proc_macro2::Ident;
use syn::visit::{self, Visit};

/// kmem's own sources, one after the other.
const SOURCES: &str = include_str!(concat!(env!("OUT_DIR"), "/sources"));
/// kmem's own prose.
const PROSE: &str = include_str!(concat!(env!("OUT_DIR"), "/prose"));

/// A node of a syntax tree.
#[derive(Debug)]
pub struct Part {
    /// Which node it is under; the first is under itself.
    pub parent: usize,
    /// What it says: a name, or a number or string of which at most 48 bytes.
    pub text: String,
}

/// The syntax trees of kmem's own sources under one node, each node behind its parent.
pub fn syntax() -> &'static [Part] {
    static PARTS: OnceLock<Vec<Part>> = OnceLock::new();
    PARTS.get_or_init(|| {
        let mut tree = Tree { parts: vec![Part { parent: 0, text: String::new() }], path: vec![0] };
        for source in SOURCES.split('\0') {
            tree.visit_file(&syn::parse_file(source).expect("our own sources parse"));
        }
        tree.parts
    })
}

/// The words of kmem's own prose.
pub fn words() -> impl Iterator<Item = &'static str> + Clone {
    PROSE.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

struct Tree {
    parts: Vec<Part>,
    /// From the root to where the visitor is.
    path: Vec<usize>,
}

impl Tree {
    fn add(&mut self, text: String) -> usize {
        let parent = *self.path.last().expect("the root stays");
        self.parts.push(Part { parent, text });
        self.parts.len() - 1
    }

    fn below(&mut self, visit: impl FnOnce(&mut Self)) {
        let node = self.add(String::new());
        self.path.push(node);
        visit(self);
        self.path.pop();
    }
}

/// Every place of these types is a node.
macro_rules! nodes {
    ($($visit:ident $type:ty),+ $(,)?) => {
        impl<'a> Visit<'a> for Tree {
            $(fn $visit(&mut self, part: &'a $type) {
                self.below(|this| visit::$visit(this, part));
            })+

            fn visit_ident(&mut self, name: &'a Ident) {
                self.add(name.to_string());
            }

            fn visit_lit(&mut self, literal: &'a syn::Lit) {
                let mut text = match literal {
                    syn::Lit::Str(string) => string.value(),
                    syn::Lit::Int(number) => number.base10_digits().to_owned(),
                    _ => String::new(),
                };
                text.truncate(text.floor_char_boundary(48));
                self.add(text);
            }
        }
    };
}

nodes! {
    visit_file syn::File, visit_item syn::Item, visit_impl_item syn::ImplItem, visit_trait_item syn::TraitItem,
    visit_field syn::Field, visit_variant syn::Variant, visit_signature syn::Signature, visit_fn_arg syn::FnArg,
    visit_block syn::Block, visit_stmt syn::Stmt, visit_expr syn::Expr, visit_arm syn::Arm, visit_pat syn::Pat,
    visit_type syn::Type, visit_path syn::Path, visit_path_segment syn::PathSegment, visit_generics syn::Generics,
    visit_attribute syn::Attribute,
}
