/** Small helpers over the document; the page's own elements are in index.html. */

/** An element of the page that is known to be there. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found as unknown as T;
}

type Child = Node | string | null | false;
type Props = Record<string, string | number | boolean | ((event: Event) => void) | undefined>;

/** Makes an element. `on…` are listeners; `true` is an empty attribute, `false` and `undefined` none. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  props: Props = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === false || value === undefined) continue;
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children) if (child !== null && child !== false) element.append(child);
  return element;
}

/** Sets a text only where it is another, so that nothing is laid out for nothing. */
export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Puts children in place of those there are; keeps the focus on what has the same `data-key`. */
export function replace(parent: Element, ...children: Child[]): void {
  const active = document.activeElement;
  const key = active && parent.contains(active) ? active.getAttribute('data-key') : null;
  parent.replaceChildren(...children.filter((child) => child !== null && child !== false));
  if (key === null) return;
  for (const candidate of parent.querySelectorAll<HTMLElement>('[data-key]')) {
    if (candidate.dataset.key !== key) continue;
    candidate.focus({ preventScroll: true });
    return;
  }
}

/** Whether keys typed there are text. */
export function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.matches('textarea, select')) return true;
  return target instanceof HTMLInputElement && !['range', 'checkbox', 'button'].includes(target.type);
}

/** What the person chose before, on this machine; nothing where that is not to be had. */
export const memory = {
  read(key: string): string | null {
    try {
      return localStorage.getItem(`kmem.${key}`);
    } catch {
      return null;
    }
  },
  write(key: string, value: string): void {
    try {
      localStorage.setItem(`kmem.${key}`, value);
    } catch {
      // Private windows and strict settings: the choice lasts as long as the page.
    }
  },
};
