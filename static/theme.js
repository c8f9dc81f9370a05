/* Before the first paint: the theme people chose (light, dark), or what their system says. */
(function () {
  "use strict";
  var root = document.documentElement;
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function chosen() {
    try { return localStorage.getItem("fleet-theme") || "auto"; } catch (e) { return "auto"; }
  }
  function apply() {
    var theme = chosen();
    root.setAttribute("data-bs-theme", theme === "auto" ? (system.matches ? "dark" : "light") : theme);
  }
  system.addEventListener("change", apply);
  window.fleetTheme = {
    chosen: chosen,
    choose: function (theme) {
      try { localStorage.setItem("fleet-theme", theme); } catch (e) { /* private window: this page only */ }
      apply();
    },
  };
  apply();
})();
