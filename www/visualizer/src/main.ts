/** The page: starts, or says in words why it cannot. */

import { notice } from './ui/announce.ts';
import { App } from './ui/app.ts';
import { byId } from './ui/dom.ts';

declare global {
  interface Window {
    /** For tests, and for who is curious in the console. */
    kmem?: App;
  }
}

/** What the page cannot do without, and what to do about it. */
function missing(): string {
  if (typeof WebAssembly !== 'object') {
    return 'This browser has no WebAssembly (or it is switched off), and the allocator that this page shows runs in it. Any browser of the last years has it.';
  }
  if (typeof CompressionStream !== 'function' || !('popover' in HTMLElement.prototype)) {
    return 'This browser is too old for this page. Any browser of the last two years will do.';
  }
  return '';
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function stop(why: string): void {
  byId('sentence').textContent = 'The page cannot run here.';
  byId('empty').replaceChildren(Object.assign(document.createElement('p'), { textContent: why }));
  notice(why);
}

const why = missing();
if (why !== '') stop(why);
else {
  try {
    const app = new App();
    window.kmem = app;
    app
      .openAddress()
      // Told to the browser's own timeline: the page can be used from the next frame on.
      .then(() => requestAnimationFrame(() => performance.mark('ready')))
      .catch((error: unknown) => stop(`The allocator could not be started: ${messageOf(error)}`));
  } catch (error) {
    stop(`The page could not be started: ${messageOf(error)}`);
  }
}
