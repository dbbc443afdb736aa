"""What runs in the page: draws the charts, in the colours of the reader's light or dark setting."""

from bitwright.report.html import Html

SCRIPT = Html(
    """
(() => {
  const css = getComputedStyle(document.documentElement);
  const token = (name) => css.getPropertyValue(name).trim();
  // A step at 0.4: no cell has a middle blue, on which neither white nor grey text reads well.
  const heat = () => [0, 0.02, 0.1, 0.4, 0.5, 1].map((at, i) => [at, token(`--heat-${i}`)]);
  const ramp = () => [0, 3, 5].map((i, at) => [at / 2, token(`--heat-${i}`)]);
  const revive = (key, value) => {
    if (key === "color" && typeof value === "string" && value.startsWith("--")) return token(value);
    if (key !== "colorscale") return value;
    return value === "--heat" ? heat() : value === "--ramp" ? ramp() : value;
  };
  const axis = (given) => ({
    automargin: true, fixedrange: true, zeroline: false,
    gridcolor: token("--line"), linecolor: token("--line"), ...given,
  });
  const draw = () => {
    for (const place of document.querySelectorAll(".plot")) {
      const { data, layout } = JSON.parse(place.nextElementSibling.textContent, revive);
      Plotly.react(place, data, {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: false,
        margin: { l: 8, r: 12, t: 8, b: 8 },
        font: { family: token("--font"), size: 12, color: token("--text") },
        hoverlabel: {
          bgcolor: token("--surface"), bordercolor: token("--muted"),
          font: { family: token("--font"), color: token("--text") },
        },
        ...layout,
        xaxis: axis(layout.xaxis), yaxis: axis(layout.yaxis),
      }, { responsive: true, displayModeBar: false });
    }
  };
  draw();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
})();
"""
)
