#include "report/chart.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

namespace dtrain::report {
namespace {

constexpr double width = 640, height = 260, left = 58, right = 14, top = 14, bottom = 40;
constexpr std::size_t most_points = 600;

struct Bounds {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();
  void include(double value) { low = std::min(low, value), high = std::max(high, value); }
  bool empty() const { return low > high; }
  /// A flat curve still needs a range to be drawn in.
  void widen() {
    if (low < high) return;
    const double by = low == 0 ? 1 : std::abs(low) * 0.1;
    low -= by, high += by;
  }
};

/// One axis: from a value to a place on the page.
struct Axis {
  Bounds bounds;
  bool logarithmic = false;
  double from = 0, to = 0;

  double place(double value) const {
    const double low = scaled(bounds.low), high = scaled(bounds.high);
    return from + (scaled(value) - low) / (high - low) * (to - from);
  }
  double scaled(double value) const { return logarithmic ? std::log10(value) : value; }
  std::vector<double> marks(int wanted) const;
};

std::vector<double> Axis::marks(int wanted) const {
  if (!logarithmic) return ticks(bounds.low, bounds.high, wanted);
  std::vector<double> values;
  for (double decade = std::floor(std::log10(bounds.low)); decade <= std::ceil(std::log10(bounds.high)); ++decade)
    for (const double digit : {1.0, 2.0, 5.0}) {
      const double value = digit * std::pow(10, decade);
      const bool thin_out = std::log10(bounds.high / bounds.low) > 3 && digit != 1;
      if (!thin_out && value >= bounds.low && value <= bounds.high) values.push_back(value);
    }
  return values;
}

/// "12k", "0.05", "1e-06"
std::string mark_text(double value) {
  const double size = std::abs(value);
  if (size < 1e-12) return "0";
  if (size >= 1e4 && size < 1e6) return fmt::format("{:.4g}k", value / 1e3);
  if (size >= 1e6 && size < 1e9) return fmt::format("{:.4g}M", value / 1e6);
  return fmt::format("{:.4g}", value);
}

std::string grid(const Axis& x, const Axis& y) {
  std::string out;
  for (const double value : y.marks(5)) {
    const double at = y.place(value);
    out += fmt::format("<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>", left, width - right,
                       at, at);
    out += fmt::format("<text class=\"mark\" text-anchor=\"end\" x=\"{}\" y=\"{:.1f}\">{}</text>", left - 8, at + 4,
                       mark_text(value));
  }
  for (const double value : x.marks(6))
    out += fmt::format("<text class=\"mark\" text-anchor=\"middle\" x=\"{:.1f}\" y=\"{}\">{}</text>", x.place(value),
                       height - bottom + 18, mark_text(value));
  return out + fmt::format("<line class=\"axis\" x1=\"{}\" x2=\"{}\" y1=\"{}\" y2=\"{}\"/>", left, width - right,
                           height - bottom, height - bottom);
}

std::string draw(const Series& series, std::size_t number, const Axis& x, const Axis& y) {
  std::string points, dots;
  const Curve curve = thin(series.curve, most_points);
  for (const Point& point : curve) {
    points += fmt::format("{:.1f},{:.1f} ", x.place(point.x), y.place(point.y));
    if (series.dots || curve.size() == 1)
      dots += fmt::format(
          "<circle class=\"fill{}\" r=\"3\" cx=\"{:.1f}\" cy=\"{:.1f}\"><title>{:.6g} at {:.6g}</title></circle>",
          number, x.place(point.x), y.place(point.y), point.y, point.x);
  }
  return fmt::format("<polyline class=\"line{}\" points=\"{}\"/>", number, points) + dots;
}

std::string legend(const Chart& chart) {
  if (chart.series.size() < 2) return "";
  std::string out = "<div class=\"legend\">";
  for (std::size_t k = 0; k < chart.series.size(); ++k)
    out += fmt::format("<span><i class=\"back{}\"></i>{}</span>", k, escape(chart.series[k].label));
  return out + "</div>";
}

Axis y_axis(const Chart& chart) {
  Axis y;
  for (const Series& series : chart.series)
    for (const Point& point : thin(series.curve, most_points)) y.bounds.include(point.y);
  if (chart.from_zero && !y.bounds.empty()) y.bounds.include(0);
  y.logarithmic = chart.may_be_logarithmic && y.bounds.low > 0 && y.bounds.high / y.bounds.low > 20;
  y.bounds.widen();
  if (!y.logarithmic) {
    const double margin = (y.bounds.high - y.bounds.low) * 0.04;
    const bool touches_zero = y.bounds.low >= 0 && y.bounds.low < margin * 4;
    y.bounds.low = touches_zero ? 0 : y.bounds.low - margin;
    y.bounds.high += margin;
  }
  y.from = height - bottom;
  y.to = top;
  return y;
}

/// Bytes of the UTF-8 sequence at the start of `text`, 0 if it is broken.
std::size_t sequence_bytes(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  if (first < 0xc2 || first > 0xf4) return 0;
  const std::size_t bytes = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (bytes > text.size()) return 0;
  for (std::size_t k = 1; k < bytes; ++k)
    if ((static_cast<unsigned char>(text[k]) & 0xc0) != 0x80) return 0;
  return bytes;
}

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const std::size_t bytes = sequence_bytes(text);
    const char c = text[0];
    if (bytes == 0 || (bytes == 1 && static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t'))
      out += ' ';
    else if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += text.substr(0, bytes);
    text.remove_prefix(std::max<std::size_t>(bytes, 1));
  }
  return out;
}

Curve thin(const Curve& curve, std::size_t points) {
  if (curve.size() <= points || points < 2) return curve;
  Curve thinned;
  const std::size_t bins = points - 1;
  for (std::size_t bin = 0; bin < bins; ++bin) {
    const std::size_t begin = bin * curve.size() / bins, end = (bin + 1) * curve.size() / bins;
    Point mean;
    for (std::size_t k = begin; k < end; ++k) {
      mean.x += curve[k].x / static_cast<double>(end - begin);
      mean.y += curve[k].y / static_cast<double>(end - begin);
    }
    thinned.push_back(mean);
  }
  thinned.push_back(curve.back());
  return thinned;
}

std::vector<double> ticks(double low, double high, int wanted) {
  if (!(high > low) || !std::isfinite(high - low)) return {};
  const double rough = (high - low) / wanted;
  const double decade = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * decade;
  for (const double factor : {5.0, 2.0, 1.0})
    if (factor * decade >= rough * 0.999) step = factor * decade;
  std::vector<double> values;
  const double first = std::ceil(low / step);
  for (int k = 0; k <= 4 * wanted && (first + k) * step <= high + step * 1e-9; ++k)
    values.push_back((first + k) * step);
  return values;
}

std::string render_chart(const Chart& chart) {
  Axis x;
  for (const Series& series : chart.series)
    for (const Point& point : series.curve) x.bounds.include(point.x);
  Axis y = y_axis(chart);
  if (x.bounds.empty()) return "";
  x.bounds.widen();
  x.from = left;
  x.to = width - right;
  if (!std::isfinite(y.bounds.high - y.bounds.low)) return "";  // values so large that no axis can show them
  std::string svg =
      fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">", width, height, escape(chart.title));
  svg += grid(x, y);
  for (std::size_t k = 0; k < chart.series.size(); ++k) svg += draw(chart.series[k], k, x, y);
  svg += fmt::format("<text class=\"mark\" text-anchor=\"middle\" x=\"{}\" y=\"{}\">{}</text></svg>",
                     (left + width - right) / 2, height - 4, escape(chart.x_label));
  return fmt::format("<figure><figcaption>{}{}</figcaption>{}{}</figure>\n", escape(chart.title),
                     y.logarithmic ? " <small>logarithmic</small>" : "", svg, legend(chart));
}

}  // namespace dtrain::report
