// Has every scene of a module played by workers that share its memory:
// node workers.mjs MODULE PAGES MOST_PAGES
import { readFileSync } from "node:fs";
import { Worker, isMainThread, workerData } from "node:worker_threads";

/** The module's functions, over a memory that others use too. */
function join({ module, memory }) {
  return new WebAssembly.Instance(module, { env: { memory } }).exports;
}

if (isMainThread) {
  const [file, initial, maximum] = process.argv.slice(2);
  const module = new WebAssembly.Module(readFileSync(file));
  const memory = new WebAssembly.Memory({ initial: +initial, maximum: +maximum, shared: true });
  const first = join({ module, memory });
  const played = Array.from({ length: first.threads() }, (_, number) => {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: { module, memory, number, stack: first.stack() },
    });
    // A worker that traps leaves the others waiting for it.
    worker.on("error", (error) => {
      console.error(error);
      process.exit(1);
    });
    return new Promise((resolve) => worker.on("exit", resolve));
  });
  await Promise.all(played);
  let failed = 0;
  for (let scene = 0; scene < first.scenes(); scene++) {
    const [at, length] = [first.name(scene), first.name_len(scene)];
    const name = new TextDecoder().decode(new Uint8Array(memory.buffer).slice(at, at + length));
    const well = first.well(scene);
    failed += well ? 0 : 1;
    console.log(`test ${name} ... ${well ? "ok" : "FAILED"}`);
  }
  console.log(`memory grew from ${initial} to ${memory.buffer.byteLength / 65536} pages`);
  console.log(`test result: ${failed ? "FAILED" : "ok"}. ${first.scenes() - failed} passed; ${failed} failed`);
  process.exitCode = failed;
} else {
  const mine = join(workerData);
  mine.__stack_pointer.value = workerData.stack;
  for (let scene = 0; scene < mine.scenes(); scene++) {
    mine.play(scene, workerData.number);
  }
}
