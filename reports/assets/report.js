/* Zoom, hover and keyboard for the timelines. The page is complete without it: everything drawn here
 * was drawn by the server in the same places; this only draws it again for another stretch of time.
 *
 * In each <svg class="timeline">: data-from, data-to (seconds), data-left, data-width (user units).
 * Elements that hang on time carry data-t (a point: translated), data-a and data-b (a stretch: x and
 * width), data-ticks with data-y and data-h (a strip). Events for the cursor stand in a JSON script
 * beside it: [seconds, lane's y, text].
 */
(function () {
  "use strict";
  document.documentElement.classList.add("js");
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details:not(.evidence)").forEach(function (d) { d.open = true; });
  });

  function step(range) {
    var raw = range / 8, p = Math.pow(10, Math.floor(Math.log10(raw)));
    return [1, 2, 5, 10].map(function (m) { return m * p; }).find(function (s) { return s >= raw; });
  }

  function Timeline(svg) {
    this.svg = svg;
    this.box = svg.closest("details");
    this.from = +svg.dataset.from;
    this.to = +svg.dataset.to;
    this.left = +svg.dataset.left;
    this.width = +svg.dataset.width;
    this.a = this.from;
    this.b = this.to;
    var data = this.box.querySelector("script[type='application/json']");
    this.events = data ? JSON.parse(data.textContent) : [];
    this.events.sort(function (p, q) { return p[0] - q[0]; });
    this.at = -1;
    this.raw = this.box.querySelector(".raw");
    this.cursor = svg.querySelector(".cursor");
    this.wire();
  }

  Timeline.prototype.x = function (t) {
    return this.left + (t - this.a) / (this.b - this.a) * this.width;
  };

  Timeline.prototype.draw = function () {
    var me = this, right = this.left + this.width;
    function hold(x) { return Math.max(me.left, Math.min(right, x)); }
    this.svg.querySelectorAll("[data-t]").forEach(function (e) {
      var x = me.x(+e.dataset.t);
      e.setAttribute("transform", "translate(" + x.toFixed(2) + " " + (e.dataset.y || 0) + ")");
      e.style.display = x < me.left - 0.5 || x > right + 0.5 ? "none" : "";
    });
    this.svg.querySelectorAll("[data-a]").forEach(function (e) {
      var x = hold(me.x(+e.dataset.a)), end = hold(me.x(+e.dataset.b));
      e.setAttribute("x", x.toFixed(2));
      if (e.tagName === "rect") e.setAttribute("width", Math.max(0, end - x).toFixed(2));
      else e.style.display = end - x < 40 ? "none" : "";
    });
    this.svg.querySelectorAll("[data-ticks]").forEach(function (e) {
      if (!e.ticks) e.ticks = e.dataset.ticks.split(" ").map(Number);
      var d = "";
      e.ticks.forEach(function (t) {
        if (t >= me.a && t <= me.b) d += "M" + me.x(t).toFixed(2) + " " + e.dataset.y + "v" + e.dataset.h;
      });
      e.setAttribute("d", d);
    });
    this.axis();
    if (this.at >= 0) this.show(this.at);
  };

  Timeline.prototype.axis = function () {
    var g = this.svg.querySelector(".ticks"), s = step(this.b - this.a), ns = this.svg.namespaceURI;
    var digits = Math.max(0, -Math.floor(Math.log10(s) + 1e-9));
    while (g.firstChild) g.removeChild(g.firstChild);
    for (var k = Math.ceil(this.a / s - 1e-9); k * s <= this.b + 1e-9; k++) {
      var t = document.createElementNS(ns, "text"), l = document.createElementNS(ns, "path");
      var x = this.x(k * s).toFixed(2);
      t.setAttribute("x", x);
      t.setAttribute("y", g.dataset.y);
      t.setAttribute("text-anchor", "middle");
      t.setAttribute("class", "soft");
      t.textContent = (k * s).toFixed(digits);
      l.setAttribute("d", "M" + x + " " + g.dataset.top + "V" + g.dataset.bottom);
      l.setAttribute("class", "axis");
      g.appendChild(l);
      g.appendChild(t);
    }
  };

  Timeline.prototype.zoom = function (factor, around) {
    var span = Math.min(this.to - this.from, Math.max(0.02, (this.b - this.a) * factor));
    var share = (around - this.a) / (this.b - this.a);
    this.a = Math.max(this.from, Math.min(this.to - span, around - share * span));
    this.b = this.a + span;
    this.draw();
  };

  Timeline.prototype.pan = function (by) {
    var span = this.b - this.a;
    this.a = Math.max(this.from, Math.min(this.to - span, this.a + by));
    this.b = this.a + span;
    this.draw();
  };

  Timeline.prototype.reset = function () {
    this.a = this.from;
    this.b = this.to;
    this.draw();
  };

  Timeline.prototype.show = function (i) {
    this.at = i;
    var e = this.events[i], x = this.x(e[0]);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    this.cursor.style.display = x < this.left || x > this.left + this.width ? "none" : "";
    this.raw.textContent = (e[0] < 0 ? "" : "+") + e[0].toFixed(3) + " s   " + e[2];
  };

  Timeline.prototype.move = function (by) {
    if (!this.events.length) return;
    var i = Math.max(0, Math.min(this.events.length - 1, this.at < 0 ? 0 : this.at + by));
    var t = this.events[i][0];
    if (t < this.a) this.pan(t - this.a - (this.b - this.a) / 4);
    if (t > this.b) this.pan(t - this.b + (this.b - this.a) / 4);
    this.show(i);
  };

  Timeline.prototype.point = function (ev) {
    var r = this.svg.getBoundingClientRect(), scale = this.svg.viewBox.baseVal.width / r.width;
    return { x: (ev.clientX - r.left) * scale, y: (ev.clientY - r.top) * scale };
  };

  Timeline.prototype.time = function (x) {
    return this.a + (x - this.left) / this.width * (this.b - this.a);
  };

  Timeline.prototype.hover = function (ev) {
    var p = this.point(ev), me = this, best = -1, far = Infinity;
    if (p.x < this.left - 6) return;
    this.events.forEach(function (e, i) {
      var d = Math.abs(me.x(e[0]) - p.x) + 4 * Math.max(0, Math.abs(e[1] - p.y) - 10);
      if (d < far) { far = d; best = i; }
    });
    if (best >= 0 && far < 60) this.show(best);
  };

  Timeline.prototype.wire = function () {
    var me = this, drag = null;
    this.svg.addEventListener("wheel", function (ev) {
      if (!ev.ctrlKey && !ev.shiftKey) return;
      ev.preventDefault();
      me.zoom(ev.deltaY < 0 ? 0.8 : 1.25, me.time(me.point(ev).x));
    }, { passive: false });
    this.svg.addEventListener("pointerdown", function (ev) { drag = me.point(ev).x; });
    window.addEventListener("pointerup", function () { drag = null; });
    this.svg.addEventListener("pointermove", function (ev) {
      if (drag === null) { me.hover(ev); return; }
      var x = me.point(ev).x;
      me.pan((drag - x) / me.width * (me.b - me.a));
      drag = x;
    });
    this.svg.addEventListener("keydown", function (ev) {
      var middle = me.at >= 0 ? me.events[me.at][0] : (me.a + me.b) / 2;
      var keys = {
        ArrowRight: function () { me.move(1); }, ArrowLeft: function () { me.move(-1); },
        "+": function () { me.zoom(0.6, middle); }, "=": function () { me.zoom(0.6, middle); },
        "-": function () { me.zoom(1 / 0.6, middle); },
        Home: function () { me.move(-1e9); }, End: function () { me.move(1e9); },
        "0": function () { me.reset(); }
      };
      if (keys[ev.key]) { keys[ev.key](); ev.preventDefault(); }
    });
    this.box.querySelectorAll(".tools button").forEach(function (b) {
      b.addEventListener("click", function () {
        var what = b.dataset.do;
        if (what === "in") me.zoom(0.5, (me.a + me.b) / 2);
        if (what === "out") me.zoom(2, (me.a + me.b) / 2);
        if (what === "all") me.reset();
        if (what === "left") me.pan((me.a - me.b) / 3);
        if (what === "right") me.pan((me.b - me.a) / 3);
      });
    });
  };

  document.querySelectorAll("svg.timeline").forEach(function (svg) { new Timeline(svg).draw(); });
})();
