// Prepares a walk through the page by the tab key: says how often that has to be pressed, and leaves a function that says
// afterwards what was wrong on the way.
// The walk begins at the top, also where something has the focus already.
document.body.tabIndex = -1;
document.body.focus();
document.body.removeAttribute("tabindex");
scrollTo(0, 0);
const isShown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length > 0;
const scrolls = (element) => element.scrollWidth > element.clientWidth && ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
const stops = [...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]")]
  .filter((element) => element.tabIndex >= 0 && !element.disabled && isShown(element))
  .filter((element) => element.type !== "radio" || element.checked || ![...document.getElementsByName(element.name)].some((other) => other.checked));
const tell = (element) => `${element.tagName.toLowerCase()} ${JSON.stringify((element.textContent || element.name || element.id).trim().slice(0, 40))}`;
const wrong = [];
const reached = [];
const shows = (here) => {
  const style = getComputedStyle(here);
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) wrong.push(`the focus on ${tell(here)} cannot be seen`);
};
const isOnScreen = (here) => {
  const box = here.getBoundingClientRect();
  return box.bottom > 0 && box.top < innerHeight && box.right > 0 && box.left < innerWidth;
};
// What is not on the screen as it gets the focus may be on its way there: it is when it loses it.
let onItsWay = null;
const arrives = () => {
  if (onItsWay && !isOnScreen(onItsWay)) wrong.push(`the focus on ${tell(onItsWay)} is off the screen`);
  onItsWay = null;
};
const until = new AbortController();
addEventListener("focusout", arrives, { signal: until.signal });
addEventListener("focusin", (event) => {
  if (reached.length === stops.length) return until.abort();
  reached.push(event.target);
  shows(event.target);
  onItsWay = isOnScreen(event.target) ? null : event.target;
}, { signal: until.signal });
window.walked = () => {
  arrives();
  until.abort();
  const at = stops.findIndex((stop, at) => reached[at] !== stop);
  if (at >= 0) wrong.push(`stop ${at} is ${reached[at] ? tell(reached[at]) : "none"} and not ${tell(stops[at])}`);
  return wrong;
};
// The parts of a date are stops of their own.
return stops.length + 3 * stops.filter((stop) => stop.type === "date").length;
