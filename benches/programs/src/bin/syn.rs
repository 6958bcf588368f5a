//! Parses all files of Rust below a folder and keeps the syntax trees until the end.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use kmem_programs as _;

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).ok_or("which folder?")?;
    let mut paths = Vec::new();
    find(Path::new(&folder), &mut paths)?;
    // Folders tell their files in any order.
    paths.sort();
    // Some files are there to be refused, or are not of UTF-8.
    let texts = paths.iter().filter_map(|path| fs::read_to_string(path).ok());
    let trees: Vec<syn::File> = texts.filter_map(|text| syn::parse_file(&text).ok()).collect();
    let items: usize = trees.iter().map(|tree| tree.items.len()).sum();
    println!("{} of {} files parsed, {items} items", trees.len(), paths.len());
    Ok(())
}

fn find(folder: &Path, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, paths)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}
