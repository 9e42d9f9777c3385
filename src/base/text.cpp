#include "base/text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace dtrain {
namespace {

std::optional<double> parse_decimal(std::string_view text) {
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  if (text.empty() || text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

/// Optimal string alignment distance: insert, delete, substitute, swap neighbours.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> cost(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, cost[i - 1][j - 1] + change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

std::optional<double> parse_number(std::string_view text) {
  text = trim(text);
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return parse_decimal(text);
  const auto top = parse_decimal(trim(text.substr(0, slash)));
  const auto bottom = parse_decimal(trim(text.substr(slash + 1)));
  if (!top || !bottom || *bottom == 0) return std::nullopt;
  return *top / *bottom;
}

std::optional<std::int64_t> parse_integer(std::string_view text) {
  text = trim(text);
  std::int64_t value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Quantity> parse_quantity(std::string_view text) {
  text = trim(text);
  std::size_t end = text.find_first_not_of("0123456789.+-/");
  // An exponent belongs to the number only when digits follow it: "1e-3 s", but "3 epoch".
  if (end != std::string_view::npos && (text[end] == 'e' || text[end] == 'E') && end + 1 < text.size() &&
      std::string_view("0123456789+-").find(text[end + 1]) != std::string_view::npos)
    end = text.find_first_not_of("0123456789+-", end + 1);
  const std::string_view number = text.substr(0, end);
  const auto value = parse_number(number);
  if (!value) return std::nullopt;
  return Quantity{*value, end == std::string_view::npos ? std::string() : std::string(trim(text.substr(end)))};
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& candidates) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const std::size_t d = distance(word, candidate);
    if (d < best_distance) best = candidate, best_distance = d;
  }
  return best;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (std::size_t start = 0;;) {
    const std::size_t end = text.find(separator, start);
    parts.emplace_back(text.substr(start, end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string_view trim(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string human_bytes(double bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  int unit = 0;
  while (bytes >= 999.5 && unit < 4) bytes /= 1000, ++unit;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.3g} {}", bytes, units[unit]);
}

std::string binary_bytes(double bytes) {
  constexpr double kib = 1024, mib = 1024 * kib;
  return bytes > mib ? with_commas(std::llround(std::ceil(bytes / mib))) + " MiB"
                     : fmt::format("{:.0f} KiB", std::ceil(bytes / kib));
}

std::string human_rate(double bits_per_second) {
  const char* units[] = {"bit/s", "kbit/s", "Mbit/s", "Gbit/s"};
  int unit = 0;
  while (bits_per_second >= 999.5 && unit < 3) bits_per_second /= 1000, ++unit;
  return fmt::format("{:.3g} {}", bits_per_second, units[unit]);
}

std::string human_seconds(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 1) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 120) return fmt::format("{:.3g} s", seconds);
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 7200) return fmt::format("{} min {} s", whole / 60, whole % 60);
  return fmt::format("{} h {} min", whole / 3600, whole / 60 % 60);
}

std::string with_commas(std::int64_t value) {
  std::string digits = fmt::format("{}", value < 0 ? -value : value);
  for (int at = static_cast<int>(digits.size()) - 3; at > 0; at -= 3) digits.insert(static_cast<std::size_t>(at), ",");
  return value < 0 ? "-" + digits : digits;
}

std::string shortest(double value) { return fmt::format("{}", value); }

std::string wrap(std::string_view text, int width, int indent) {
  std::string out;
  int column = 0;
  for (const std::string& word : split(text, ' ')) {
    if (word.empty()) continue;
    const int length = static_cast<int>(word.size());
    if (column > 0 && column + 1 + length > width) {
      out += "\n" + std::string(static_cast<std::size_t>(indent), ' ');
      column = indent;
    } else if (column > 0) {
      out += ' ', ++column;
    }
    out += word;
    column += length;
  }
  return out;
}

}  // namespace dtrain
