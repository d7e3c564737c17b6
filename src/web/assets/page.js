// What a page does besides showing itself. Every page works without it.
"use strict";

(() => {
  // A page is live by its regions: elements with an id and `data-live`. When the node has changed, the page is fetched
  // again, and the regions whose content differs are filled anew.
  const regions = () => document.querySelectorAll("[data-live][id]");
  const POLL = 30_000;
  const REFRESH = 60_000;
  const LEAST = 1_000;
  let events = null;
  let timer = 0;
  let known = new Map();
  let underWay = false;
  let again = false;
  let behind = false;

  // Whoever answers a question comes back to what has asked it.
  const isBusy = (region) =>
    (region.contains(document.activeElement) && document.activeElement !== region) || document.querySelector("dialog[open]");

  const fill = (region, fresh) => {
    const open = [...region.querySelectorAll("details[open][id]")].map((details) => details.id);
    region.className = fresh.className;
    region.replaceChildren(...fresh.childNodes);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  };

  const refresh = async () => {
    if (underWay) {
      again = true;
      return;
    }
    underWay = true;
    try {
      const answer = await fetch(location.href, { headers: { "X-Live": "1" }, cache: "no-store" });
      if (answer.redirected && new URL(answer.url).pathname === "/login") {
        location.reload();
        return;
      }
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const region of regions()) {
        const fresh = page.getElementById(region.id);
        const text = fresh?.innerHTML;
        if (!fresh || text === (known.get(region.id) ?? region.innerHTML)) continue;
        if (isBusy(region)) {
          behind = true;
          continue;
        }
        fill(region, fresh);
        known.set(region.id, text);
        region.dispatchEvent(new CustomEvent("live", { bubbles: true }));
      }
    } catch {
      // The server is away; the next event or the next minute tries again.
    } finally {
      setTimeout(() => {
        underWay = false;
        if (again) {
          again = false;
          refresh();
        }
      }, LEAST);
    }
  };

  const every = (time) => {
    clearInterval(timer);
    timer = setInterval(refresh, time);
  };

  let loaded = 0;
  const look = () => {
    // Times are told in words and grow old by themselves.
    every(REFRESH);
    // How old the page is: the server tells at once what has changed since. Opened again later, it cannot know.
    events = new EventSource(`/events?age=${Math.ceil(performance.now() - loaded)}`);
    let opened = false;
    events.addEventListener("open", () => {
      if (opened) refresh();
      opened = true;
    });
    events.addEventListener("changed", refresh);
    events.addEventListener("error", () => {
      // Refused, because too many look on: it does not come again by itself.
      if (events?.readyState === EventSource.CLOSED) every(POLL);
    });
  };

  const rest = () => {
    clearInterval(timer);
    events?.close();
    events = null;
  };

  if (regions().length > 0) {
    // A page that nobody sees holds no connection; a browser has only six for a server.
    document.addEventListener("visibilitychange", () => {
      rest();
      if (document.visibilityState === "visible") {
        loaded = performance.now();
        refresh();
        look();
      }
    });
    addEventListener("pagehide", rest);
    // What could not be filled anew is, as soon as nobody is there any more.
    const catchUp = () => {
      if (behind) refresh();
      behind = false;
    };
    document.addEventListener("close", catchUp, true);
    document.addEventListener("focusout", catchUp);
    if (document.visibilityState === "visible") look();
  }

  // `data-dialog="id"` on a link or button opens that dialog instead of the page that does the same; in a dialog
  // `data-close` closes it.
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    const dialog = opener && document.getElementById(opener.dataset.dialog);
    if (dialog instanceof HTMLDialogElement) {
      event.preventDefault();
      dialog.showModal();
    } else if (event.target.closest("[data-close]")) {
      event.preventDefault();
      event.target.closest("dialog")?.close();
    }
  });

  // `data-ask` on a link asks the question of the page it leads to (`#question`) in a dialog here. The question is fetched
  // then, so that its numbers are those of now.
  const ask = async (link) => {
    const dialog = document.createElement("dialog");
    try {
      const answer = await fetch(link.href, { cache: "no-store" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const question = page.getElementById("question");
      if (!answer.ok || !question) throw new Error(answer.statusText);
      question.classList.remove("panel");
      dialog.append(question);
    } catch {
      location.assign(link.href);
      return;
    }
    dialog.setAttribute("aria-labelledby", "question-title");
    dialog.addEventListener("close", () => dialog.remove());
    document.body.append(dialog);
    dialog.showModal();
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-ask]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    ask(link);
  });

  // A form is sent once, however often the button is pressed.
  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "1";
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });
})();
