//! A JSON document held by every kind of kmem's memory at once.

use std::env;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::ptr::NonNull;
use std::thread;

use kmem_demo::compare::{Equal, compare};
use kmem_demo::document::{At, Document, is_wiped};
use kmem_demo::error::{Error, Place};
use kmem_demo::load::load;
use kmem_demo::progress::Progress;
use kmem_demo::report::{self, count, number};
use kmem_demo::survey::{self, Path as Way, Short};
use kmem_demo::write::write;
use kmem_demo::{Counts, Stores};

const HELP: &str = "\
Usage: kmem-demo FILE

Reads a JSON file into kmem's memory: each value a node of a tree, the texts in
a linear region, those that repeat as counted cells, a summary of each array and
object in a pool, and what looks secret tainted. Asks it a few questions, moves a
part, writes it out and compares that with the file, shreds and frees parts, and
shows what each store did.

  --help  this text
";

/// Bytes that are read or written at once.
const BUFFER: usize = 64 << 10;

fn main() -> ExitCode {
    let file = match arguments() {
        Ok(Some(file)) => file,
        Ok(None) => return say(&mut io::stdout(), HELP, ExitCode::SUCCESS),
        Err(what) => return say(&mut io::stderr(), &format!("kmem-demo: {what}\n\n{HELP}"), ExitCode::from(2)),
    };
    let counts = Counts::default();
    let mut stores = Stores::over(&counts);
    let mut out = io::stdout().lock();
    let answer = show(&mut out, &file, &stores, &counts);
    let answer = answer.and(stores.destroy().map_err(Error::from));
    match answer {
        Ok(()) => match end(&mut out, &counts) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
        // Who closed the output does not want to hear of it.
        Err(Error::Io(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::FAILURE,
        Err(error) => {
            let mut text = Vec::new();
            let name = file.display();
            let _ = match error.place() {
                Some(Place { line, column }) => writeln!(text, "{name}:{line}:{column}: {error}"),
                None => writeln!(text, "{name}: {error}"),
            };
            let _ = report::released(&mut text, &counts);
            say(&mut io::stderr(), &String::from_utf8_lossy(&text), ExitCode::FAILURE)
        }
    }
}

/// Prints a text.
fn say(out: &mut dyn Write, text: &str, code: ExitCode) -> ExitCode {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The file that is asked for; `None` for help.
fn arguments() -> Result<Option<PathBuf>, String> {
    let mut file = None;
    for arg in env::args_os().skip(1) {
        match arg.to_str() {
            Some("--help" | "-h") => return Ok(None),
            Some(flag) if flag.starts_with('-') => return Err(format!("there is no option {flag}")),
            _ if file.is_some() => return Err("one file at a time".to_owned()),
            _ => file = Some(PathBuf::from(arg)),
        }
    }
    file.map(Some).ok_or_else(|| "name a JSON file".to_owned())
}

fn open(file: &Path) -> io::Result<BufReader<File>> {
    Ok(BufReader::with_capacity(BUFFER, File::open(file)?))
}

fn show(out: &mut dyn Write, file: &Path, stores: &Stores<'_>, counts: &Counts) -> Result<(), Error> {
    let input = open(file)?;
    let data = input.get_ref().metadata()?;
    if !data.is_file() {
        return Err(io::Error::other("no regular file; it is read a second time to compare").into());
    }
    if data.len() == 0 {
        let place = Place { line: 1, column: 1 };
        return Err(Error::Malformed { place, what: "the file is empty, which is no JSON".to_owned() });
    }
    let mut progress = Progress::new("reading");
    let document = load(stores, input, &mut progress)?;
    let (bytes, values) = (count(data.len(), "byte"), count(progress.values(), "value"));
    writeln!(out, "{}: {bytes}, {values}, read in {:.3} s", file.display(), progress.seconds())?;
    questions(out, &document)?;
    report::stores(out, &document, counts)?;
    writeln!(out)?;
    move_a_part(out, &document)?;
    write_and_compare(out, file, &document)?;
    shred_a_secret(out, &document)?;
    free_a_part(out, &document)?;
    report::tree(out, &document)?;
    report::layouts(out, stores)?;
    writeln!(out)?;
    Ok(document.destroy()?)
}

fn questions(out: &mut dyn Write, document: &Document<'_>) -> io::Result<()> {
    let Some(found) = survey::survey(document) else { return Ok(()) };
    report::survey(out, &found)?;
    // The value that the last key or element leads to, and on like that, a few steps down.
    let target = std::iter::successors(document.top(), |at| at.last_child().filter(|_| !at.is_secret()));
    if let Some(target) = target.take(5).last() {
        let pointer = survey::pointer(target);
        if let Some(at) = survey::find(document, &pointer).filter(|_| !pointer.is_empty()) {
            writeln!(out, "  look-up   {} -> {}", Short(&pointer, 60), report::value(at))?;
        }
    }
    report::texts(out, &found, document.stores().shared.stats().live)
}

fn move_a_part(out: &mut dyn Write, document: &Document<'_>) -> Result<(), Error> {
    let Some(part) = survey::half(document, true) else {
        return Ok(writeln!(out, "Moved     nothing: there is one value")?);
    };
    let home = part.parent();
    let all = |document: &Document<'_>| document.top().map_or(0, |top| top.size().values + 1);
    let before = all(document);
    document.move_to(part, None)?;
    let between = all(document);
    document.move_to(part, home)?;
    writeln!(
        out,
        "Moved     {} out of the document ({} left in it) and back: {}",
        count(before - between, "value"),
        number(between),
        Way(part)
    )?;
    Ok(())
}

/// Writes into a pipe, at whose other end a thread reads and compares: the text is never anywhere as a
/// whole, nor on disk.
fn write_and_compare(out: &mut dyn Write, file: &Path, document: &Document<'_>) -> Result<(), Error> {
    let mut progress = Progress::new("writing and comparing");
    let (reader, writer) = io::pipe()?;
    let (written, same) = thread::scope(|scope| {
        let progress = &mut progress;
        let other_end = move || compare(open(file)?, BufReader::with_capacity(BUFFER, reader), progress);
        let comparing = thread::Builder::new().spawn_scoped(scope, other_end)?;
        let written = write(document, BufWriter::with_capacity(BUFFER, writer));
        let same = comparing.join().unwrap_or_else(|_| Err(io::Error::other("the comparison broke down").into()));
        Ok::<_, Error>((written, same))
    })?;
    // The writer's trouble with a pipe that was closed is only that the comparison gave up.
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error.into()),
        _ => {}
    }
    let Equal { values, keys } = same?;
    let (values, keys, seconds) = (count(values, "value"), count(keys, "key"), progress.seconds());
    writeln!(out, "Written   and compared with the file: equal in {values} and {keys} ({seconds:.3} s)")?;
    Ok(())
}

fn shred_a_secret(out: &mut dyn Write, document: &Document<'_>) -> Result<(), Error> {
    let secret = |at: &At<'_, '_>| at.is_secret() && at.text_place().is_some_and(|place| !place.is_empty());
    let Some((at, _)) = document.top().into_iter().flat_map(At::walk).find(|(at, _)| secret(at)) else {
        return Ok(writeln!(out, "Shredded  nothing: no text is secret")?);
    };
    let (way, place) = (Way(at).to_string(), at.text_place().unwrap_or(NonNull::from(&[])));
    // SAFETY: the value is used no more.
    unsafe { document.free(at) }?;
    // SAFETY: the place was asked for just now, and the stores are there.
    let zero = unsafe { is_wiped(place) };
    let state = if zero { "all zero" } else { "NOT ZERO" };
    writeln!(out, "Shredded  {way}: {}, {state} where they were, which is still mapped", count(place.len(), "byte"))?;
    Ok(())
}

fn free_a_part(out: &mut dyn Write, document: &Document<'_>) -> Result<(), Error> {
    let Some(part) = survey::half(document, false) else {
        return Ok(writeln!(out, "Freed     nothing: there is one value")?);
    };
    let (way, values) = (Way(part).to_string(), count(part.size().values + 1, "value"));
    let references = part.walk().flat_map(|(at, _)| at.texts()).filter(|(_, counted)| counted.is_some()).count();
    let before = report::figures(document);
    // SAFETY: the value is used no more.
    unsafe { document.free(part) }?;
    let after = report::figures(document);
    let [tree, lin, pool, heap] = [0, 1, 2, 3].map(|at| number(before[at].live - after[at].live));
    writeln!(out, "Freed     {values} by one call: {way}")?;
    let references = number(references);
    writeln!(
        out,
        "          cells: tree {tree}, lin {lin}, pool {pool}, heap {heap}; references dropped: {references}"
    )?;
    Ok(())
}

fn end(out: &mut dyn Write, counts: &Counts) -> io::Result<()> {
    report::released(out, counts)?;
    writeln!(out, "Outside kmem: the buffers of parser, writer and pipe, which saw the secrets too")?;
    out.flush()
}
