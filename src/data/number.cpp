#include "data/number.hpp"

#include <charconv>
#include <cmath>

namespace dtrain::data {

Number read_number(std::string_view text) {
  if (text.size() > 1 && text.front() == '+' && text[1] != '-') text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, code] = std::from_chars(text.data(), end, value);
  if (code == std::errc::invalid_argument || stop != end || text.empty()) return {Number::text, 0};
  if (code == std::errc::result_out_of_range) {
    const bool tiny = text.find("e-") != text.npos || text.find("E-") != text.npos;
    return {tiny ? Number::finite : Number::nonfinite, 0};
  }
  return {std::isfinite(value) ? Number::finite : Number::nonfinite, value};
}

}  // namespace dtrain::data
