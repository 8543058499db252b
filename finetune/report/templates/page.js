(function () {
  "use strict";
  var table = document.getElementById("candidates");
  if (table) {
    var body = table.tBodies[0];
    var number = function (text) { return text === "" ? null : Number(text); };
    Array.prototype.forEach.call(table.tHead.rows[0].cells, function (head, column) {
      var button = head.querySelector("button");
      button.addEventListener("click", function () {
        var was = head.getAttribute("aria-sort");
        var up = was ? was === "descending" : head.dataset.first === "up";
        Array.prototype.forEach.call(table.tHead.rows[0].cells, function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        var rows = Array.prototype.slice.call(body.rows);
        rows.sort(function (a, b) {
          var one = a.cells[column].dataset.value, two = b.cells[column].dataset.value;
          if (one === "" || two === "") { return (one === "") - (two === ""); }
          var order = head.dataset.kind === "number" ? number(one) - number(two) : one.localeCompare(two);
          return up ? order : -order;
        });
        rows.forEach(function (row) { body.appendChild(row); });
      });
    });
  }
  var form = document.getElementById("limits");
  if (form && table) {
    var says = document.getElementById("limit-answer");
    var update = function () {
      var most = { latency: parseFloat(form.elements.latency.value), params: parseFloat(form.elements.params.value) * 1e6 };
      var best = null, given = !isNaN(most.latency) || !isNaN(most.params), kept = 0;
      Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
        var score = row.dataset.score === "" ? null : Number(row.dataset.score);
        var keeps = ["latency", "params"].every(function (key) {
          return isNaN(most[key]) || (row.dataset[key] !== "" && Number(row.dataset[key]) <= most[key]);
        });
        row.classList.toggle("over", given && !keeps);
        if (keeps && score !== null) { kept += 1; if (!best || score > Number(best.dataset.score)) { best = row; } }
      });
      says.textContent = !given ? "" : !best ? "No candidate keeps this." :
        "Take " + best.dataset.name + ": " + form.dataset.primary + " " + Number(best.dataset.score).toFixed(3) + " (" + kept + (kept === 1 ? " candidate keeps" : " candidates keep") + " it).";
    };
    form.addEventListener("input", update);
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    update();
  }
  Array.prototype.forEach.call(document.querySelectorAll("[data-shows]"), function (box) {
    box.addEventListener("change", function () { document.body.classList.toggle("hide-" + box.dataset.shows, !box.checked); });
  });
})();
