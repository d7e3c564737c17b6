// What is wrong with the page as it is shown now: a list of sentences. `isPhone` as in the arguments.
const isPhone = arguments[0];
const wrong = [];
const all = (css, within = document) => [...within.querySelectorAll(css)];
const words = (element) => element.textContent.replace(/\s+/g, " ").trim();
const name = (element) => {
  const shown = words(element).slice(0, 40);
  return `<${element.tagName.toLowerCase()}${element.id ? "#" + element.id : ""}${element.className?.baseVal === undefined && element.className ? "." + String(element.className).replace(/ /g, ".") : ""}> ${shown ? JSON.stringify(shown) : ""}`;
};
const demand = (so, what, element) => { if (!so) wrong.push(element ? `${name(element)}: ${what}` : what); };
const isShown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });

// The document and its landmarks.
demand(document.documentElement.lang === "en", "the document does not say its language");
demand(document.title.trim() !== "", "the document has no title");
demand(all("h1").filter(isShown).length === 1, `there are ${all("h1").length} h1`);
demand(all("main").length === 1, "there is not one main");
demand(all("body > header").length === 1, "there is not one banner");
all("nav").forEach((nav) => demand(nav.hasAttribute("aria-label") || nav.hasAttribute("aria-labelledby"), "a nav without a name", nav));
const skip = all("a[href], button, input, select, textarea")[0];
demand(!skip || (skip.getAttribute("href") ?? "").startsWith("#"), "the first stop is no way past the frame", skip);
let level = 0;
for (const heading of all("h1, h2, h3, h4, h5, h6").filter(isShown)) {
  const next = Number(heading.tagName[1]);
  demand(next <= level + 1, `a heading of level ${next} under one of level ${level}`, heading);
  demand(words(heading) !== "", "an empty heading", heading);
  level = next;
}

// Ids, and what refers to them.
const ids = all("[id]").map((element) => element.id);
ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => demand(false, `the id ${id} is there twice`));
for (const attribute of ["for", "aria-labelledby", "aria-describedby", "aria-controls", "aria-errormessage", "headers", "list", "form"]) {
  for (const element of all(`[${attribute}]`)) {
    const known = element.getAttribute(attribute).split(/\s+/).filter((id) => id && !document.getElementById(id));
    demand(known.length === 0, `${attribute} names ${known}, which is not there`, element);
  }
}

// Tables: what they are of, and what their cells are of.
for (const table of all("table").filter(isShown)) {
  demand(table.caption && words(table.caption) !== "", "a table without a caption", table);
  all("th", table).forEach((cell) => demand(cell.hasAttribute("scope"), "a header cell without scope", cell));
  demand(all("thead th", table).length > 0 || all("th[scope=row]", table).length > 0, "a table without header cells", table);
}

// Controls.
all("a, button, input, select, textarea, summary").forEach((control) => {
  demand(!control.querySelector("a, button, input, select, textarea"), "a control inside a control", control);
  demand(control.tagName !== "A" || control.hasAttribute("href"), "a link that leads nowhere", control);
});
all("[tabindex]").forEach((element) => demand(element.tabIndex <= 0, "a tabindex of its own order", element));
all("button:not([type])").forEach((button) => demand(button.form !== null || button.closest("dialog"), "a button of unsaid type outside a form", button));
all("svg").forEach((drawing) => demand(
  drawing.getAttribute("aria-hidden") === "true" || (drawing.getAttribute("role") === "img" && (drawing.querySelector("title") || drawing.hasAttribute("aria-label") || drawing.hasAttribute("aria-labelledby"))),
  "a drawing that is neither hidden nor told", drawing));
all("time").forEach((time) => demand(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}(\.\d+)?Z)?$/.test(time.dateTime), `a time of ${time.dateTime}`, time));
all("[style], [onclick], style, script:not([src])").forEach((element) => demand(false, "style or script inside the page", element));

// Contrast of all text, as it is painted.
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
const seen = new Map();
const rgba = (colour) => {
  if (!seen.has(colour)) {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    seen.set(colour, [r, g, b, a / 255]);
  }
  return seen.get(colour);
};
const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
const ground = (element) => {
  if (!element) return rgba(matchMedia("(prefers-color-scheme: dark)").matches ? "#121212" : "#ffffff");
  const own = rgba(getComputedStyle(element).backgroundColor);
  return own[3] === 1 ? own : over(own, ground(element.parentElement));
};
const luminance = (colour) => {
  const [r, g, b] = colour.map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (one, other) => {
  const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
  return (light + 0.05) / (dark + 0.05);
};
const opacity = (element) => (element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1);
const readable = (element, style, what) => {
  const behind = ground(element);
  const ink = rgba(element.closest("svg") ? style.fill : style.color);
  const ratio = contrast(over([ink[0], ink[1], ink[2], ink[3] * opacity(element)], behind), behind);
  demand(ratio >= 4.5, `${what} has a contrast of ${ratio.toFixed(2)}`, element);
};
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const checked = new Set();
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (checked.has(element) || texts.currentNode.data.trim() === "" || element.closest("script, :disabled, [aria-disabled=true], option") || !isShown(element)) continue;
  checked.add(element);
  readable(element, getComputedStyle(element), "its text");
}
for (const element of all("body *").filter(isShown)) {
  for (const pseudo of ["::before", "::after"]) {
    const style = getComputedStyle(element, pseudo);
    if (!["none", "normal", '""', '"" / ""'].includes(style.content)) readable(element, style, `what is in ${pseudo}`);
  }
}
for (const field of all("input, select, textarea").filter((field) => isShown(field) && field.type !== "hidden" && !field.disabled)) {
  readable(field, getComputedStyle(field), "what is in it");
  if (field.placeholder) readable(field, getComputedStyle(field, "::placeholder"), "its placeholder");
}

// Nothing is wider than the screen but what scrolls by itself, and that can be reached by keyboard.
const page = document.scrollingElement;
const width = document.documentElement.clientWidth;
demand(page.scrollWidth <= width, `the page is ${page.scrollWidth} wide on a screen of ${width}`);
if (page.scrollWidth > width) {
  all("body *").filter((element) => isShown(element) && element.getBoundingClientRect().right > width + 1).slice(0, 3)
    .forEach((element) => demand(false, "reaches beyond the screen", element));
}
all("body *").filter((element) => isShown(element) && element.scrollWidth > element.clientWidth + 1 && ["auto", "scroll"].includes(getComputedStyle(element).overflowX))
  .forEach((element) => demand(element.tabIndex >= 0 || element.querySelector("a[href], button, input, select, textarea, summary"), "scrolls, but not by keyboard", element));

// What is to be touched is large enough, or far enough from everything else. Words in a sentence need not be, nor the parts
// of a drawing: a table says the same.
if (isPhone) {
  const isClipped = (element) => element && (getComputedStyle(element).clipPath !== "none" || isClipped(element.parentElement));
  const isInSentence = (control) => getComputedStyle(control).display === "inline" &&
    [...control.parentElement.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim().length > 1);
  const targets = all("a[href], button, input:not([type=hidden]), select, textarea, summary")
    .filter((target) => isShown(target) && !target.closest("[disabled], svg") && !isClipped(target))
    .map((target) => ({ target, box: (target.closest("label") ?? target).getBoundingClientRect() }))
    .filter(({ box }) => box.width > 1 && box.right > 0);
  const isSmall = ({ box }) => Math.min(box.width, box.height) < 24;
  const middle = (box) => [box.x + box.width / 2, box.y + box.height / 2];
  for (const one of targets.filter((target) => isSmall(target) && !isInSentence(target.target))) {
    const [x, y] = middle(one.box);
    const near = targets.find((other) => {
      if (other === one) return false;
      const [X, Y] = middle(other.box);
      const outside = (at, from, to) => Math.max(from - at, 0, at - to);
      const gap = Math.hypot(outside(x, other.box.left, other.box.right), outside(y, other.box.top, other.box.bottom));
      return gap < 12 || (isSmall(other) && Math.hypot(x - X, y - Y) < 24);
    });
    demand(!near, `is ${Math.round(one.box.width)} x ${Math.round(one.box.height)} to touch, close to ${near && name(near.target)}`, one.target);
  }
}
return wrong;
