// Builds elements. Text from outside only ever becomes text nodes and attributes, never markup.

const SAFE_LINK = /^(#|\/|\.\/|https?:\/\/|blob:)/;

/** An element: `h("a.button", { href: "#/files", on: { click } }, "Files")`. Children may be nested, null or false. */
export function h(selector, ...rest) {
  const [tag, ...classes] = selector.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  if (isProperties(rest[0])) assign(element, rest.shift());
  append(element, rest);
  return element;
}

function isProperties(value) {
  return value !== null && typeof value === "object" && !(value instanceof Node) && !Array.isArray(value);
}

function assign(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    } else if (name === "class") {
      element.classList.add(...value.split(" ").filter(Boolean));
    } else if (name === "value" || name === "checked" || name === "selected" || name === "indeterminate") {
      element[name] = value;
    } else if ((name === "href" || name === "src") && !SAFE_LINK.test(value)) {
      continue; // `javascript:` and its kin
    } else {
      element.setAttribute(name, value === true ? "" : value);
    }
  }
}

/** Adds children: nodes, texts, or lists of them. */
export function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** Puts other children in the place of the present ones, and leaves the focus on what has the same `data-key`. */
export function replace(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren();
  append(element, children);
  if (focused !== undefined) element.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

/** One of the line drawings in `icons.js`; decoration, so unseen by screen readers. */
export function svg(paths, size = 18) {
  const drawing = document.createElementNS(SVG, "svg");
  for (const [name, value] of [["viewBox", "0 0 24 24"], ["width", size], ["height", size], ["aria-hidden", "true"]]) {
    drawing.setAttribute(name, value);
  }
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", paths);
  drawing.append(path);
  return drawing;
}
