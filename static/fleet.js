/* What the pages do by themselves: ticking times, the state of the live connection, theme, copy, confirm, toasts.
   Every word shown comes from the page (data attributes), so that it is translated in one place. */
(function () {
  "use strict";
  var body = document.body;
  var words = body.dataset;

  /* ── Morphing: swaps that keep focus, scrolling and hover ──────────────────────────────────────── */
  /* Instead of idiomorph's own extension, which takes every style for one that replaces the element itself:
     a row for the top of a list then arrives with the list around it. */
  window.htmx.defineExtension("morph", {
    isInlineSwap: function (style) { return style === "morph"; },
    handleSwap: function (style, target, fragment) {
      if (style === "morph") return window.Idiomorph.morph(target, fragment.children, { morphStyle: "outerHTML" });
      if (style === "morph:innerHTML") {
        return window.Idiomorph.morph(target, fragment.children, { morphStyle: "innerHTML" });
      }
    },
  });

  /* ── Times that tick: <time datetime="…" data-ago> ─────────────────────────────────────────────── */
  var ahead = words.now ? Date.parse(words.now) - Date.now() : 0; // the server's clock minus ours
  function ago(moment) {
    var s = Math.round((Date.now() + ahead - moment) / 1000);
    if (s < 1) return words.agoNow;
    if (s < 60) return words.agoS.replace("#", s);
    if (s < 3600) return words.agoMin.replace("#", Math.floor(s / 60));
    if (s < 172800) return words.agoH.replace("#", Math.floor(s / 3600));
    return words.agoD.replace("#", Math.floor(s / 86400));
  }
  function tick() {
    document.querySelectorAll("time[data-ago]").forEach(function (element) {
      var text = ago(Date.parse(element.dateTime));
      if (element.textContent !== text) element.textContent = text;
    });
  }
  setInterval(tick, 1000);

  /* ── The live connection ───────────────────────────────────────────────────────────────────────── */
  var indicator = document.querySelector("[data-live]");
  var banner = document.querySelector("[data-banner]");
  var lostAt = null;
  function connection(state) {
    if (!indicator) return;
    indicator.dataset.live = state;
    indicator.querySelector("[data-live-word]").textContent = words["live" + state[0].toUpperCase() + state.slice(1)];
    if (banner) banner.hidden = state !== "lost";
  }
  body.addEventListener("htmx:wsOpen", function () {
    lostAt = null;
    connection("on");
  });
  function lost() {
    if (leaving) return;
    if (!lostAt) {
      lostAt = new Date();
      var since = banner && banner.querySelector("[data-banner-since]");
      if (since) since.textContent = lostAt.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    }
    connection("lost");
  }
  var leaving = false;
  window.addEventListener("beforeunload", function () { leaving = true; });
  window.addEventListener("pageshow", function () { leaving = false; });
  body.addEventListener("htmx:wsClose", lost);
  body.addEventListener("htmx:wsError", lost);

  /* A note of the server: {"again": true} asks the page to fetch its region anew. */
  body.addEventListener("htmx:wsBeforeMessage", function (event) {
    var message = event.detail.message;
    if (message[0] !== "{") return;
    event.preventDefault();
    if (JSON.parse(message).again) window.htmx.trigger(body, "fleet:again");
  });
  /* A row that arrives for the top of a list and is there already moves up instead of standing twice. */
  body.addEventListener("htmx:oobBeforeSwap", function (event) {
    var detail = event.detail;
    if (detail.target.dataset && "wash" in detail.target.dataset) before[detail.target.id] = said(detail.target);
    Array.prototype.forEach.call(detail.fragment.children, function (child) {
      var known = child.id && detail.target !== child && detail.target.querySelector("#" + CSS.escape(child.id));
      if (known && known.parentElement === detail.target) known.remove();
    });
  });
  /* A repainted row is washed for a moment, if more of it changed than its times. */
  var before = {};
  function said(row) {
    var copy = row.cloneNode(true);
    copy.querySelectorAll("time").forEach(function (time) { time.remove(); });
    return copy.textContent.replace(/\s+/g, " ");
  }
  function wash(row) {
    if (!row || row.classList.contains("changed") || before[row.id] === said(row)) return;
    row.classList.add("changed");
    setTimeout(function () { row.classList.remove("changed"); }, 700);
  }
  body.addEventListener("htmx:oobAfterSwap", function (event) {
    tick();
    var painted = event.detail.target; // morphed in place; of rows that are new, each has its own event
    wash(event.target.closest("[data-wash]") || (painted.isConnected && painted.closest("[data-wash]")));
  });
  body.addEventListener("htmx:afterSettle", tick);

  /* ── Theme ─────────────────────────────────────────────────────────────────────────────────────── */
  document.querySelectorAll("[data-theme-choice]").forEach(function (button) {
    function show() {
      document.querySelectorAll("[data-theme-choice]").forEach(function (each) {
        each.setAttribute("aria-pressed", String(each.dataset.themeChoice === window.fleetTheme.chosen()));
      });
    }
    button.addEventListener("click", function () {
      window.fleetTheme.choose(button.dataset.themeChoice);
      show();
    });
    show();
  });

  /* Menus are <details>: a click elsewhere or Escape closes them. */
  document.addEventListener("click", function (event) {
    document.querySelectorAll("details.menu[open]").forEach(function (menu) {
      if (!menu.contains(event.target)) menu.open = false;
    });
  });
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape") {
      document.querySelectorAll("details.menu[open]").forEach(function (menu) {
        menu.open = false;
        menu.querySelector("summary").focus();
      });
    }
    if (event.key === "/" && !event.target.closest("input, textarea, select, [contenteditable]")) {
      var find = document.querySelector(".find input");
      if (find) { event.preventDefault(); find.focus(); find.select(); }
    }
  });

  /* ── Toasts ────────────────────────────────────────────────────────────────────────────────────── */
  function toast(text) {
    var shape = document.getElementById("toast-shape");
    var element = shape.content.firstElementChild.cloneNode(true);
    element.querySelector("[data-toast-text]").textContent = text;
    document.getElementById("toasts").append(element);
    setTimeout(function () { element.remove(); }, 4000);
  }
  document.addEventListener("click", function (event) {
    var close = event.target.closest("[data-toast-close]");
    if (close) close.closest(".toast").remove();
  });
  document.querySelectorAll("#toasts .toast:not([data-stay])").forEach(function (element) {
    setTimeout(function () { element.remove(); }, 6000);
  });
  body.addEventListener("htmx:responseError", function () { toast(words.errorWord); });

  /* ── Copy: <button data-copy="text"> ───────────────────────────────────────────────────────────── */
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-copy]");
    if (!button) return;
    var done = function () { toast(words.copiedWord); };
    if (navigator.clipboard) {
      navigator.clipboard.writeText(button.dataset.copy).then(done);
      return;
    }
    var field = document.createElement("textarea"); // plain http on a LAN has no clipboard API
    field.value = button.dataset.copy;
    field.className = "visually-hidden";
    body.append(field);
    field.select();
    if (document.execCommand("copy")) done();
    field.remove();
    button.focus();
  });
  /* Show or hide what is typed into a password field: <button data-reveal="field id">. */
  document.addEventListener("click", function (event) {
    var button = event.target.closest("[data-reveal]");
    if (!button) return;
    var field = document.getElementById(button.dataset.reveal);
    field.type = field.type === "password" ? "text" : "password";
    button.setAttribute("aria-pressed", String(field.type === "text"));
  });

  /* ── Confirm: our own dialog for hx-confirm and for <form> or <button data-confirm="…"> ────────────────────── */
  var dialog = document.getElementById("confirm");
  function ask(question, verb, proceed) {
    dialog.querySelector("[data-confirm-text]").textContent = question;
    dialog.querySelector("[data-confirm-yes]").textContent = verb || words.confirmWord;
    dialog.returnValue = "";
    dialog.onclose = function () { if (dialog.returnValue === "yes") proceed(); };
    dialog.showModal();
  }
  body.addEventListener("htmx:confirm", function (event) {
    if (!event.detail.question) return;
    event.preventDefault();
    ask(event.detail.question, event.target.dataset.confirmVerb, function () { event.detail.issueRequest(true); });
  });
  document.addEventListener("submit", function (event) {
    var form = event.target;
    var asked = (event.submitter && event.submitter.dataset.confirm && event.submitter.dataset) || form.dataset;
    if (!asked.confirm || form.dataset.confirmed) return;
    event.preventDefault();
    ask(asked.confirm, asked.confirmVerb, function () {
      form.dataset.confirmed = "1";
      form.requestSubmit();
    });
  });
  tick();
})();
