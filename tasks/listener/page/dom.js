/// <reference lib="dom" />
/**
 * Makes elements. Text goes in as text, never as markup, and a link leads to this page alone: what comes from a server's
 * sessions and logs is other people's text.
 *
 * @module
 */

/** @typedef {Node | string | number | null | undefined | false} Child */

/**
 * @param {string} name the tag, and classes behind dots: "td.number"
 * @param {Record<string, unknown> | null} [attributes] `on…` functions listen; `style` is an object of properties
 * @param {...(Child | Child[])} children
 * @returns {HTMLElement}
 */
export function h(name, attributes, ...children) {
  const [tag = "div", ...classes] = name.split(".");
  const element = document.createElement(tag);
  if (classes.length > 0) element.className = classes.join(" ");
  for (const [key, value] of Object.entries(attributes ?? {})) setAttribute(element, key, value);
  append(element, children.flat());
  return element;
}

/**
 * @param {HTMLElement} element
 * @param {string} key
 * @param {unknown} value
 */
function setAttribute(element, key, value) {
  if (value === null || value === undefined || value === false) return;
  if (typeof value === "function") {
    element.addEventListener(key.slice(2), /** @type {EventListener} */ (value));
  } else if (key === "style") {
    for (const [property, text] of Object.entries(/** @type {Record<string, string>} */ (value))) {
      element.style.setProperty(property, text);
    }
  } else if (key === "href" && !String(value).startsWith("#/")) {
    throw new Error(`Cannot link to ${value}: links lead to this page alone`);
  } else {
    element.setAttribute(key, value === true ? "" : String(value));
  }
}

/**
 * @param {Node} parent
 * @param {Child[]} children
 */
export function append(parent, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    parent.appendChild(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

/**
 * Puts new children in, and leaves the reader where they were: what had the focus has it again, what was opened is open.
 * Both are known by `data-key`.
 *
 * @param {Element} parent
 * @param {...(Child | Child[])} children
 */
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? keyOf(document.activeElement) : null;
  const opened = new Set([...parent.querySelectorAll("details[open][data-key]")].map(keyOf));
  const scrolled = new Map(
    [...parent.querySelectorAll(".scroll[data-key]")].map((one) => [keyOf(one), one.scrollLeft]),
  );
  parent.textContent = "";
  append(parent, children.flat());
  for (const details of parent.querySelectorAll("details[data-key]")) {
    if (opened.has(keyOf(details))) /** @type {HTMLDetailsElement} */ (details).open = true;
  }
  for (const one of parent.querySelectorAll(".scroll[data-key]")) one.scrollLeft = scrolled.get(keyOf(one)) ?? 0;
  if (focused === null) return;
  const again = [...parent.querySelectorAll("[data-key]")].find((one) => keyOf(one) === focused);
  if (again instanceof HTMLElement) again.focus({ preventScroll: true });
}

/** @param {Element | null} element */
function keyOf(element) {
  return element?.getAttribute("data-key") ?? null;
}

/**
 * What stands where there is nothing to show: what that means, and what to do.
 *
 * @param {string} title
 * @param {...Child} help
 */
export function emptyState(title, ...help) {
  return h("div.empty", null, h("p.empty-title", null, title), h("p", null, ...help));
}

/**
 * @param {string} title
 * @param {Child | Child[]} aside
 * @param {...(Child | Child[])} children
 */
export function section(title, aside, ...children) {
  const head = h("div.section-head", null, h("h2", null, title), h("div.aside", null, aside));
  return h("section", { "aria-label": title }, head, ...children);
}
