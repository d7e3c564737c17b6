// Prepares a walk through the page by the tab key: says how many stops there are, and leaves a function that says what is
// wrong at the one where the focus should be now. It says nothing yet while the focus is on the parts of the field before.
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
window.stop = (at) => {
  const here = document.activeElement;
  if (here === stops[at - 1] && here.type === "date") return null;
  if (here !== stops[at]) return [`stop ${at} is ${tell(here)} and not ${tell(stops[at])}`];
  const style = getComputedStyle(here);
  const wrong = [];
  if (style.outlineStyle === "none" || parseFloat(style.outlineWidth) < 2) wrong.push(`the focus on ${tell(here)} cannot be seen`);
  const box = here.getBoundingClientRect();
  if (box.bottom <= 0 || box.top >= innerHeight || box.right <= 0 || box.left >= innerWidth) wrong.push(`the focus on ${tell(here)} is off the screen`);
  return wrong;
};
return stops.length;
